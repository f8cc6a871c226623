"""`wen run`: what it prints, and two of them in one folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PROJECT

from wen.config.paths import Paths
from wen.config.read import load
from wen.errors import WenError
from wen.launch import run
from wen.launch.board import Board

HOLD = """
import sys, time
from pathlib import Path
from wen.launch import run
with run._alone(Path(sys.argv[1])):
    print("runs", flush=True)
    time.sleep(600)
"""


def test_a_second_wen_run_in_a_folder_is_refused_until_the_first_has_ended_in_whatever_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin() -> None:
        run.run(load(PROJECT / "params.yaml"), Paths(tmp_path), None, None, None)

    def stop(_: object) -> None:
        raise InterruptedError

    monkeypatch.setattr(run, "import_ray", stop)
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], env=os.environ, stdout=subprocess.PIPE, text=True
    )  # fmt: skip
    try:
        assert first.stdout
        assert first.stdout.readline() == "runs\n"
        for _ in range(2):
            with pytest.raises(WenError, match=rf"another `wen run` works here \(process {first.pid} on .+\); wait"):
                begin()
    finally:
        first.kill()
        first.wait()
    for _ in range(2):  # nor does an error keep the folder locked
        with pytest.raises(InterruptedError):
            begin()


STAGE = """
import sys
print("Running stage 'prepare':")
print("warning: 2 near-copies have different labels", file=sys.stderr)
sys.exit(int(sys.argv[-1]))
"""


@pytest.mark.parametrize("code", [0, 1])
def test_what_the_stages_warn_of_is_printed_as_by_dvc_repro(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "DVC", [sys.executable, "-c", STAGE])
    warning = "warning: 2 near-copies have different labels"
    if code:
        with pytest.raises(WenError, match=f"^dvc repro 1 failed:\n{warning}$"):
            run._repro(tmp_path, Board(["prepare"], {}), str(code))
    else:
        run._repro(tmp_path, Board(["prepare"], {}), str(code))
        assert capsys.readouterr().err == f"{warning}\n"
