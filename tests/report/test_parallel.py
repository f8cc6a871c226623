"""A function on many items, in several processes."""

import gc
import os
from pathlib import Path

import pytest

from wen.report import parallel


@pytest.mark.parametrize("processes", [1, 2, 7, None])
def test_every_item_is_worked_on_once(tmp_path: Path, processes: int | None) -> None:
    def work(name: str) -> None:
        (tmp_path / name).touch(exist_ok=False)

    parallel.for_each(work, list("abcde"), processes)
    assert sorted(path.name for path in tmp_path.iterdir()) == list("abcde")


def test_an_empty_list_is_processed_without_error(tmp_path: Path) -> None:
    parallel.for_each(lambda _: pytest.fail("there is no item"), [])


def test_an_item_whose_process_died_is_repeated(tmp_path: Path) -> None:
    here = os.getpid()

    def work(name: str) -> None:
        if os.getpid() != here:
            os.kill(os.getpid(), 9)
        (tmp_path / name).touch()

    parallel.for_each(work, list("abcd"), 2)
    assert len(list(tmp_path.iterdir())) == 4


def test_an_error_in_another_process_is_raised_in_this_one(capfd: pytest.CaptureFixture[str]) -> None:
    def work(name: str) -> None:
        if name == "b":
            raise OSError(28, "No space left on device", name)

    with pytest.raises(OSError, match="No space left") as raised:
        parallel.for_each(work, ["a", "b"], 2)
    assert raised.value.filename == "b"
    assert capfd.readouterr().err == ""


def test_no_object_of_this_process_is_destroyed_in_another(tmp_path: Path) -> None:
    here = os.getpid()

    class Connection:
        def __init__(self) -> None:
            self.cycle = self

        def __del__(self) -> None:
            if os.getpid() != here:
                (tmp_path / "destroyed").touch()

    def work(_: str) -> None:
        if os.getpid() != here:
            gc.collect()

    gc.disable()
    try:
        Connection()
        parallel.for_each(work, ["a", "b"], 2)
    finally:
        gc.enable()
    assert not (tmp_path / "destroyed").exists()
