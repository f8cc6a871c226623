"""DVC, by its command line."""

import configparser
import os
import subprocess
import sys
from pathlib import Path

from wen.errors import WenError

DVC = [sys.executable, "-m", "dvc"]
"""How its commands begin: with the DVC of this environment."""


def dvc(root: Path, *arguments: str) -> str:
    """Run a command of DVC in a repository and give what it wrote to standard output; else as `output_of`."""
    return output_of([*DVC, *arguments], root)


def output_of(command: list[str], root: Path) -> str:
    """Run a command in a folder and give what it wrote to standard output.

    Raises
    ------
    WenError
        If it failed; the text is what it wrote to standard error.
    """
    done = subprocess.run(
        command, cwd=root, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )  # fmt: skip
    if done.returncode:
        raise WenError(" ".join(done.stderr.split()).removeprefix("ERROR: "))
    return done.stdout


def environment() -> dict[str, str]:
    """The variables for DVC: `wen` is this environment's, and its number of threads is params.yaml's, not Ray's."""
    env = {key: value for key, value in os.environ.items() if key not in ("OMP_NUM_THREADS", "DVC_ROOT", "DVC_STAGE")}
    return env | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"}


def configure_copy(root: Path, cache: str) -> None:
    """Have a copy of a repository, without git, use a cache, and keep what DVC knows of its files to itself."""
    local = root / ".dvc/config.local"
    config = configparser.ConfigParser(interpolation=None)
    config.read(local, encoding="utf-8")
    config.read_dict({
        "core": {"no_scm": "true", "analytics": "false", "site_cache_dir": str(root / ".dvc/site")},
        "cache": {"dir": cache, "type": "reflink,hardlink,symlink,copy"},
    })  # fmt: skip
    with local.open("w", encoding="utf-8") as file:
        config.write(file)
