"""Run DVC's commands."""

import configparser
import os
import subprocess
import sys
from pathlib import Path

from wen.errors import WenError

DVC = [sys.executable, "-m", "dvc"]
"""The DVC of this environment, as the beginning of a command."""


def dvc(root: Path, *arguments: str) -> str:
    """Run a DVC command in a repository and return its standard output; see `output_of`."""
    return output_of([*DVC, *arguments], root)


def output_of(command: list[str], root: Path) -> str:
    """Run a command in a folder and return its standard output.

    Raises
    ------
    WenError
        If the command failed, with its standard error as the message.
    """
    done = subprocess.run(
        command, cwd=root, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )  # fmt: skip
    if done.returncode:
        raise WenError(" ".join(done.stderr.split()).removeprefix("ERROR: "))
    return done.stdout


def environment() -> dict[str, str]:
    """Return the environment for DVC: it runs this environment's `wen`, without Ray's number of threads."""
    env = {key: value for key, value in os.environ.items() if key not in ("OMP_NUM_THREADS", "DVC_ROOT", "DVC_STAGE")}
    return env | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"}


def configure_copy(root: Path, cache: str) -> None:
    """Configure a copy of a repository without git: it uses a given cache and has its own state."""
    local = root / ".dvc/config.local"
    config = configparser.ConfigParser(interpolation=None)
    config.read(local, encoding="utf-8")
    config.read_dict({
        "core": {"no_scm": "true", "analytics": "false", "site_cache_dir": str(root / ".dvc/site")},
        "cache": {"dir": cache, "type": "reflink,hardlink,symlink,copy"},
    })  # fmt: skip
    with local.open("w", encoding="utf-8") as file:
        config.write(file)
