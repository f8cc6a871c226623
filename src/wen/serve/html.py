"""Render the page, and look up its texts."""

import re
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from ruamel.yaml import YAML

from wen.members.apply import Applied

LANGUAGES = {"en": "English", "id": "Bahasa Indonesia"}
OF_SCRIPT = "js."
"""Prefix of the keys of texts that page.js shows."""


class Text:
    """Look up the texts of texts.yaml by their keys.

    Parameters
    ----------
    language : str
        One of `LANGUAGES`.
    **values
        Values of the placeholders in braces; integers are formatted with the thousands mark of the language.
    """

    def __init__(self, language: str, **values: str | int) -> None:
        self.language = language
        self.values = {key: self.count(value) if isinstance(value, int) else value for key, value in values.items()}

    def __call__(self, key: str) -> str:
        """Return a text. Placeholders without a value are kept, for the script to fill."""
        return re.sub(r"\{(\w+)\}", lambda name: self.values.get(name[1], name[0]), _texts()[key][self.language])

    def of_script(self) -> dict[str, str]:
        """Return the texts of the script, by their keys without the prefix."""
        return {key.removeprefix(OF_SCRIPT): self(key) for key in _texts() if key.startswith(OF_SCRIPT)}

    def count(self, value: int) -> str:
        """Format an integer with the thousands mark of the language."""
        text = f"{value:,}"
        return text.replace(",", ".") if self.language == "id" else text

    def given(self, value: float) -> str:
        """Format a number with all its digits."""
        text = f"{value:g}"
        return text.replace(".", ",") if self.language == "id" else text


def phrases(language: str) -> list[tuple[str, str]]:
    """List parts of the warnings and messages of `wen classify`, as regular expressions, with their translations."""
    return [(entry["found"], entry[language]) for entry in _read("phrases.yaml") if language in entry]


def rendered(t: Text, applied: Applied, script: dict[str, Any]) -> str:
    """Render the page of a classifier; ``script`` is the data that page.js receives."""
    environment = Environment(loader=PackageLoader("wen.serve", "."), autoescape=True, undefined=StrictUndefined)
    template = environment.get_template("page.html")
    return template.render(t=t, applied=applied, script=script, languages=LANGUAGES)


def _texts() -> dict[str, dict[str, str]]:
    texts: dict[str, dict[str, str]] = _read("texts.yaml")
    return texts


@cache
def _read(name: str) -> Any:
    return YAML(typ="safe").load(files("wen.serve").joinpath(name).read_text(encoding="utf-8"))
