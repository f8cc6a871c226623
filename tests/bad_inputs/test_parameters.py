"""Every key of params.yaml with every kind of wrong value, and files that are no params.yaml."""

import copy
import io
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import PROJECT
from dvc.exceptions import InvalidArgumentError
from dvc.utils.hydra import apply_overrides
from project import Project
from pydantic import BaseModel
from ruamel.yaml import YAML

from wen.config.params import Params, load, parse
from wen.errors import WenError

DEMO: dict[str, Any] = YAML(typ="safe").load((PROJECT / "profiles/demo.yaml").read_text())


def keys(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, bool]]:
    """Every key by its full name, and whether it is a section."""
    for name, field in model.model_fields.items():
        kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
        section = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        yield above + name, section is not None
        if section:
            yield from keys(section, f"{above}{name}.")


KEYS = list(keys(Params))
VALUES = [key for key, section in KEYS if not section]
WRONG: dict[str, Any] = {
    "nothing": None,
    "not a number": math.nan,
    "infinity": math.inf,
    "minus infinity": -math.inf,
    "a mapping": {"a": 1},
    "an empty mapping": {},
    "an empty list": [],
    "a list of nothing": [None, None, None],
    "a list of words": ["a", "b", "c"],
    "an empty word": "",
    "below any range": -1e9,
    "above any range": 1e300,
    "a whole number below": -7,
}


def section_of(values: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    *sections, last = key.split(".")
    for name in sections:
        values = values[name]
    return values, last


def problems(values: dict[str, Any]) -> list[str]:
    with io.StringIO() as text, pytest.raises(WenError) as caught:
        YAML().dump(values, text)
        parse(text.getvalue(), Path("params.yaml"))
    return str(caught.value).splitlines()


def named(file: str | Path, key: str) -> tuple[str, ...]:
    """How a message may begin; of schemes that nobody knows, it says that the weighting in focus is not one of them."""
    return tuple(f"{file}: {name}" for name in ((key, "weighting") if key == "schemes" else (key,)))


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("key", VALUES)
def test_a_wrong_value_is_told_by_its_key(key: str, kind: str) -> None:
    values = copy.deepcopy(DEMO)
    section, last = section_of(values, key)
    section[last] = WRONG[kind]
    lines = problems(values)
    assert all(line.startswith(named("params.yaml", key)) for line in lines), lines
    assert len("".join(lines)) < 600


TYPED = ("null", "nan", "-inf", "{a: 1}", "[]", "[null, null]", "[a, b, c]", "''", "-1e9", "1e300", "-7")


@pytest.mark.parametrize("key", VALUES)
def test_a_wrong_value_from_set_param_is_told_by_its_key(tmp_path: Path, key: str) -> None:
    """As `dvc exp run --set-param` writes it into params.yaml."""
    file = tmp_path / "params.yaml"
    for typed in TYPED:
        shutil.copy(PROJECT / "profiles/demo.yaml", file)
        with pytest.raises((WenError, InvalidArgumentError)) as caught:  # DVC takes no other kind for a list
            apply_overrides(file, [f"{key}={typed}"])
            load(file)
        if isinstance(caught.value, WenError):
            assert all(line.startswith(named(file, key)) for line in str(caught.value).splitlines()), typed


@pytest.mark.parametrize("key", [key for key, _ in KEYS])
def test_a_missing_key_is_told(key: str) -> None:
    values = copy.deepcopy(DEMO)
    section, last = section_of(values, key)
    del section[last]
    assert any(line.startswith(f"params.yaml: {key}: missing") for line in problems(values))


@pytest.mark.parametrize("key", [key for key, _ in KEYS])
def test_a_misspelt_key_is_told_with_the_near_one(key: str) -> None:
    values = copy.deepcopy(DEMO)
    section, last = section_of(values, key)
    section[last[:-1]] = section.pop(last)
    said = problems(values)
    assert f"params.yaml: {key[:-1]}: unknown key; did you mean {last!r}?" in said


@pytest.mark.parametrize("key", ["none", "split.none", "dataset.synthetic.none"])
def test_an_unknown_key_is_told(key: str) -> None:
    values = copy.deepcopy(DEMO)
    section, last = section_of(values, key)
    section[last] = 1
    assert problems(values)[0].startswith(f"params.yaml: {key}: unknown key")


TEXT = (PROJECT / "profiles/demo.yaml").read_text()
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{own}: &{own} [{', '.join([f'*{before}'] * 9)}]\n" for before, own in zip("abcdefghi", "bcdefghij", strict=True)
)
HUGE = "0x" + "f" * 5000  # Python reads it, but does not print it
NO_PARAMS: dict[str, bytes] = {
    "empty": b"",
    "comments": b"# nothing\n",
    "a word": b"lr\n",
    "a list": b"- lr\n",
    "not closed": b"a: [\n",
    "a key twice": (TEXT + "lr: 0.1\n").encode(),
    "a tab": TEXT.replace("  unit:", "\tunit:").encode(),
    "no blank after a colon": TEXT.replace("seed: ", "seed:").encode(),
    "indented otherwise": TEXT.replace("  unit:", "   unit:").encode(),
    "latin-1": TEXT.replace("# demo", "# d\u00e9mo").encode("latin-1"),
    "utf-16": TEXT.encode("utf-16"),
    "zeros": bytes(100),
    "an alias of nothing": TEXT.replace("seed: 2019", "seed: *seed").encode(),
    "a tag that is code": TEXT.replace("seed: 2019", "seed: !!python/object/apply:os.getpid []").encode(),
    "two documents": (TEXT + "---\n" + TEXT).encode(),
    "a number for a key": (TEXT + "1: 2\n").encode(),
    "nothing for a key": (TEXT + "? \n: 2\n").encode(),
    "a number that is none": TEXT.replace("seed: 2019", "seed: !!int ''").encode(),
    "a number of a line below": TEXT.replace("seed: 2019", "seed: !!float _").encode(),
    "a truth that is none": TEXT.replace("seed: 2019", "seed: !!bool x").encode(),
    "a day that is none": TEXT.replace("seed: 2019", "seed: 2019-13-01").encode(),
    "a character beyond Unicode": TEXT.replace("unit: image", 'unit: "\\U99999999"').encode(),
    "half a character": TEXT.replace("unit: image", 'unit: "\\ud800"').encode(),
    "half a character for a key": (TEXT + '"\\ud800": 1\n').encode(),
    "a number of 5000 digits": TEXT.replace("seed: 2019", "seed: " + "9" * 5000).encode(),
    "a number of 5000 digits for a key": (TEXT + f"? {HUGE}\n: 1\n").encode(),
    "a date": TEXT.replace("seed: 2019", "seed: 2019-01-01").encode(),
    "a thousand brackets": b"seed: " + b"[" * 3000 + b"]" * 3000,
    "nested laughs": LAUGHS.encode() + TEXT.replace("seed: 2019", "seed: *j").encode(),
    "a word of a megabyte": TEXT.replace("unit: image", "unit: " + "i" * 1_000_000).encode(),
    "a merge conflict": TEXT.replace("seed: 2019", "<<<<<<< HEAD\nseed: 1\n=======\nseed: 2\n>>>>>>> b").encode(),
}


@pytest.mark.parametrize("name", NO_PARAMS)
def test_a_file_that_is_no_params_yaml_is_told(project: Project, name: str) -> None:
    (project.root / "params.yaml").write_bytes(NO_PARAMS[name])
    assert len(project.refuses("check", named="params.yaml")) < 3000


@pytest.mark.parametrize("form", [HUGE, f"[{HUGE}, {HUGE}, {HUGE}]", f"{{a: {HUGE}}}"], ids=["alone", "list", "map"])
@pytest.mark.parametrize("key", VALUES)
def test_a_number_too_long_to_print_is_told_by_its_key(key: str, form: str) -> None:
    values = copy.deepcopy(DEMO)
    section, last = section_of(values, key)
    section[last] = "HUGE"
    with io.StringIO() as text:
        YAML().dump(values, text)
        content = text.getvalue().replace("HUGE", form)
    with pytest.raises(WenError) as caught:
        parse(content, Path("params.yaml"))
    lines = str(caught.value).splitlines()
    assert all(line.startswith(named("params.yaml", key)) for line in lines), lines
    assert len("".join(lines)) < 600


def test_no_params_yaml_and_one_that_is_a_folder_are_told(project: Project) -> None:
    project.refuses("check", named="params.yaml: no such file")
    (project.root / "params.yaml").mkdir()
    project.refuses("check", named="params.yaml")
