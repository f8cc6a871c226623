"""The page's texts, and the page."""

import re
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from ruamel.yaml import YAML

from wen.members.apply import Applied

LANGUAGES = {"en": "English", "id": "Bahasa Indonesia"}
OF_SCRIPT = "js."
"""What the keys of texts begin with that the script writes."""


class Text:
    """Look up texts of texts.yaml by their key.

    Parameters
    ----------
    language : str
        One of `LANGUAGES`.
    **values
        For the names in braces; whole numbers get the language's mark of thousands.
    """

    def __init__(self, language: str, **values: str | int) -> None:
        self.language = language
        self.values = {key: self.count(value) if isinstance(value, int) else value for key, value in values.items()}

    def __call__(self, key: str) -> str:
        """A text; names in braces that are not given stay, for the script."""
        return re.sub(r"\{(\w+)\}", lambda name: self.values.get(name[1], name[0]), _texts()[key][self.language])

    def of_script(self) -> dict[str, str]:
        """The texts that the script writes, without the beginning of their keys."""
        return {key.removeprefix(OF_SCRIPT): self(key) for key in _texts() if key.startswith(OF_SCRIPT)}

    def count(self, value: int) -> str:
        text = f"{value:,}"
        return text.replace(",", ".") if self.language == "id" else text

    def given(self, value: float) -> str:
        """Write a number with all its digits."""
        text = f"{value:g}"
        return text.replace(".", ",") if self.language == "id" else text


def phrases(language: str) -> list[tuple[str, str]]:
    """Parts of warnings and messages of `wen classify`, as regular expressions, and what the page says instead."""
    return [(entry["found"], entry[language]) for entry in _read("phrases.yaml") if language in entry]


def rendered(t: Text, applied: Applied, script: dict[str, Any]) -> str:
    """Write the page of a classifier; ``script`` is what page.js is given."""
    environment = Environment(loader=PackageLoader("wen.serve", "."), autoescape=True, undefined=StrictUndefined)
    template = environment.get_template("page.html")
    return template.render(t=t, applied=applied, script=script, languages=LANGUAGES)


def _texts() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = _read("texts.yaml")
    return found


@cache
def _read(name: str) -> Any:
    return YAML(typ="safe").load(files("wen.serve").joinpath(name).read_text(encoding="utf-8"))
