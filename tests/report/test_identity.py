"""A study's name changes with the study, and with nothing else."""

import re

import pytest
from report_study import MakeStudy

from wen.config.member import Member
from wen.files import read_npz, write_npz
from wen.identity import identity, study_id
from wen.results import gather


def test_the_focus_and_the_report_do_not_change_the_name_and_the_rest_does(make_study: MakeStudy) -> None:
    params, paths = make_study(cells=60)
    name = study_id(params, paths)
    assert re.fullmatch("wen-[0-9a-f]{12}", name)
    report = params.report.model_copy(update={"language": "id", "margin": 0.02})
    same = {"lr": 0.0001, "weighting": "uniform", "ensemble": "intra", "reading": "as_written", "report": report}
    for key, value in same.items():
        assert study_id(params.model_copy(update={key: value}), paths) == name, key
    for key, value in {"seed": 7, "schemes": ["kappa"], "head": params.head.model_copy(update={"epochs": 9})}.items():
        assert study_id(params.model_copy(update={key: value}), paths) != name, key


@pytest.mark.parametrize("which", ["a model", "a baseline", "an Inter-LR ensemble", "the Intra-LR ensembles"])
def test_other_predictions_have_another_name(make_study: MakeStudy, which: str) -> None:
    params, paths = make_study(cells=60)
    name = study_id(params, paths)
    path = {
        "a model": paths.predictions(Member("0.001", 1)),
        "a baseline": paths.predictions(Member("baseline/colour", 1)),
        "an Inter-LR ensemble": paths.inter_predictions("0.0001"),
        "the Intra-LR ensembles": paths.intra_predictions,
    }[which]
    arrays = read_npz(path)
    key = next(key for key in arrays if key.endswith("probability"))
    arrays[key][0] = 1 - arrays[key][0]
    write_npz(path, **arrays)
    assert study_id(params, paths) != name


def test_evidence_says_which_classifier_the_headline_is_about(make_study: MakeStudy) -> None:
    params, paths = make_study(cells=60)
    found = identity(gather(params, paths), paths)
    assert found["classifier"] == "inter 0.001 kappa"
    assert found["focus"] == {"lr": 0.001, "weighting": "kappa", "ensemble": "inter", "reading": "leak_free"}
