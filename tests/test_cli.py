"""The command line as a person or a scheduler meets it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import PROJECT
from tiny_study import set_params


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_stage_within_seconds_with_one_line_that_says_how_to_go_on(
    tmp_path: Path, values: dict[str, Any], number: signal.Signals
) -> None:
    values["dataset"]["synthetic"]["cells"] = 20_000  # so that it is still at work
    set_params(tmp_path, values)
    process = subprocess.Popen(
        [sys.executable, "-c", "from wen.cli import main; main()", "prepare"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(PROJECT / "src")}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not list((tmp_path / "data").glob(".synthetic.*.partial")) if (tmp_path / "data").exists() else True:
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(number)
    _, said = process.communicate(timeout=10)
    assert process.returncode == 128 + number
    assert said == f"stopped by {number.name}; `dvc repro` goes on, a training from its last finished epoch\n"
    assert not (tmp_path / "data/synthetic").exists()
    assert not (tmp_path / "data/index.csv").exists()
