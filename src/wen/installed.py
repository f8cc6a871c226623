"""The installed `wen`: its release, its commit, and the files that a study starts with."""

import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path

PACKAGE = Path(__file__).parent
CLONE = PACKAGE.parents[1]
"""The project's folder, if the package is in a clone; otherwise a folder of the environment."""
STUDY = (
    ".dvc/.gitignore", ".dvc/config", ".dvc/plots", ".dvcignore", ".gitattributes", ".gitignore", "constraints.txt",
    "data/README.md", "data/raw/README.md", "dvc.yaml", "models/README.md", "profiles",
)  # fmt: skip
"""Files and folders of the project's root that a study starts with, besides params.yaml. setup.py reads this."""


def study_files() -> Path:
    """Return the folder of the files of `STUDY`: that of the clone, or that in the wheel."""
    return CLONE if (CLONE / "dvc.yaml").is_file() else PACKAGE / "study"


def release() -> str:
    """Return the release of the code that runs.

    In a clone, pyproject.toml names it: the environment may have been made from another clone or an earlier release.
    """
    file = CLONE / "pyproject.toml"
    project = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {}) if file.is_file() else {}
    return str(project["version"]) if project.get("name") == "wen" else version("wen")


def described() -> str:
    """Return release, commit and place, e.g. ``wen 0.1.0, commit 1426315, /home/ada/wen/src/wen``."""
    return ", ".join(part for part in (f"wen {release()}", commit(), str(PACKAGE)) if part)


def commit() -> str:
    """Return the commit of the package's code, and whether files differ from it; empty outside a git clone."""
    if not (CLONE / ".git").exists():
        return ""
    done = subprocess.run(
        ["git", "--no-optional-locks", "-C", str(CLONE), "describe", "--always", "--dirty", "--exclude=*"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return "" if done.returncode else f"commit {done.stdout.strip().replace('-dirty', ' with changes')}"
