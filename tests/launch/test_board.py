"""The table of `wen run`."""

import pytest
from rich.console import Console

from wen.launch import board


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(board.time, "monotonic", lambda: now[0])
    return now


def drawn(status: board.Board) -> list[list[str]]:
    console = Console(width=120, record=True, file=None, quiet=False)
    with console.capture() as capture:
        console.print(status._table())
    return [line.split() for line in capture.get().splitlines()]


def test_running_models_come_first_with_their_epoch_and_the_estimated_time_left(clock: list[float]) -> None:
    status = board.Board(["features", "0.001-0", "0.001-1"], {"head": 6, "finetune": 2})
    status.set("features", "done", "here")
    status.set("0.001-1", "running", "node GPU 3")
    clock[0] += 60
    status.set("0.001-1", "running", "node GPU 3", "head 2")
    title, _, first, second, third = drawn(status)
    assert " ".join(title) == "1 running, 1 waiting, 1 done"
    assert first == ["0.001-1", "running", "node", "GPU", "3", "head", "2/6", "1:00", "3:00"]  # 6 of 8 epochs are left
    assert second == ["0.001-0", "waiting"]
    assert third == ["features", "done", "here"]


def test_the_estimated_time_left_counts_both_stages_of_training(clock: list[float]) -> None:
    status = board.Board(["0.001-1"], {"head": 6, "finetune": 2})
    status.set("0.001-1", "running", "node")
    clock[0] += 70
    status.set("0.001-1", "running", "node", "finetune 1")
    assert drawn(status)[2] == ["0.001-1", "running", "node", "finetune", "1/2", "1:10", "0:10"]


def test_without_a_terminal_each_change_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with board.Board(["a"], {}) as status:
        status.set("a", "running", "node CPU")
        status.set("a", "running", "node CPU", "head 1")
        status.set("a", "done", "node CPU")
        status.set("no row", "done")
    assert capsys.readouterr().out == "a: running node CPU\na: done node CPU\n"
