"""Write docs/PARAMS.md, the reference of params.yaml: ``python docs/params_page.py``.

Type and range of a key come from the models of `wen.config.params`; its meaning from the comments of
profiles/demo.yaml or, for keys that are not there, from the docstring below the field; the stages that rerun from
dvc.yaml.
"""

import ast
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from wen.config import params
from wen.config.params import Params
from wen.config.stages import STAGES

NO_LIMIT = 2**31
"""The upper bound of integers, which is never reached; see `wen.config.types.Integer`."""
HEAD = """# params.yaml, key by key

Do not edit this page: `python docs/params_page.py` writes it from the code, from dvc.yaml and from the comments of
[profiles/demo.yaml](../profiles/demo.yaml). All of params.yaml is checked before any stage runs. If a key is unknown or
missing, or a value out of range, the message names it and nothing runs; `wen check` only checks. A key with a default
may be left out.

A stage reruns if a key that it reads changes; if its outputs change, the stages that read them rerun, too (last table).
A new learning rate, network or system adds only its own runs. `report` reruns at every change.
"""
FOLLOW = """## Stages that depend on a stage

| stage | stages that read its outputs, directly or through other stages |
|---|---|
"""


def page(root: Path) -> str:
    """Return the reference of the project in a folder, as Markdown."""
    meanings = comments((root / "profiles/demo.yaml").read_text(encoding="utf-8"))
    stages = YAML(typ="safe").load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    schema = Params.model_json_schema()
    top: list[str] = []
    sections: list[str] = []
    for key, field in schema["properties"].items():
        name = _section(field)
        if name is None:
            top.append(_row(key, field, schema, meanings, stages))
        else:
            text = "\n".join(_rows(f"{key}.", schema["$defs"][name], schema, meanings, stages))
            about = " ".join(schema["$defs"][name]["description"].replace("``", "`").split())
            sections.append(f"## {key}\n\n{about}\n\n{_COLUMNS}{text}\n")
    follow = "\n".join(f"| `{stage}` | {_listed(_after(stage, stages))} |" for stage in STAGES if stage in stages)
    first = "## Top level\n\n" + _COLUMNS + "\n".join(top) + "\n"
    return "\n".join([HEAD, first, *sections, FOLLOW + follow + "\n"])


_COLUMNS = "| key | values | meaning | read by |\n|---|---|---|---|\n"


def comments(text: str) -> dict[str, str]:
    """Return the comment at each key of a profile, by dotted keys such as ``images.size``."""
    found: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    key = ""
    for line in text.splitlines():
        if match := re.match(r"( *)([\w-]+):(?:\s.*?)?(?:\s#\s+(.*))?$", line):
            depth = len(match[1])
            path = [(indent, name) for indent, name in path if indent < depth] + [(depth, match[2])]
            key = ".".join(name for _, name in path)
            found[key] = match[3] or ""
        elif (match := re.match(r" {20,}# (.*)$", line)) and key:
            found[key] += f" {match[1]}"
    return found


def _section(field: Mapping[str, Any]) -> str | None:
    """Return the model of a field that is a section."""
    references = [part["$ref"] for part in (field, *field.get("anyOf", [])) if "$ref" in part]
    return references[0].rsplit("/", 1)[-1] if references else None


def _rows(
    prefix: str,
    model: Mapping[str, Any],
    schema: Mapping[str, Any],
    meanings: Mapping[str, str],
    stages: Mapping[str, Any],
) -> Iterator[str]:
    for name, field in model["properties"].items():
        inner = _section(field)
        if inner is None:
            yield _row(prefix + name, field | {"of": model["title"]}, schema, meanings, stages)
        else:
            yield from _rows(f"{prefix}{name}.", schema["$defs"][inner], schema, meanings, stages)


def _row(
    key: str,
    field: Mapping[str, Any],
    schema: Mapping[str, Any],
    meanings: Mapping[str, str],
    stages: Mapping[str, Any],
) -> str:
    values = _values(field, schema)
    if "default" in field:
        values += f"; default {_literal(field['default'])}"
    about = (meanings.get(key) or _docstring(field.get("of", "Params"), key.rsplit(".", 1)[-1])).replace("|", r"\|")
    return f"| `{key}` | {values} | {about} | {_listed(_readers(key, stages))} |"


def _docstring(model: str, name: str) -> str:
    """Return the docstring below a field, in the model or in its base class."""
    for kind in inspect.getmro(getattr(params, model)):
        if kind.__module__ != params.__name__:
            continue
        body = ast.parse(inspect.getsource(kind)).body[0].body  # type: ignore[attr-defined]
        for field, text in pairwise(body):
            is_field = isinstance(field, ast.AnnAssign) and getattr(field.target, "id", "") == name
            if is_field and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                docstring = " ".join(str(text.value.value).replace("``", "`").split()).rstrip(".")
                return docstring if docstring[:2].isupper() else docstring[0].lower() + docstring[1:]
    return ""


def _values(field: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Describe type and range in words."""
    if "anyOf" in field:
        return " or ".join(_values(part, schema) for part in field["anyOf"])
    if "enum" in field or "const" in field:
        return ", ".join(_literal(value) for value in field.get("enum", [field.get("const")]))
    if "$ref" in field:
        return f"a mapping as of `{field['$ref'].rsplit('/', 1)[-1].lower()}`"
    kind = field.get("type", "")
    if kind == "array":
        least, most = field.get("minItems"), field.get("maxItems")
        span = f", {least} of them" if least == most else f", {least} to {most}" if most else f", at least {least}"
        return f"list ({_values(field.get('items', {}), schema)}){span if least or most else ''}"
    if kind == "object":
        inner = (
            _values(field["additionalProperties"], schema)
            if isinstance(field.get("additionalProperties"), dict)
            else ""
        )
        return f"mapping of names to {inner}" if inner else "mapping"
    words = {"integer": "integer", "number": "number", "boolean": "true, false", "string": "text", "null": "null"}
    return words.get(kind, "number, text, true or false") + _range(field)


def _range(field: Mapping[str, Any]) -> str:
    words = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    shown = {key: field[key] for key in words if key in field and field[key] != NO_LIMIT}
    return "".join(
        f" {words[key]} {format(value, ',' if isinstance(value, int) else 'g')}" for key, value in shown.items()
    )


def _literal(value: Any) -> str:
    return f"`{json.dumps(value)}`" if value is None or isinstance(value, bool | list | dict) else f"`{value}`"


def _readers(key: str, stages: Mapping[str, Any]) -> list[str]:
    """Return the stages whose ``params`` contain a key, its section, a key in it, or that are generated from it."""
    found = []
    for name, stage in stages.items():
        body = stage.get("do", stage)
        read = [text for entry in body.get("params", []) for text in (entry if isinstance(entry, dict) else [entry])]
        read = [re.sub(r"\.\$\{key\}$", "", str(text)) for text in read]
        made_from = re.findall(r"\$\{(\w+)", str([stage.get("matrix"), stage.get("foreach"), body.get("deps")]))
        related = any(text == key or key.startswith(f"{text}.") or text.startswith(f"{key}.") for text in read)
        if related or key in made_from or "params.yaml" in body.get("deps", []):
            found.append(name)
    return found


def _after(stage: str, stages: Mapping[str, Any]) -> list[str]:
    """Return the stages that depend on a stage, in the order of dvc.yaml."""
    bodies = {name: found.get("do", found) for name, found in stages.items()}
    behind: set[str] = set()
    left = [stage]
    while left:
        outs = [_path(out) for kind in ("outs", "metrics", "plots") for out in bodies[left[-1]].get(kind, [])]
        left.pop()
        for name, body in bodies.items():
            deps = [_path(dep) for dep in body.get("deps", [])]
            if name not in behind and any(_within(out, dep) or _within(dep, out) for out in outs for dep in deps):
                behind.add(name)
                left.append(name)
    return [name for name in stages if name in behind]


def _path(entry: Any) -> list[str]:
    """Split a path of dvc.yaml into parts; all values of a template are equal."""
    text = next(iter(entry)) if isinstance(entry, dict) else str(entry)
    return re.sub(r"\$\{[^}]*\}", "*", text).split("/")


def _within(inner: list[str], outer: list[str]) -> bool:
    return inner[: len(outer)] == outer


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


if __name__ == "__main__":
    docs = Path(__file__).parent
    (docs / "PARAMS.md").write_text(page(docs.parent), encoding="utf-8", newline="\n")
