"""dvc.lock is read if complete, set aside if a kill truncated it, and otherwise left alone and named."""

from pathlib import Path

import pytest
from conftest import PROJECT
from dvc.dvcfile import Lockfile
from dvc.repo import Repo
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wen.errors import WenError
from wen.integrity import lock

COMPLETE = (PROJECT / "dvc.lock").read_text()
LINES = COMPLETE.splitlines(keepends=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "dvc.lock"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_complete_file_is_read_whatever_editor_saved_it(path: Path, end: str, encoding: str) -> None:
    path.write_text(COMPLETE, encoding=encoding, newline=end)
    before = path.read_bytes()
    found = lock.stages(path)
    lock.set_aside_if_torn(path)
    assert path.read_bytes() == before
    assert found["split"].cmd == "wen split"
    assert found["split"].params["params.yaml"]["folds"] == [0, 1, 2, 3, 4]
    assert "data/split.csv" in [out.path for out in found["split"].outs]


TORN = {
    "empty": "",
    "zeros": "\0" * 512,
    "zeros at the end": COMPLETE[:5000] + "\0" * 512,
    "in the first line": COMPLETE[:5],
    "in a key": "schema: '2.0'\nstages:\n  code:\n    cm",
    "after stages": "schema: '2.0'\nstages:\n",
    "after a stage's name": "".join(LINES[:3]),
    "in a number": COMPLETE[: COMPLETE.index("size:") + len("size:")],
}


@pytest.mark.parametrize("text", TORN.values(), ids=TORN)
def test_a_torn_file_is_set_aside_and_nothing_of_it_is_lost(
    path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    for name in ("dvc.lock.torn", "dvc.lock.torn-2"):
        path.write_text(text)
        lock.set_aside_if_torn(path)
        assert not path.exists()
        assert path.with_name(name).read_text() == text
        assert f"The old file is kept as {name}" in (capsys.readouterr().err)


HEAD_SIDE, OTHER_SIDE = "<<<<<<< HEAD\n", "=======\n>>>>>>> other"
OTHER = {
    "conflict": ("".join([*LINES[:9], HEAD_SIDE, *LINES[9:], OTHER_SIDE, "\n"]), ":10: merge-conflict"),
    "conflict, no line end": ("".join([*LINES[:9], HEAD_SIDE, "    x: 1\n", OTHER_SIDE]), ":10: merge-conflict"),
    "conflict, three sides": ("||||||| base\n" + COMPLETE, ":1: merge-conflict"),
    "another schema": (COMPLETE.replace("'2.0'", "'3.0'", 1), "schema: Input should be '2.0'"),
    "no schema": (COMPLETE.split("\n", 1)[1], "schema: Field required"),
    "a key misspelt": (COMPLETE.replace("    cmd:", "    cdm:", 1), "cmd: Field required"),
    "a list": ("- a\n- b\n", "the file: "),
    "no YAML": (COMPLETE.replace("deps:", "deps: [", 1), "not valid YAML"),
    "a tag without its value": (COMPLETE.replace("size: ", "size: !!int #", 1), "not valid YAML (IndexError)"),
    "a web page": ("<!DOCTYPE html>\n<html>\n</html>\n", "DVC did not write it"),
}


@pytest.mark.parametrize(("text", "problem"), OTHER.values(), ids=OTHER)
def test_any_other_file_is_left_alone_and_named(path: Path, text: str, problem: str) -> None:
    path.write_text(text)
    for read in (lock.stages, lock.set_aside_if_torn):
        with pytest.raises(WenError) as caught:
            read(path)
        assert problem in str(caught.value)
        assert "git checkout" in str(caught.value)
    assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


def test_utf_16_and_bytes_that_are_no_text_are_named(path: Path) -> None:
    for content, problem in ((COMPLETE.encode("utf-16"), "UTF-16"), (COMPLETE.encode() + b"\xe9\n", "not UTF-8")):
        path.write_bytes(content)
        with pytest.raises(WenError, match=problem):
            lock.set_aside_if_torn(path)
        assert path.read_bytes() == content


def test_a_link_follows_and_one_to_nothing_is_named(path: Path) -> None:
    (path.parent / "real").write_text(COMPLETE)
    path.symlink_to("real")
    lock.set_aside_if_torn(path)
    (path.parent / "real").unlink()
    with pytest.raises(WenError, match=r"a broken link to real"):
        lock.set_aside_if_torn(path)
    assert path.is_symlink()
    path.unlink()
    path.mkdir()
    with pytest.raises(WenError, match="not a file"):
        lock.set_aside_if_torn(path)


def test_without_a_file_there_is_nothing_to_set_aside(path: Path) -> None:
    lock.set_aside_if_torn(path)
    with pytest.raises(WenError, match="not found"):
        lock.stages(path)


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    return Repo.init(str(tmp_path_factory.mktemp("repo")), no_scm=True)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(COMPLETE) - 1))
def test_a_file_cut_anywhere_is_either_read_by_dvc_or_set_aside(repo: Repo, length: int) -> None:
    path = Path(repo.root_dir) / "dvc.lock"
    path.write_text(COMPLETE[:length])
    lock.set_aside_if_torn(path)
    Lockfile(repo, str(path)).load()
