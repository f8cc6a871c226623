import numpy as np
import pandas as pd
import pytest
from report_study import MakeStudy

from wen.data.table import COPIES, DEVELOPMENT, read_cells
from wen.evaluation.metrics import MEASURES
from wen.evaluation.statistics import holm
from wen.report.evidence import Evidence
from wen.results import gather

HYPOTHESES = ("H1", "H2", "H3", "H4")


def test_every_hypothesis_has_a_verdict_and_tests_that_decide_it(make_study: MakeStudy) -> None:
    evidence = Evidence(gather(*make_study())).gathered()
    for key in HYPOTHESES:
        assert evidence["hypotheses"][key]["verdict"] in ("supported", "not_supported", "undecided")
        assert any(test["decides"] for test in evidence["tests"] if test["hypothesis"] == key)


def test_corrected_p_values_are_never_below_their_own_and_grow_with_them(make_study: MakeStudy) -> None:
    tests = Evidence(gather(*make_study())).gathered()["tests"]
    for kind in ((True, "accuracy"), (False, "accuracy"), (False, "auc")):
        family = sorted((test["p"], test["p_holm"]) for test in tests if (test["decides"], test["measure"]) == kind)
        assert all(p <= corrected <= 1 for p, corrected in family)
        assert [corrected for _, corrected in family] == sorted(corrected for _, corrected in family)


FOLDS = [0, 1, 2, 3, 4]


def test_learning_rates_that_truly_differ_support_h1(make_study: MakeStudy) -> None:
    study = gather(*make_study(skill=0.8, cells=900, folds=FOLDS))
    for member in study.models[study.params.grid[2]]:
        member.test_probability[:] = np.roll(member.test_probability, 1)  # its answers now belong to other cells
    evidence = Evidence(study).gathered()
    assert evidence["hypotheses"]["H1"]["verdict"] == "supported"
    assert evidence["tests"][0]["difference"] > 0.1


def test_one_lucky_champion_does_not_support_h1_as_the_thesis_would_have_it(make_study: MakeStudy) -> None:
    study = gather(*make_study(skill=0.8, cells=900, folds=FOLDS))
    study.champions("leak_free")[2].probability[:] = study.label  # one run of five without a mistake
    evidence = Evidence(study).gathered()
    runs, cochran = evidence["tests"][:2]
    assert (runs["test"], runs["decides"]) == ("runs", True)
    assert (cochran["test"], cochran["decides"]) == ("cochran_q", False)
    assert cochran["p_holm"] < 0.001
    assert runs["p"] > 0.05
    assert evidence["hypotheses"]["H1"]["verdict"] == "undecided"


def test_runs_that_decide_alike_on_many_images_do_not_support_h1(make_study: MakeStudy) -> None:
    study = gather(*make_study(cells=6000, folds=FOLDS))
    for members in study.models.values():
        for member in members:
            member.test_probability[:] = study.label
    assert Evidence(study).gathered()["hypotheses"]["H1"]["verdict"] == "not_supported"


def test_h1_is_about_the_runs_of_the_grid_alone(make_study: MakeStudy) -> None:
    study = gather(*make_study(lr=3e-4))
    test = Evidence(study).tests()[0]
    assert test["between"] == [f"average {lr}" for lr in study.params.grid]
    means = [np.mean([study.right(study.single(m)).mean() for m in study.models[lr]]) for lr in study.params.grid]
    assert test["difference"] == pytest.approx(max(means) - min(means))


def test_the_family_of_a_verdict_is_the_tests_that_decide(make_study: MakeStudy) -> None:
    tests = Evidence(gather(*make_study(skill=0.5))).tests()
    deciding = [test for test in tests if test["decides"]]
    assert [test["hypothesis"] for test in deciding].count("H1") == 1
    assert [test["p_holm"] for test in deciding] == holm([test["p"] for test in deciding])
    assert tests[0]["level"] == pytest.approx(0.05 / len(deciding))


def test_the_smallest_difference_of_h1_is_one_number(make_study: MakeStudy) -> None:
    evidence = Evidence(gather(*make_study(folds=FOLDS))).gathered()
    assert evidence["hypotheses"]["H1"]["smallest"] == evidence["tests"][0]["smallest"] > 0.05


def test_schemes_that_decide_alike_on_many_images_do_not_support_h4(make_study: MakeStudy) -> None:
    study = gather(*make_study(cells=6000))
    for own in study.classifiers:
        if own.kind != "single":
            own.probability[:] = study.label
    assert Evidence(study).gathered()["hypotheses"]["H4"]["verdict"] == "not_supported"


def test_schemes_that_decide_alike_on_few_images_leave_h4_undecided(make_study: MakeStudy) -> None:
    study = gather(*make_study(cells=120))
    for own in study.classifiers:
        if own.kind != "single":
            own.probability[:] = study.label
    verdict = Evidence(study).gathered()["hypotheses"]["H4"]
    assert verdict["verdict"] == "undecided"
    assert verdict["smallest"] > 0.01


@pytest.mark.parametrize("unit", ["image", "subject"])
def test_every_measure_lies_in_its_interval(make_study: MakeStudy, unit: str) -> None:
    study = gather(*make_study(split={"unit": unit}))
    intervals = Evidence(study).gathered()["intervals"]
    for own in study.classifiers:
        for measure in MEASURES:
            low, high = intervals[own.id][measure]
            assert low <= own.row[measure] <= high


def test_by_subject_the_units_are_the_subjects(make_study: MakeStudy) -> None:
    study = gather(*make_study(split={"unit": "subject"}))
    evidence = Evidence(study).gathered()
    assert evidence["units"] == study.cells.subject.nunique() < evidence["images"]
    assert {test["test"] for test in evidence["tests"]} <= {
        "runs", "sign_flip", "cochran_q", "cochran_q_permuted", "obuchowski",
    }  # fmt: skip


def test_subjects_joined_by_copies_are_one_unit_also_by_way_of_a_third_outside_the_test_set(
    make_study: MakeStudy,
) -> None:
    params, paths = make_study(split={"unit": "subject"})
    alone = gather(params, paths)
    cells = read_cells(paths)
    one, other, *_ = alone.cells.subject.unique()
    first, second = (min(alone.cells.id[alone.cells.subject == subject]) for subject in (one, other))
    third, again = cells.id[(cells.part == DEVELOPMENT) & (cells.subject == cells.subject[cells.fold >= 0].iloc[0])][:2]
    pairs = [sorted(pair) for pair in ((first, third), (second, again))]
    table = [(*pair, kind, 0, 1.0, 0.0, 1.0) for pair, kind in zip(pairs, ("exact", "near"), strict=True)]
    pd.DataFrame(table, columns=list(COPIES)).to_csv(paths.copies, index=False)
    joined = gather(params, paths)
    of_both = alone.cells.subject.isin([one, other]).to_numpy()
    assert len(np.unique(alone.unit[of_both])) == 2
    assert len(np.unique(joined.unit[of_both])) == 1
    assert sorted(np.unique(joined.unit)) == list(range(alone.unit.max()))
    assert Evidence(joined).gathered()["units"] == alone.cells.subject.nunique() - 1


def test_images_are_units_of_their_own_even_where_they_are_alike(make_study: MakeStudy) -> None:
    params, paths = make_study()
    one, other, *_ = sorted(gather(params, paths).cells.id)
    pair = pd.DataFrame([(one, other, "exact", 0, 1.0, 0.0, 1.0)], columns=list(COPIES))
    pair.to_csv(paths.copies, index=False)
    study = gather(params, paths)
    assert study.unit.tolist() == list(range(len(study.cells)))


def test_optimism_is_the_difference_of_the_two_readings(make_study: MakeStudy) -> None:
    study = gather(*make_study(skill=0.5))
    rows = Evidence(study).gathered()["optimism"]
    assert len(rows) == 1 + len(study.params.schemes)
    for row in rows:
        assert row["difference"] == pytest.approx(row["as_written_accuracy"] - row["leak_free_accuracy"])


def test_equal_studies_give_equal_evidence(make_study: MakeStudy) -> None:
    params, paths = make_study()
    assert Evidence(gather(params, paths)).gathered() == Evidence(gather(params, paths)).gathered()
