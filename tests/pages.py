"""The code blocks of README and docs/, for the tests that run them."""

import re

from conftest import PROJECT

PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    *(path.relative_to(PROJECT).as_posix() for path in sorted((PROJECT / "docs").rglob("*.md"))),
)


def read(page: str) -> str:
    return (PROJECT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    """The blocks of a page in a language, such as ``sh``."""
    return re.findall(rf"```{language}\n(.*?)```", read(page), re.DOTALL)


def block(page: str, phrase: str, instead: dict[str, str] | None = None, language: str = "sh") -> str:
    """The one block of a page that has a phrase.

    Parameters
    ----------
    page, phrase : str
    instead : dict, optional
        What takes the place of what a test does not have, such as a path or a cluster.
    language : str
    """
    (text,) = (text for text in blocks(page, language) if phrase in text)
    for there, stand_in in (instead or {}).items():
        assert there in text, f"{page}: the block with {phrase!r} has no {there!r} any more"
        text = text.replace(there, stand_in)
    return text
