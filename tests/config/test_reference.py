"""docs/PARAMS.md: up to date, complete, and right about types, ranges and stages."""

import re
from typing import Any

import params_page
import pytest
from conftest import PROJECT
from ruamel.yaml import YAML


@pytest.fixture(scope="module")
def page() -> str:
    return params_page.page(PROJECT)


def row(page: str, key: str) -> list[str]:
    """Values, meaning and stages of a key."""
    line = next(line for line in page.splitlines() if line.startswith(f"| `{key}` |"))
    return [cell.strip() for cell in line.split("|")[2:5]]


def test_the_committed_page_is_up_to_date(page: str) -> None:
    written = (PROJECT / "docs/PARAMS.md").read_text(encoding="utf-8")
    assert written == page, "run `python docs/params_page.py`"


def keys(values: dict[str, Any], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for name, value in values.items():
        is_section = isinstance(value, dict) and name not in ("systems", "pretrained")
        found |= keys(value, f"{prefix}{name}.") if is_section else {prefix + name}
    return found


@pytest.mark.parametrize("profile", ["demo", "thesis", "honest", "laptop"])
def test_every_key_of_a_profile_has_a_row(page: str, profile: str) -> None:
    values = YAML(typ="safe").load((PROJECT / f"profiles/{profile}.yaml").read_text(encoding="utf-8"))
    assert keys(values) <= set(re.findall(r"^\| `([\w.]+)` \|", page, re.MULTILINE))


def test_every_key_has_a_description(page: str) -> None:
    assert [line for line in page.splitlines() if re.match(r"\| `[\w.]+` \|.*\|  \|", line)] == []


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("lr", "number from 1e-10 to 100"),
        ("folds", "list (integer from 0), at least 2"),
        ("seed", "integer from 0 below 4,294,967,296"),
        ("reading", "`as_written`, `leak_free`"),
        ("images.size", "integer from 32 to 4,096"),
        ("backbone.mean", "list (number from 0 to 1), 3 of them or null; default `null`"),
        ("finetune.keep", "`best`, `always`; default `best`"),
    ],
)
def test_the_types_and_ranges_shown_are_those_that_are_checked(page: str, key: str, values: str) -> None:
    assert row(page, key)[0] == values


def test_stages_are_those_of_dvc_yaml(page: str) -> None:
    assert row(page, "weighting")[2] == "`report`"
    assert row(page, "images.size")[2].startswith("`backbone`, `features`, `baselines`, `train-fold`")
    assert row(page, "split.test_fraction")[2] == "`split`, `repeats`, `report`"
    follow = page.split("## Stages that depend on a stage")[1]
    assert "| `train-fold` | `predict-fold`, `ensemble-inter`, `ensemble-intra`, `report` |" in follow
    assert "| `baselines` | `report` |" in follow


def test_a_comment_may_stand_beside_a_key_and_go_on_below_it() -> None:
    text = (
        "# Heading\nlr: 0.1   # rate\nhead:   # stage 1\n  epochs: 90   # at most,\n"
        "                       # or fewer\n# Next\ntrain:\n  batch_size: 16\n"
    )
    assert params_page.comments(text) == {
        "lr": "rate", "head": "stage 1", "head.epochs": "at most, or fewer", "train": "", "train.batch_size": "",
    }  # fmt: skip
