"""A profile of profiles/, which is of C-NMC, rewritten for another data set."""

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
"""Keys of ``dataset`` that no profile has, and their comments."""


def rewritten(text: str, header: str, values: dict[str, Any]) -> str:
    """Put values into the text of a profile, and keep its comments.

    Parameters
    ----------
    text : str
    header : str
        Comment that takes the place of the profile's first ones.
    values : dict
        By keys such as ``dataset.name``. Those of `INSERTED` are written behind ``dataset.classes``.
    """
    lines, section = [], ""
    body = text[re.match(r"(#.*\n)*", text).end() :]  # type: ignore[union-attr]  # it matches nothing, too
    for line in body.splitlines():
        if found := re.match(r"(?P<indent> *)(?P<key>\w+):", line):
            section = section if found["indent"] else found["key"]
            key = f"{section}.{found['key']}" if found["indent"] else found["key"]
            if key in values and len(found["indent"]) in (0, 2):
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
    """Write a value as YAML: a word as it is, if it can be read back so."""
    if isinstance(value, list):
        return f"[{', '.join(map(scalar, value))}]"
    if isinstance(value, str) and PLAIN.fullmatch(value) and value.lower() not in RESERVED:
        return value
    return json.dumps(value, ensure_ascii=False)
