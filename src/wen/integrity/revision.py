"""Another revision of the study's repository, which params.yaml's ``report.beside`` names."""

import subprocess
from contextlib import closing
from pathlib import Path

from wen.errors import WenError

EVIDENCE = "metrics/evidence.json"


def commit_of(revision: str, root: Path) -> str:
    """Return the commit that a commit, branch, tag or experiment of DVC names now.

    Parameters
    ----------
    revision : str
    root : Path
        The study's folder, see `wen.config.paths.Paths.home`: the repository of a queued experiment has no branches.

    Raises
    ------
    WenError
        If there is no repository, or no such revision in it.
    """
    from dvc.scm import SCMError, resolve_rev  # half a second, which a study with nothing beside it need not spend
    from scmrepo.exceptions import SCMError as GitError
    from scmrepo.git import Git

    try:
        with closing(Git(str(root.resolve()))) as repository:
            return str(resolve_rev(repository, revision))
    except (SCMError, GitError) as error:
        raise WenError(f"report.beside: {revision}: {' '.join(str(error).split())}") from None


def results_of(revision: str, root: Path) -> str:
    """Return the id that git gives to a revision's evidence, which changes with its content only.

    Raises
    ------
    WenError
        If there is no such revision, or no evidence in it.
    """
    return _git(["rev-parse", "--verify", "--quiet"], revision, root).strip()


def evidence_of(revision: str, root: Path) -> str:
    """Return a revision's evidence, a JSON text. In a partial clone, git fetches it.

    Raises
    ------
    WenError
        If there is no such revision, or no evidence in it.
    """
    return _git(["cat-file", "blob"], revision, root)


def _git(command: list[str], revision: str, root: Path) -> str:
    """Return the output of a git command on a revision's evidence."""
    name = f"{commit_of(revision, root)}:./{EVIDENCE}"
    found = subprocess.run(
        ["git", "-C", str(root), *command, name], check=False, stdin=subprocess.DEVNULL, capture_output=True,
        encoding="utf-8", errors="replace",
    )  # fmt: skip
    if found.returncode:
        raise WenError(f"report.beside: {revision}: has no {EVIDENCE}")
    return found.stdout
