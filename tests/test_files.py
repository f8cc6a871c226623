import hashlib
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from wen.errors import WenError
from wen.files import atomic, read_json, read_npz, write_json, write_npz, write_text


def test_an_output_that_fails_half_way_leaves_the_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    write_text(path, "earlier")
    with pytest.raises(RuntimeError), atomic(path) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_replaced_completely(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    for name in ("old", "new"):
        with atomic(folder) as partial:
            partial.mkdir()
            (partial / name).touch()
    assert [path.name for path in folder.iterdir()] == ["new"]


def test_undefined_numbers_become_null(tmp_path: Path) -> None:
    write_json(tmp_path / "row.json", {"auc": np.float64("nan"), "tp": np.int64(3), "loss": float("inf")})
    assert read_json(tmp_path / "row.json") == {"auc": None, "tp": 3, "loss": None}


def test_equal_arrays_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_npz(tmp_path / name, id=np.array(["x", "yy"]), p=np.array([0.25, 1.0]))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert read_npz(tmp_path / "a")["id"].tolist() == ["x", "yy"]


def test_arrays_are_written_as_the_same_bytes_by_every_release_of_python(tmp_path: Path) -> None:
    """Pinned: Python 3.11.2 and 3.11.7 write other archives through numpy.savez."""
    write_npz(tmp_path / "a.npz", id=np.array(["x", "yz"]), probability=np.array([0.25, 0.5]))
    digest = hashlib.sha256((tmp_path / "a.npz").read_bytes()).hexdigest()
    assert digest == "927bfb2783676a6210118408842e52d246eaa8647be460fb331d2fceeba3feff"
    assert np.load(tmp_path / "a.npz")["probability"].tolist() == [0.25, 0.5]


@pytest.mark.parametrize("kind", ["a file", "a folder"])
def test_a_file_never_replaces_a_folder_nor_a_folder_a_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "out"
    if kind == "a folder":
        path.mkdir()
        (path / "precious").touch()
    else:
        path.write_text("precious")
    with pytest.raises(WenError, match=f"out: is {kind}"), atomic(path) as partial:
        partial.write_text("new") if kind == "a folder" else partial.mkdir()
    assert (path / "precious").exists() if kind == "a folder" else path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("path", [Path("."), Path("/dev/null")])
def test_what_is_neither_a_file_nor_a_folder_is_left_alone(path: Path) -> None:
    with pytest.raises(WenError, match="cannot be replaced"), atomic(path):
        pass
    assert path.exists()


def test_a_folder_that_is_replaced_is_never_half_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "old").touch()

    def stop(path: Path) -> None:
        assert [entry.name for entry in folder.iterdir()] == ["new"]
        raise InterruptedError  # as if it were killed while the old one is removed

    monkeypatch.setattr(shutil, "rmtree", stop)
    with pytest.raises(InterruptedError), atomic(folder) as partial:
        partial.mkdir()
        (partial / "new").touch()
    monkeypatch.undo()
    assert (folder / "new").exists()


def test_an_output_is_on_the_disk_before_it_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a power cut, some file systems keep only the name of a file that was renamed before it was flushed."""
    events: list[str] = []
    names: dict[int, str] = {}
    open_, fsync, replace = os.open, os.fsync, Path.replace

    def opened(path: Path, *flags: int, **where: int) -> int:
        descriptor = open_(path, *flags, **where)
        names[descriptor] = os.path.basename(path).rsplit(".", 2)[0]
        return descriptor

    def flushed(descriptor: int) -> None:
        events.append(f"flush {names[descriptor]}")
        fsync(descriptor)

    def renamed(path: Path, target: Path) -> Path:
        events.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(Path, "replace", renamed)
    host = socket.gethostname()
    write_text(tmp_path / "out", "new")
    assert events == [f"flush .out.{host}", "rename", f"flush {tmp_path.name}"]
    events.clear()
    with atomic(tmp_path / "folder") as partial:
        (partial / "within").mkdir(parents=True)
        (partial / "within/file").touch()
    assert sorted(events[:3]) == [f"flush .folder.{host}", "flush file", "flush within"]
    assert events[3:] == ["rename", f"flush {tmp_path.name}"]


KILLED_BETWEEN_RENAMES = """
import os, signal, sys
from pathlib import Path
from wen.files import atomic
replace = Path.replace
def replace_and_die(path, target):
    replace(path, target)
    os.kill(os.getpid(), signal.SIGKILL)
Path.replace = replace_and_die
with atomic(Path(sys.argv[1])) as partial:
    partial.mkdir()
    (partial / "new").touch()
"""


def test_a_folder_whose_successor_was_killed_between_two_renames_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "old").touch()
    subprocess.run([sys.executable, "-c", KILLED_BETWEEN_RENAMES, folder], check=False)
    assert not folder.exists()
    with pytest.raises(InterruptedError), atomic(folder):
        assert [path.name for path in folder.iterdir()] == ["old"]
        raise InterruptedError
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "old"]


def test_a_folder_that_was_made_again_meanwhile_is_not_replaced_by_the_earlier_one(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    subprocess.run([sys.executable, "-c", KILLED_BETWEEN_RENAMES, folder], check=False)
    folder.mkdir()
    (folder / "again").touch()
    with pytest.raises(InterruptedError), atomic(folder):
        raise InterruptedError
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "again"]


def test_a_folder_comes_back_if_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "old").touch()
    replace = Path.replace

    def refuse_the_new(path: Path, target: Path) -> Path:
        if (path / "new").exists():
            raise OSError("no")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", refuse_the_new)
    with pytest.raises(OSError, match="no"), atomic(folder) as partial:
        partial.mkdir()
        (partial / "new").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "old"]


def left_over(path: Path, owner: int, seconds_ago: float = 0) -> Path:
    """What a process of this number left of ``path`` when it was killed."""
    partial = path.with_name(f".{path.name}.{socket.gethostname()}.{owner}.partial")
    partial.mkdir()
    (partial / "half").touch()
    os.utime(partial, (time.time() - seconds_ago,) * 2)
    return partial


def test_leftovers_of_a_killed_process_are_removed_before_the_next_write(tmp_path: Path) -> None:
    killed = subprocess.Popen([sys.executable, "-c", ""])
    partial = left_over(tmp_path / "out", killed.pid)
    while (
        psutil.Process(killed.pid).status() != psutil.STATUS_ZOMBIE
    ):  # it has ended, and its parent has not read its status
        time.sleep(0.01)
    write_text(tmp_path / "out", "complete")
    assert not partial.exists()
    killed.wait()
    partial = left_over(tmp_path / "out", killed.pid)
    write_text(tmp_path / "out", "complete")
    assert not partial.exists()


def test_leftovers_are_removed_though_a_later_process_has_the_same_number(tmp_path: Path) -> None:
    partial = left_over(tmp_path / "out", os.getppid(), seconds_ago=1e9)
    write_text(tmp_path / "out", "complete")
    assert not partial.exists()


def test_files_that_a_running_process_is_writing_are_left_alone(tmp_path: Path) -> None:
    partial = left_over(tmp_path / "out", os.getppid())
    write_text(tmp_path / "out", "complete")
    assert (partial / "half").exists()
