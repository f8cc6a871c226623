"""The commands of `warm`, by which other tests run `wen` and `dvc`, do what the installed ones do."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import warm
from conftest import PROJECT
from tiny_study import Study, processes_in

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, tests run the installed commands")


@pytest.fixture
def project(tmp_path: Path) -> Study:
    """A folder with the project's code, whose `wen check` says where the code is."""
    shutil.copytree(PROJECT / "src/wen", tmp_path / "src/wen", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "profiles/demo.yaml", tmp_path / "params.yaml")
    cli = tmp_path / "src/wen/cli.py"
    checks = '    check(*_study())\n    print("params.yaml is valid")'  # which takes torch
    cli.write_text(cli.read_text().replace(checks, '    _study()\n    print("the code of", __file__)'))
    return Study(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["wen", "check"], 0),
        (["wen", "split"], 1),
        (["wen", "no such command"], 2),
        (["dvc", "version", "--nothing"], 254),
        (["dvc", "root"], 253),
    ],
    ids=str,
)
def test_a_warm_command_has_the_output_and_exit_code_of_the_installed_one(
    project: Study, command: list[str], code: int
) -> None:
    warmed, installed = (
        subprocess.run(command, cwd=project.root, env=env, capture_output=True, check=False)
        for env in (warm.variables(project.env), project.env)
    )
    assert (warmed.stdout, warmed.stderr) == (installed.stdout, installed.stderr)
    assert (warmed.returncode, installed.returncode) == (code, code)


def test_a_warm_command_runs_the_code_of_the_study(project: Study) -> None:
    assert project.run("wen", "check") == f"the code of {project.root / 'src/wen/cli.py'}\n"


def test_a_warm_command_reads_the_caller_s_standard_input(project: Study) -> None:
    (project.root / "src/wen/cli.py").write_text("def main():\n    print(input()[::-1])\n")
    env = warm.variables(project.env)
    done = subprocess.run(["wen"], cwd=project.root, env=env, input=b"abc", capture_output=True, check=True)
    assert done.stdout == b"cba\n"


def test_a_command_ends_when_its_caller_is_killed(project: Study) -> None:
    (project.root / "src/wen/cli.py").write_text("def main():\n    import time\n    time.sleep(60)\n")
    process = subprocess.Popen(["wen"], cwd=project.root, env=warm.variables(project.env))
    while len(processes_in(project.root)) < 2:
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    begin = time.monotonic()
    while processes_in(project.root):
        assert time.monotonic() - begin < 15
        time.sleep(0.02)
