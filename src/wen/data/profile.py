"""Rewrite a profile of profiles/, all of which are for C-NMC, for another data set."""

import json
import re
from typing import Any

PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*( [A-Za-z0-9_-]+)*")
RESERVED = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
WIDTH = 39  # columns before a comment
INSERTED = {
    "table": "CSV of images, labels and subjects, in data/raw/cells",
    "subject": "regular expression; its group in an image's path is the subject",
}
"""Keys of ``dataset`` that the profiles lack, and their comments."""


def rewritten(text: str, header: str, values: dict[str, Any]) -> str:
    """Replace values in the text of a profile, and keep its comments.

    Parameters
    ----------
    text : str
    header : str
        Comment that replaces the first comment lines of the profile.
    values : dict
        Values by keys such as ``dataset.name``. Those of `INSERTED` are written after ``dataset.classes``.
    """
    lines, section = [], ""
    body = text[re.match(r"(#.*\n)*", text).end() :]  # type: ignore[union-attr]  # also matches an empty string
    for line in body.splitlines():
        if match := re.match(r"(?P<indent> *)(?P<key>\w+):", line):
            section = section if match["indent"] else match["key"]
            key = f"{section}.{match['key']}" if match["indent"] else match["key"]
            if key in values and len(match["indent"]) in (0, 2):
                line = _replaced(line, values[key])
        lines.append(line)
        if line.startswith("  classes:"):
            lines += [
                f"  {key}: {scalar(values[f'dataset.{key}'])}".ljust(WIDTH) + f"# {comment}"
                for key, comment in INSERTED.items()
                if values.get(f"dataset.{key}") is not None
            ]
    return "\n".join([f"# {header}", *lines]) + "\n"


def _replaced(line: str, value: Any) -> str:
    key, _, rest = line.partition(":")
    comment = re.search(r" #.*", rest)
    return (f"{key}: {scalar(value)}".ljust(WIDTH - 1) + comment[0]) if comment else f"{key}: {scalar(value)}"


def scalar(value: Any) -> str:
    """Format a value as YAML, without quotes if YAML reads it back as the same text."""
    if isinstance(value, list):
        return f"[{', '.join(map(scalar, value))}]"
    if isinstance(value, str) and PLAIN.fullmatch(value) and value.lower() not in RESERVED:
        return value
    return json.dumps(value, ensure_ascii=False)
