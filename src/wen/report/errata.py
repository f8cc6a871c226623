"""Errors and contradictions in the thesis, for the page and for docs/: ``python -m wen.report.errata en``."""

import sys
from importlib.resources import files
from typing import Any

from wen.report.language import listed

COLUMNS = ("place", "page", "says", "meant", "decision")


def errata(language: str) -> list[dict[str, Any]]:
    """Read the errata in a language.

    Parameters
    ----------
    language : str
        ``en`` or ``id``.

    Returns
    -------
    list of dict
        `COLUMNS` of each: where in the thesis, on which page the section begins, what it says, what is meant, and what
        this study does.
    """
    return listed("errata.yaml", language)


def markdown(language: str) -> str:
    """Write docs/ERRATA.md (``en``) or docs/ERRATA.id.md (``id``)."""
    text = files("wen.report").joinpath(f"templates/errata.{language}.md").read_text(encoding="utf-8")
    rows = ["| " + " | ".join(str(own[column]) for column in COLUMNS) + " |\n" for own in errata(language)]
    return text + "".join(rows)


if __name__ == "__main__":
    sys.stdout.write(markdown(sys.argv[1]))
