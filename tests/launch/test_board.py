"""The table of `wen run`."""

import pytest
from rich.console import Console

from wen.launch import board


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(board.time, "monotonic", lambda: now[0])
    return now


def drawn(own: board.Board) -> list[list[str]]:
    console = Console(width=120, record=True, file=None, quiet=False)
    with console.capture() as capture:
        console.print(own._table())
    return [line.split() for line in capture.get().splitlines()]


def test_what_runs_is_on_top_with_its_epoch_and_about_the_time_that_is_left(clock: list[float]) -> None:
    own = board.Board(["features", "0.001-0", "0.001-1"], {"head": 6, "finetune": 2})
    own.set("features", "done", "here")
    own.set("0.001-1", "running", "node GPU 3")
    clock[0] += 60
    own.set("0.001-1", "running", "node GPU 3", "head 2")
    title, _, first, second, third = drawn(own)
    assert " ".join(title) == "1 running, 1 waiting, 1 done"
    assert first == ["0.001-1", "running", "node", "GPU", "3", "head", "2/6", "1:00", "3:00"]  # 6 of 8 epochs are left
    assert second == ["0.001-0", "waiting"]
    assert third == ["features", "done", "here"]


def test_both_stages_of_training_count(clock: list[float]) -> None:
    own = board.Board(["0.001-1"], {"head": 6, "finetune": 2})
    own.set("0.001-1", "running", "node")
    clock[0] += 70
    own.set("0.001-1", "running", "node", "finetune 1")
    assert drawn(own)[2] == ["0.001-1", "running", "node", "finetune", "1/2", "1:10", "0:10"]


def test_without_a_terminal_each_change_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with board.Board(["a"], {}) as own:
        own.set("a", "running", "node CPU")
        own.set("a", "running", "node CPU", "head 1")
        own.set("a", "done", "node CPU")
        own.set("no row", "done")
    assert capsys.readouterr().out == "a: running node CPU\na: done node CPU\n"
