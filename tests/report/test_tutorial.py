"""docs/TUTORIAL.md: each of its programs computes anew what the study reports."""

import re
from typing import Any

import numpy as np
import pytest
from conftest import PROJECT
from report_study import MakeStudy

from wen.report import page

PROGRAMS = re.findall(r"```python\n(.*?)```", (PROJECT / "docs/TUTORIAL.md").read_text(encoding="utf-8"), re.DOTALL)


def test_every_program_of_the_tutorial_gives_the_number_that_is_reported(
    make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    params, paths = make_study(report={"bootstrap": 200}, skill=0.6)
    page.run(params, paths)
    monkeypatch.chdir(paths.root)
    assert len(PROGRAMS) == 4
    for program in PROGRAMS:
        names: dict[str, Any] = {}
        exec(program, names)
        assert np.isfinite(names["reported"]).all()
        np.testing.assert_allclose(names["recomputed"], names["reported"], rtol=1e-12)
    assert names["b"] + names["c"] > 0  # else every formula of p gives 1
