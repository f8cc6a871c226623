"""The provenance of a result: commit, hashes, versions and machine."""

import platform
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

from wen import installed
from wen.config.paths import Paths
from wen.data.table import read_index
from wen.files import sha256
from wen.report.language import Text

PACKAGES = (
    "dvc",
    "torch",
    "timm",
    "openvino",
    "scikit-learn",
    "scipy",
    "statsmodels",
    "pandas",
    "numpy",
    "pillow",
)
MODULES = ":(glob)src/**/[!.]*.py"
"""Pathspec of the package's modules, without the temporary files of editors."""


def provenance(paths: Paths, t: Text) -> dict[str, str]:
    """List what the numbers depend on, under the keys KEY of ``provenance.KEY`` in texts/provenance.yaml."""
    return {
        "commit": _commit(paths, t),
        "parameters": f"params.yaml, SHA-256 {sha256(paths.params.read_bytes())}",
        "images": f"{t.count(len(read_index(paths)))}; data/index.csv, SHA-256 {sha256(paths.index.read_bytes())}",
        "split": f"data/split.csv, SHA-256 {sha256(paths.split.read_bytes())}",
        "weights": paths.weights_list.read_text(encoding="utf-8").strip(),
        "versions": ", ".join([f"wen {installed.release()}", *_releases()]),
        "machine": f"Python {platform.python_version()}, {platform.system()} {platform.machine()}",
    }


def _releases() -> Iterator[str]:
    """Yield each installed package with its version."""
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            yield f"{name} {version(name)}"


def _commit(paths: Paths, t: Text) -> str:
    """The current commit, and whether sources differ from it; a module that git does not track does."""
    try:
        commit = _git(paths, "rev-parse", "HEAD")
        sources = [
            source
            for source in ("src", "dvc.yaml", "params.yaml")
            if _git(paths, "status", "--porcelain", "--untracked-files=no", "--", source)
        ]
        if "src" not in sources and _git(paths, "ls-files", "--others", "--exclude-standard", "--", MODULES):
            sources.insert(0, "src")
    except (OSError, subprocess.CalledProcessError):
        return t("provenance.no_commit")
    return t("provenance.changed", commit=commit, sources=", ".join(sources)) if sources else commit


def _git(paths: Paths, *arguments: str) -> str:
    command = ["git", "--no-optional-locks", "-C", str(paths.root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
