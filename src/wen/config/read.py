"""Read params.yaml and check all of it; describe each problem in one sentence."""

import difflib
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from wen.config.params import Backbone, Params
from wen.config.types import Section, brief
from wen.errors import Message, WenError
from wen.names import shown

EXPECTED: dict[str, tuple[Message, Message]] = {
    "string_type": ("text", "write it in quotes"),  # YAML takes the commit 12e4567 for a number
    "bool_type": ("true or false", "write one of these"),  # YAML 1.2 takes yes and no for texts
    "list_type": ("a list", "write it in brackets, e.g. [a, b]"),
}
"""What a value of another type should be, and how to write it, by pydantic's name of the problem."""


def load(path: Path) -> Params:
    """Read and check a params.yaml.

    Parameters
    ----------
    path : Path
        A YAML 1.2 file, as DVC reads it.

    Returns
    -------
    Params

    Raises
    ------
    WenError
        With one line for each problem, naming the key.
    """
    try:
        return parse(path.read_bytes(), path)
    except FileNotFoundError:
        raise WenError(f"{path}: no such file; run this in the project's folder") from None


def parse(content: str | bytes, path: Path) -> Params:
    """Parse and check the content of a params.yaml; ``path`` appears in the messages of `WenError`."""
    try:
        text = content if isinstance(content, str) else content.decode("utf-8")
        values = YAML(typ="safe", pure=True).load(text)
    except UnicodeDecodeError as error:
        raise WenError(f"{path}: not UTF-8 ({error}); save it as UTF-8") from None
    except YAMLError as error:
        raise WenError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    except Exception as error:  # ruamel raises many types if a value contradicts its tag, as KeyError for !!bool x
        found = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise WenError(f"{path}: not valid YAML: a value cannot be read ({found})") from None
    if not isinstance(values, dict):
        raise WenError(
            f"{path}: expected keys and values, found {type(values).__name__}; copy one of profiles/ and edit it"
        )
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        lines = [f"{path}: {sentence(problem, _known_keys())}" for problem in error.errors()]
        raise WenError("\n".join(lines)) from None


def sentence(problem: Any, known: list[str]) -> Message:
    """Describe a problem that pydantic found; for an unknown key, suggest the nearest of the ``known`` keys."""
    key = shown(".".join(str(part) for part in problem["loc"]))
    kind, found = problem["type"], problem["input"]
    if kind == "missing":
        return f"{key}: missing"
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(key.rsplit(".", 1)[-1], known, n=1)
        return f"{key}: unknown key" + (f"; did you mean {near[0]!r}?" if near else "")
    if kind == "value_error":  # _hang_together names the key itself
        message = str(problem["msg"]).removeprefix("Value error, ")
        return f"{key}: {message}" if key else message
    if kind in EXPECTED:
        return f"{key or 'a key'}: should be {EXPECTED[kind][0]}, found {brief(found)}; {EXPECTED[kind][1]}"
    message = problem["msg"].removeprefix("Input ")
    return f"{key or 'a key'}: {message[0].lower()}{message[1:]}, found {brief(found)}"


def _known_keys() -> list[str]:
    sections: list[type[Section]] = [*Section.__subclasses__(), Backbone]
    return sorted({key for section in sections for key in section.model_fields})
