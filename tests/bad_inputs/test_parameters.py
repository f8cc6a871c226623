"""params.yaml with any value at any key, and files that are not a valid params.yaml."""

import copy
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import PROJECT
from hypothesis import example, given, settings
from hypothesis import strategies as st
from project import Project
from pydantic import BaseModel
from ruamel.yaml import YAML

from wen.config.params import Params
from wen.config.read import parse
from wen.errors import WenError

TEXT = (PROJECT / "profiles/demo.yaml").read_text()
DEMO: dict[str, Any] = YAML(typ="safe").load(TEXT)
HUGE = "0x" + "f" * 5000  # Python reads it, but does not print it
ELSEWHERE = {"schemes": "weighting", "dataset.side": "images.crop"}  # of two keys that contradict, the one named


def keys(model: type[BaseModel], above: str = "") -> Iterator[str]:
    """Every key by its full name, of sections and of values."""
    for name, field in model.model_fields.items():
        yield above + name
        for kind in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from keys(kind, f"{above}{name}.")


def section_of(values: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    *sections, last = key.split(".")
    for name in sections:
        values = values[name]
    return values, last


def problems(values: dict[str, Any]) -> list[str]:
    """The lines of the error; empty if the values are accepted."""
    with io.StringIO() as text:
        YAML().dump(values, text)
        content = text.getvalue().replace("HUGE", HUGE)
    try:
        parse(content, Path("params.yaml"))
    except WenError as error:
        return str(error).splitlines()
    return []


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.just("HUGE")
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(), SCALARS, max_size=2)


@settings(max_examples=250, deadline=None)
@given(key=st.sampled_from(list(keys(Params))), value=VALUES)
@example(key="lr", value=math.nan)
@example(key="seed", value="HUGE")
@example(key="folds", value=["HUGE"] * 3)
@example(key="dataset.synthetic", value={"a": "HUGE"})
@example(key="lr_grid", value=[None, None, None])
@example(key="report.bootstrap", value=-1e300)
@example(key="dataset.subject", value="\x1e")
def test_any_value_of_any_key_is_accepted_or_refused_by_its_key(key: str, value: Any) -> None:
    values = copy.deepcopy(DEMO)
    section, last = section_of(values, key)
    section[last] = value
    named = tuple(f"params.yaml: {name}" for name in (key, ELSEWHERE.get(key, key)))
    lines = problems(values)
    assert all(line.startswith(named) for line in lines), lines
    assert sum(map(len, lines)) < 1500


def test_a_misspelt_key_is_reported_with_the_nearest_one_and_as_missing() -> None:
    values = copy.deepcopy(DEMO)
    values["finetune"]["epoch"] = values["finetune"].pop("epochs")
    values["sed"] = values.pop("seed")
    values["nothing of the kind"] = 1
    assert problems(values) == [
        "params.yaml: seed: missing",
        "params.yaml: finetune.epochs: missing",
        "params.yaml: finetune.epoch: unknown key; did you mean 'epochs'?",
        "params.yaml: sed: unknown key; did you mean 'seed'?",
        "params.yaml: nothing of the kind: unknown key",
    ]


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{key}: &{key} [{', '.join([f'*{before}'] * 9)}]\n" for before, key in zip("abcdefghi", "bcdefghij", strict=True)
)
NO_PARAMS: dict[str, bytes] = {
    "empty": b"",
    "a list": b"- lr\n",
    "not closed": b"a: [\n",
    "a key twice": (TEXT + "lr: 0.1\n").encode(),
    "latin-1": TEXT.replace("# demo", "# d\u00e9mo").encode("latin-1"),
    "zeros": bytes(100),
    "a tag that is code": TEXT.replace("seed: 2019", "seed: !!python/object/apply:os.getpid []").encode(),
    "two documents": (TEXT + "---\n" + TEXT).encode(),
    "a number for a key": (TEXT + "1: 2\n").encode(),
    "a truth that is none": TEXT.replace("seed: 2019", "seed: !!bool x").encode(),
    "half a character for a key": (TEXT + '"\\ud800": 1\n').encode(),
    "a number of 5000 digits for a key": (TEXT + f"? {HUGE}\n: 1\n").encode(),
    "a thousand brackets": b"seed: " + b"[" * 3000 + b"]" * 3000,
    "nested laughs": LAUGHS.encode() + TEXT.replace("seed: 2019", "seed: *j").encode(),
    "a word of a megabyte": TEXT.replace("unit: image", "unit: " + "i" * 1_000_000).encode(),
    "a merge conflict": TEXT.replace("seed: 2019", "<<<<<<< HEAD\nseed: 1\n=======\nseed: 2\n>>>>>>> b").encode(),
}


@pytest.mark.parametrize("name", NO_PARAMS)
def test_a_file_that_is_not_valid_as_params_yaml_is_refused(project: Project, name: str) -> None:
    (project.root / "params.yaml").write_bytes(NO_PARAMS[name])
    assert len(project.refuses("check", named="params.yaml")) < 3000


def test_a_missing_params_yaml_and_a_folder_of_that_name_are_refused(project: Project) -> None:
    project.refuses("check", named="params.yaml: no such file")
    (project.root / "params.yaml").mkdir()
    project.refuses("check", named="params.yaml")
