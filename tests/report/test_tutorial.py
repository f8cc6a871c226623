"""docs/TUTORIAL.md: each program recomputes what the study reports. docs/API.md: its program reads the study."""

import re
from typing import Any

import numpy as np
import pytest
from conftest import PROJECT
from report_study import MakeStudy
from ruamel.yaml import YAML
from scipy.stats import binom

from wen.evaluation.statistics import mcnemar_mid_p
from wen.report import page


def programs(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (PROJECT / "docs" / page).read_text(encoding="utf-8"), re.DOTALL)


PROGRAMS = programs("TUTORIAL.md")


def test_every_program_of_the_tutorial_gives_the_number_that_is_reported(
    make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    params, paths = make_study(report={"bootstrap": 200}, skill=0.6)
    page.run(params, paths)
    monkeypatch.chdir(paths.root)
    assert len(PROGRAMS) == 7
    disputed = 0
    for program in PROGRAMS:
        names: dict[str, Any] = {}
        exec(program, names)
        assert np.isfinite(names["reported"]).all()
        np.testing.assert_allclose(names["recomputed"], names["reported"], rtol=1e-12, atol=names.get("tolerance", 0.0))
        disputed += int(names.get("b", 0) + names.get("c", 0))
    assert disputed  # else every formula of p gives 1


@pytest.mark.parametrize(("b", "c"), [(0, 0), (3, 3), (2, 5), (5, 2)])
def test_the_tutorial_s_p_of_h2_is_that_of_the_report_for_every_number_of_disputed_images(b: int, c: int) -> None:
    formula = re.search(r"^tosses = .*\nrecomputed = .*\n", PROGRAMS[3], re.MULTILINE)
    assert formula
    names = {"b": b, "c": c, "binom": binom}
    exec(formula[0], names)
    assert names["recomputed"] == pytest.approx(mcnemar_mid_p(b, c))


def test_the_indonesian_tutorial_has_the_same_programs() -> None:
    assert programs("TUTORIAL.id.md") == PROGRAMS


def test_the_program_of_the_api_page_reads_the_study_in_its_folder(
    make_study: MakeStudy,
    values: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, paths = make_study()
    YAML().dump(values, paths.params)
    monkeypatch.chdir(paths.root)
    program = next(text for text in programs("API.md") if "gather" in text)
    names: dict[str, Any] = {}
    exec(program, names)
    study, focus = names["study"], names["focus"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{focus.id} {focus.row['accuracy']}"
    assert len(lines) == 2 + len(focus.members)
    assert names["best"].row["auc"] == max(classifier.row["auc"] for classifier in study.classifiers)
    assert len(names["wrong"]) == names["best"].row["fn"] + names["best"].row["fp"]
