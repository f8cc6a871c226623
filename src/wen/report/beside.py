"""Compare the study with another study of the same images, for example one split by subject with one split by image."""

import json
import sys
from pathlib import Path
from typing import Any

from wen.config.paths import Paths
from wen.errors import Message, WenError
from wen.integrity.revision import EVIDENCE, commit_of, evidence_of

NEEDED = ("dataset", "unit", "test_set", "images", "subjects", "network", "reading", "summary", "hypotheses")


def other_study(revision: str | None, paths: Paths, evidence: dict[str, Any]) -> dict[str, Any] | None:
    """Read the evidence of params.yaml's ``report.beside``.

    Parameters
    ----------
    revision : str or None
        A commit, branch, tag or experiment of the study's git repository.
    paths : Paths
    evidence : dict
        This study's.

    Returns
    -------
    dict or None
        ``revision``, with the commit that a branch or tag names now, and what the page shows of that study; None, with
        a sentence on standard error, if there is no such revision or study, or if it is of other images.
    """
    if not revision:
        return None
    try:
        found = json.loads(evidence_of(revision, paths.home))
        problem = _problem(found, evidence)
    except WenError as error:
        problem = str(error).removeprefix(f"report.beside: {revision}: ")
    except ValueError:
        problem = f"its {EVIDENCE} is not valid JSON"
    if problem:
        print(f"report.beside: {revision}: {problem}; the report is written without it", file=sys.stderr)
        return None
    # Older studies have no published systems.
    return {"revision": _with_commit(revision, paths.home), "systems": found.get("systems", [])} | {
        key: found[key] for key in NEEDED
    }


def _with_commit(revision: str, root: Path) -> str:
    """Add the commit to the name of a branch, tag or experiment."""
    commit = commit_of(revision, root)
    return revision if commit.startswith(revision) else f"{revision} ({commit[:7]})"


def _problem(found: Any, evidence: dict[str, Any]) -> Message:
    if not isinstance(found, dict):
        return f"its {EVIDENCE} is not that of a study"
    if missing := [key for key in NEEDED if key not in found]:
        return f"its {EVIDENCE} lacks {', '.join(missing)}, as it was written by another version of wen"
    if found["dataset"] != evidence["dataset"]:
        return "that study used other images"
    return ""
