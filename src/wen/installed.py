"""The `wen` that runs: its release, its commit, and the files that a study begins with."""

import subprocess
from importlib.metadata import version
from pathlib import Path

PACKAGE = Path(__file__).parent
CLONE = PACKAGE.parents[1]
"""The project's folder, if the package is in one; of an installed package, a folder of the environment."""
STUDY = (
    ".dvc/.gitignore", ".dvc/config", ".dvc/plots", ".dvcignore", ".gitattributes", ".gitignore", "constraints.txt",
    "data/README.md", "data/raw/README.md", "dvc.yaml", "models/README.md", "profiles",
)  # fmt: skip
"""What a study begins with, besides params.yaml: files and folders of the project's root. setup.py reads this."""


def study_files() -> Path:
    """The folder of `STUDY`: the clone's own, or what the wheel holds of it."""
    return CLONE if (CLONE / "dvc.yaml").is_file() else PACKAGE / "study"


def described() -> str:
    """Release, commit and place, e.g. ``wen 0.1.0, commit 1426315, /home/ada/wen/src/wen``."""
    return ", ".join(part for part in (f"wen {version('wen')}", commit(), str(PACKAGE)) if part)


def commit() -> str:
    """The commit of the package's code, and whether files differ from it; empty outside a git clone."""
    if not (CLONE / ".git").exists():
        return ""
    done = subprocess.run(
        ["git", "--no-optional-locks", "-C", str(CLONE), "describe", "--always", "--dirty", "--exclude=*"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return "" if done.returncode else f"commit {done.stdout.strip().replace('-dirty', ' with changes')}"
