"""How ``wen`` starts: with signals handled, and with the code of the folder that it is started in."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import PROJECT

SCRIPT = "from wen.__main__ import main; main()"
"""What the console script `wen` does."""


def wen(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run the installed `wen`, which is of the project's own folder, in another one."""
    env = {key: value for key, value in os.environ.items() if key != "WEN_CODE"} | {"PYTHONPATH": str(PROJECT / "src")}
    return subprocess.run(
        [sys.executable, "-P", "-c", SCRIPT, *command], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Another folder with the project's code, which says where it is."""
    shutil.copytree(PROJECT / "src/wen", tmp_path / "src/wen", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "profiles/demo.yaml", tmp_path / "params.yaml")
    cli = tmp_path / "src/wen/cli.py"
    text = cli.read_text()
    checks = '    check(*_study())\n    print("params.yaml is valid")'  # which takes torch
    assert text.count(checks) == 1
    cli.write_text(text.replace(checks, '    _study()\n    print("the code of", __file__)'))
    return tmp_path


def test_wen_runs_the_code_of_the_folder_that_it_is_started_in(clone: Path) -> None:
    done = wen(clone, "check")
    assert done.stdout == f"the code of {clone / 'src/wen/cli.py'}\n", done.stderr
    assert done.returncode == 0


def test_the_release_is_that_of_the_code_of_the_folder(clone: Path) -> None:
    """As after `git pull`, or in a second clone: the environment was made from another release."""
    (clone / "pyproject.toml").write_text('[project]\nname = "wen"\nversion = "9.8.7"\n')
    assert wen(clone, "--version").stdout == f"wen 9.8.7, {clone / 'src/wen'}\n"


def test_arguments_and_the_exit_code_pass_to_the_code_of_the_folder(clone: Path) -> None:
    done = wen(clone, "split", "--no such option")
    assert done.returncode == 2
    (clone / "params.yaml").write_text("lr: many")
    assert wen(clone, "check").returncode == 1


def test_in_a_folder_without_code_the_installed_code_runs(tmp_path: Path) -> None:
    assert wen(tmp_path, "--version").stdout.endswith(f", {PROJECT / 'src/wen'}\n")


def test_code_that_cannot_be_started_is_refused_with_a_sentence(clone: Path) -> None:
    (clone / "src/wen/__main__.py").unlink()  # as in commits of before
    done = wen(clone, "check")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"error: `wen` is installed from {PROJECT / 'src'} and cannot run the code of this folder, {clone / 'src'}; "
        "install this folder in an environment of its own (`make demo` does this) and use that\n"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_first_moments_ends_with_a_sentence(tmp_path: Path, number: signal.Signals) -> None:
    """The signal comes while modules are imported; a slow module marks when it is reached."""
    (tmp_path / "typer.py").write_text("import time\nopen('reached', 'w').close()\ntime.sleep(60)\n")
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(PROJECT / "src")])}
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, "check"], cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True
    )
    while not (tmp_path / "reached").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    _, output = process.communicate(timeout=10)
    assert output == f"stopped by {number.name}\n"
    assert process.returncode == 128 + number


@pytest.mark.parametrize(
    ("command", "module", "unneeded"),
    [
        ("every", "wen.cli", "pandas scipy sklearn torch matplotlib rich"),
        ("code", "wen.integrity.check", "pandas scipy sklearn torch matplotlib"),
        ("split", "wen.data.split", "torch matplotlib"),
        ("ensemble-inter", "wen.ensemble.inter", "scipy.stats sklearn torch matplotlib"),
        ("report", "wen.report.page", "sklearn torch"),
        ("classify", "wen.classify", "scipy.stats sklearn skops matplotlib openvino"),
    ],
)
def test_a_command_imports_no_library_that_it_has_no_use_for(command: str, module: str, unneeded: str) -> None:
    """Each takes a fifth of a second to two seconds, of everyone who waits for the command."""
    script = f"import sys, {module}; print(*sorted(set({unneeded.split()}) & set(sys.modules)))"
    env = os.environ | {"PYTHONPATH": str(PROJECT / "src")}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [], f"imported by `wen {command}`"
