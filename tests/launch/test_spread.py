"""A worker of `wen classify --address`, without a cluster."""

import os
from pathlib import Path

import numpy as np
import pytest

import wen
from wen.config.params import Params
from wen.launch import spread
from wen.launch.spread import Work
from wen.members.apply import Preparation


def test_a_worker_with_other_code_refuses_with_the_path_of_that_code(tiny: Params) -> None:
    worker = spread._Worker(None, Work([], tiny, Preparation(48, 32, 2), "the code of another commit"))
    given = worker({"file": np.array([b"/cells/1.bmp", os.fsencode("/cells/é.bmp")], dtype=object)})
    assert given["probability"].shape == (2, 0)
    assert all("runs other code" in text and str(Path(wen.__file__).parent) in text for text in given["refused"])


def test_the_digest_of_the_code_does_not_depend_on_line_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wen, "__file__", str(tmp_path / "__init__.py"))
    (tmp_path / "sub").mkdir()
    file = tmp_path / "sub/one.py"
    file.write_bytes(b"x = 1\ny = 2\n")
    first = spread.code()
    (tmp_path / "notes.txt").write_text("no code")
    file.write_bytes(b"x = 1\r\ny = 2\r\n")
    assert spread.code() == first
    file.write_bytes(b"x = 1\ny = 3\n")
    assert spread.code() != first
    file.write_bytes(b"x = 1\ny = 2\n")
    file.rename(tmp_path / "sub/two.py")
    assert spread.code() != first
