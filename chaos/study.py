"""Common operations of the tests: start a command, kill it, continue the study, compare its outputs."""

import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

PROJECT = Path(__file__).parents[1]
sys.path[:0] = [str(PROJECT / "tests"), str(PROJECT / "tests/pipeline")]

from tiny_study import Study, new_study, tiny_values  # noqa: E402

__all__ = [
    "RATES",
    "Study",
    "Trial",
    "check",
    "clone",
    "copy",
    "delete_git_locks",
    "differences",
    "files_of",
    "killed",
    "new_study",
    "reproduce",
    "tiny_values",
]

RATES = (0.001, 0.0001, 0.00001)
OUTPUTS = ("data", "models", "metrics", "plots", "report")
CHECK = "from wen.config.paths import Paths; from wen.integrity.verify import check; print(*check(Paths()), sep='\\n')"
REFUSED = {"dvc.lock": "dvc.lock", "Unable to read RWLock-file": ".dvc/tmp/rwlock"}
"""What DVC, killed while writing it, refuses afterwards; docs/RELIABILITY.md says to delete it."""

Trial = tuple[str, list[str]]
"""What was stopped, and what was lost by it."""


def clone(study: Study, root: Path) -> Study:
    """Clone the study from git."""
    study.run("git", "clone", "--quiet", str(study.root), str(root))
    made = Study(root, Path(study.env["HOME"]))
    made.run("git", "config", "user.name", "tester")
    made.run("git", "config", "user.email", "tester@example.org")
    return made


def copy(study: Study, root: Path) -> Study:
    """Copy the study with all its outputs and its cache."""
    root.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", study.root, root], check=True)
    return Study(root, Path(study.env["HOME"]))


def killed(study: Study, *command: str, after: float | None = None, parent_only: bool = False) -> tuple[int, str]:
    """Run a command and kill it after some seconds, alone or with all its children; return exit code and output."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, cwd=study.root, env=study.env, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            started = [] if parent_only else psutil.Process(process.pid).children(recursive=True)
            process.kill()
            for child in started:
                if child.is_running():
                    child.kill()
            process.wait()
            psutil.wait_procs(started, timeout=30)
        output.seek(0)
        return process.returncode, output.read().decode(errors="replace")


def reproduce(study: Study, after: float | None = None, parent_only: bool = False) -> str | None:
    """Run `dvc repro`, or kill it after some seconds; return the stage that it was in."""
    while True:
        code, text = killed(study, "dvc", "repro", after=after, parent_only=parent_only)
        if code == 0:
            return None
        if code == -signal.SIGKILL:
            stages = re.findall(r"Running stage '([a-z-]+)", text)
            return stages[-1] if stages else "before any stage"
        _delete_refused(study, text)


def check(study: Study) -> list[str]:
    """Return the files that the check before `dvc repro` reports as damaged."""
    while True:
        code, text = killed(study, sys.executable, "-c", CHECK)
        if code == 0:
            return text.split()
        _delete_refused(study, text)


def _delete_refused(study: Study, text: str) -> None:
    for word, name in REFUSED.items():
        if word in text and (study.root / name).exists() and "Running stage" not in text:
            (study.root / name).unlink()
            print(f"deleted: {name}, because of: {text.strip()[-200:]}", flush=True)
            return
    raise RuntimeError(f"it failed by itself:\n{text[-3000:]}")


def delete_git_locks(study: Study) -> None:
    """Delete the lock files that a killed DVC leaves in .git, as docs/RELIABILITY.md tells users to do."""
    for lock in (study.root / ".git").rglob("*.lock"):
        lock.unlink()


def differences(one: Path, other: Path) -> list[str]:
    """Return the output files that do not have the same bytes in both studies."""
    files = {path.relative_to(root) for root in (one, other) for name in OUTPUTS for path in files_of(root / name)}
    return [str(path) for path in sorted(files) if _content(one / path) != _content(other / path)]


def files_of(path: Path) -> list[Path]:
    """Return a file, or the files of a folder."""
    return [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None
