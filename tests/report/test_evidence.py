import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from report_study import MakeStudy, section
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score

from wen.data.table import COPIES, DEVELOPMENT, read_cells
from wen.ensemble.combined import ensemble
from wen.evaluation.metrics import MEASURES
from wen.evaluation.statistics import accuracy_difference
from wen.files import read_json
from wen.report import page, statements, summary
from wen.report.evidence import Evidence
from wen.report.language import Text
from wen.report.sections import baselines, readings
from wen.report.verdicts import verdict
from wen.results import gather
from wen.study import Study

HYPOTHESES = ("H1", "H2", "H3", "H4")


def test_every_hypothesis_has_a_verdict_and_tests_that_decide_it(make_study: MakeStudy) -> None:
    evidence = Evidence(gather(*make_study())).gathered()
    for key in HYPOTHESES:
        assert evidence["hypotheses"][key]["verdict"] in ("supported", "not_supported", "undecided", "not_tested")
        assert any(test["decides"] for test in evidence["tests"] if test["hypothesis"] == key)


def test_p_values_are_adjusted_by_the_number_of_tests_of_their_family(make_study: MakeStudy) -> None:
    evidence = Evidence(gather(*make_study(skill=0.5))).gathered()
    of_family: dict[str, list[dict[str, float]]] = {}
    for test in evidence["tests"]:
        of_family.setdefault(test["family"], []).append(test)
    sizes = {name: len(tests) for name, tests in of_family.items()}
    assert sizes == {"decides": 4, "champions": 4, "best_on_test": 2, "H3": 4, "schemes": 4, "areas": 10}
    for name, tests in of_family.items():
        number = 1 if name == "H3" else len(tests)
        for test in tests:
            assert test["p_adjusted"] == min(1, number * test["p"])
            assert test["level"] == 0.05 / number
    assert (evidence["family"], evidence["level"]) == (4, 0.0125)


FOLDS = [0, 1, 2, 3, 4]


def test_learning_rates_that_truly_differ_support_h1(make_study: MakeStudy) -> None:
    study = gather(*make_study(skill=0.8, cells=900, folds=FOLDS))
    for member in study.models[study.params.grid[2]]:
        member.test_probability[:] = np.roll(member.test_probability, 1)  # its answers now belong to other cells
    evidence = Evidence(study).gathered()
    assert evidence["hypotheses"]["H1"]["verdict"] == "supported"
    assert evidence["tests"][0]["difference"] > 0.1


def test_one_lucky_champion_does_not_support_h1_unlike_in_the_thesis(make_study: MakeStudy) -> None:
    study = gather(*make_study(skill=0.8, cells=900, folds=FOLDS))
    study.champions("leak_free")[2].probability[:] = study.label  # one run of five without a mistake
    evidence = Evidence(study).gathered()
    runs, cochran = evidence["tests"][:2]
    assert (runs["test"], runs["decides"]) == ("runs", True)
    assert (cochran["test"], cochran["decides"]) == ("cochran_q", False)
    assert cochran["p_adjusted"] < 0.001
    assert runs["p"] > 0.05
    assert evidence["hypotheses"]["H1"]["verdict"] == "undecided"


def test_runs_that_decide_alike_on_many_images_do_not_support_h1(make_study: MakeStudy) -> None:
    study = gather(*make_study(cells=6000, folds=FOLDS, report={"bootstrap": 200}))
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


def test_one_test_of_h1_two_of_h2_one_of_h4_and_every_comparison_of_h3_decide(
    make_study: MakeStudy,
) -> None:
    study = gather(*make_study(skill=0.5))
    deciding = [test for test in Evidence(study).tests() if test["decides"]]
    assert [test["hypothesis"] for test in deciding] == ["H1", "H2", "H2", *["H3"] * 4, "H4"]
    best = study.best_single("leak_free").id
    assert [test["between"][1] for test in deciding[1:4]] == [best] * 3


def test_the_reading_of_the_headline_does_not_change_which_single_model_decides(make_study: MakeStudy) -> None:
    params, paths = make_study(skill=0.5)
    written = gather(params.model_copy(update={"reading": "as_written"}), paths)
    tests = Evidence(written).tests()
    of_h2 = [test for test in tests if test["hypothesis"] == "H2" and test["measure"] == "accuracy"]
    assert [test["decides"] for test in of_h2] == [True, True, False, False]
    chosen, on_test = (written.best_single(reading).id for reading in ("leak_free", "as_written"))
    assert [test["between"][1] for test in of_h2] == [chosen, chosen, on_test, on_test]


def test_the_best_single_model_is_that_of_validation_data_in_every_section(make_study: MakeStudy) -> None:
    params, paths = make_study(skill=0.5)
    study = gather(params.model_copy(update={"reading": "as_written"}), paths)
    best = Evidence(study).gathered()["answer"]["single"]
    assert best != study.best_single("as_written").id
    intervals = {classifier.id: study.intervals(classifier) for classifier in study.classifiers}
    (single,) = (row for row in summary.summary(study, intervals) if row["role"] == "single")
    assert single["id"] == best == baselines.measure(study)["networks"][0]


@pytest.mark.parametrize(("people", "tested"), [(1, False), (2, True)])
def test_areas_are_not_compared_where_one_person_has_all_cells_of_a_class(
    make_study: MakeStudy, people: int, tested: bool
) -> None:
    study = gather(*make_study(split={"unit": "subject"}))
    healthy = study.label == 0
    study.cells.loc[healthy, "component"] = -1 - np.arange(healthy.sum()) % people
    assert any(test["measure"] == "auc" for test in Evidence(study).tests()) == tested
    gains = [row["gain"]["auc"] for row in baselines.measure(study)["baselines"]]
    assert all(gains) == any(gains) == tested


def decided(study: Study, right: dict[str, float]) -> Evidence:
    """The evidence if classifiers, by the start of their id, are right on so many of the first images."""
    order = np.arange(len(study.label)) / len(study.label)
    for classifier in study.classifiers:
        for start, share in right.items():
            if classifier.id.startswith(start):
                classifier.probability[:] = np.where(order < share, study.label, 1 - study.label)
    return Evidence(study)


@pytest.mark.parametrize("better", [0.88, 0.81])
def test_the_p_of_h2_is_that_of_an_ensemble_that_is_better(make_study: MakeStudy, better: float) -> None:
    study = gather(*make_study(cells=900))
    evidence = decided(study, {"inter": 0.5, "intra": better, "single": 0.8})
    tests = evidence.tests()
    intra, inter = (test for test in tests if test["hypothesis"] == "H2" and test["decides"])
    assert inter["difference"] < 0 < intra["difference"]
    assert inter["p_adjusted"] < intra["p_adjusted"]
    found = verdict("H2", tests, evidence.study)
    assert found["p_adjusted"] == intra["p_adjusted"]
    assert found["verdict"] == ("supported" if better == 0.88 else "undecided")


def test_h3_needs_every_comparison_and_corrects_none(make_study: MakeStudy) -> None:
    study = gather(*make_study(cells=900))
    evidence = decided(study, {"intra": 0.95, "inter": 0.8, "single": 0.8})
    found = verdict("H3", tests := evidence.tests(), evidence.study)
    assert found["verdict"] == "supported"
    assert found["p_adjusted"] == max(test["p"] for test in tests if test["family"] == "H3")
    equal = decided(study, {"inter 0.001": 0.95})
    assert verdict("H3", equal.tests(), equal.study)["verdict"] == "undecided"


@pytest.mark.parametrize(("key", "inter"), [("H2", 0.6), ("H3", 0.8)])
def test_an_ensemble_that_is_significantly_worse_gives_no_small_p_for_being_better(
    make_study: MakeStudy, key: str, inter: float
) -> None:
    evidence = decided(gather(*make_study()), {"intra": 0.6, "inter": inter, "single": 0.8})
    tests = [test for test in evidence.tests() if test["hypothesis"] == key and test["decides"]]
    assert max(test["p_adjusted"] for test in tests) < 0.05
    assert verdict(key, tests, evidence.study)["p_adjusted"] == 1


def test_h3_is_refuted_by_limits_that_hold_at_once(make_study: MakeStudy) -> None:
    study = gather(*make_study(cells=900, report={"margin": 0.03}))
    evidence = decided(study, {"intra": 0.9, "inter": 0.8, "single": 0.9})
    tests = [test for test in evidence.tests() if test["family"] == "H3"]
    one, other = study.intra("leak_free", evidence.scheme), study.best_single("leak_free")
    limit = accuracy_difference(study.right(one), study.right(other), study.unit, 0.05 / 4).high
    assert tests[0]["upper"] == limit > tests[0]["high"]
    for margin, expected in ((limit + 0.001, "not_supported"), (limit - 0.001, "undecided")):
        report = study.params.report.model_copy(update={"margin": margin})
        changed = replace(study, params=study.params.model_copy(update={"report": report}))
        assert verdict("H3", tests, changed)["verdict"] == expected


def test_a_test_set_too_small_to_refute_a_hypothesis_is_reported(make_study: MakeStudy) -> None:
    few = decided(gather(*make_study(cells=650)), {"": 1.0}).gathered()
    assert few["images"] == 130
    for key in HYPOTHESES:
        found = few["hypotheses"][key]
        assert (found["verdict"], found["cannot_refute"]) == ("undecided", True)
        assert found["reach"] >= 0.0209


def test_on_a_small_test_set_only_ensembles_that_are_worse_refute_h2_and_h3(make_study: MakeStudy) -> None:
    study = decided(gather(*make_study(cells=650)), {"": 1.0, "inter": 0.8, "intra": 0.8}).study
    tests = Evidence(study).tests()
    for key, expected in (("H2", "not_supported"), ("H3", "not_supported"), ("H4", "undecided")):
        found = verdict(key, tests, study)
        assert (found["verdict"], found["cannot_refute"]) == (expected, True)


def test_a_large_test_set_can_refute_every_hypothesis(make_study: MakeStudy) -> None:
    many = decided(gather(*make_study(cells=6000)), {"": 1.0}).gathered()["hypotheses"]
    for key in HYPOTHESES:
        assert (many[key]["verdict"], many[key]["cannot_refute"]) == ("not_supported", False)


def test_the_control_counts_the_decisions_that_weights_change(make_study: MakeStudy) -> None:
    study = gather(*make_study(skill=0.4, schemes=["accuracy", "f1", "kappa", "auc"]))
    control = Evidence(study).gathered()["control"]
    assert len(control["rows"]) == 4 * 4
    for row in control["rows"]:
        weighted = next(classifier for classifier in study.classifiers if classifier.id == row["id"])
        average = np.mean([member.test_probability for member in weighted.members], axis=0)
        assert row["changed"] == ((average >= 0.5) != (weighted.probability >= 0.5)).sum()
        assert row["largest"] == pytest.approx(np.abs(average - weighted.probability).max())
        assert row["p_adjusted"] == min(1, 16 * row["p"])
    assert control["changed"] == max(row["changed"] for row in control["rows"])


@pytest.mark.parametrize(
    ("changed", "message"), [(0, "weighting changed none of the 130 decisions"), (2, "at most 2 of 130 decisions")]
)
def test_the_sentence_on_weighting_says_when_no_decision_changes(changed: int, message: str) -> None:
    control = {"rows": [{}], "changed": changed, "images": 130, "largest": 0.01, "p_adjusted": 1.0}
    assert message in statements.weighting({"control": control, "alpha": 0.05, "units": 130}, 4, Text("en"))


def test_a_small_change_of_a_probability_is_not_called_none() -> None:
    control = {"rows": [{}], "changed": 0, "images": 130, "largest": 0.00023, "p_adjusted": 1.0}
    sentence = statements.weighting({"control": control, "alpha": 0.05, "units": 130}, 4, Text("en"))
    assert "no probability by more than 0.0002." in sentence


def test_the_smallest_difference_of_h1_is_one_number(make_study: MakeStudy) -> None:
    evidence = Evidence(gather(*make_study(folds=FOLDS))).gathered()
    assert evidence["hypotheses"]["H1"]["smallest"] == evidence["tests"][0]["smallest"] > 0.05


def test_schemes_that_decide_alike_on_many_images_do_not_support_h4(make_study: MakeStudy) -> None:
    study = gather(*make_study(cells=6000, report={"bootstrap": 200}))
    for classifier in study.classifiers:
        if classifier.kind != "single":
            classifier.probability[:] = study.label
    assert Evidence(study).gathered()["hypotheses"]["H4"]["verdict"] == "not_supported"


def test_schemes_that_decide_alike_on_few_images_leave_h4_undecided(make_study: MakeStudy) -> None:
    study = gather(*make_study(cells=120))
    for classifier in study.classifiers:
        if classifier.kind != "single":
            classifier.probability[:] = study.label
    verdict = Evidence(study).gathered()["hypotheses"]["H4"]
    assert verdict["verdict"] == "undecided"
    assert verdict["smallest"] > 0.01


@pytest.mark.parametrize("unit", ["image", "subject"])
def test_every_measure_lies_in_its_interval(make_study: MakeStudy, unit: str) -> None:
    study = gather(*make_study(split={"unit": unit}))
    intervals = Evidence(study).gathered()["intervals"]
    for classifier in study.classifiers:
        for measure in MEASURES:
            low, high = intervals[classifier.id][measure]
            assert low <= classifier.row[measure] <= high


def test_by_subject_the_units_are_the_subjects(make_study: MakeStudy) -> None:
    study = gather(*make_study(split={"unit": "subject"}))
    evidence = Evidence(study).gathered()
    assert evidence["units"] == study.cells.subject.nunique() < evidence["images"]
    assert {test["test"] for test in evidence["tests"]} <= {
        "runs", "sign_flip", "schemes", "cochran_q_permuted", "obuchowski",
    }  # fmt: skip


def test_subjects_joined_by_copies_are_one_unit_also_by_way_of_a_third_outside_the_test_set(
    make_study: MakeStudy,
) -> None:
    params, paths = make_study(split={"unit": "subject"})
    separate = gather(params, paths)
    cells = read_cells(paths)
    one, other, *_ = separate.cells.subject.unique()
    first, second = (min(separate.cells.id[separate.cells.subject == subject]) for subject in (one, other))
    third, again = cells.id[(cells.part == DEVELOPMENT) & (cells.subject == cells.subject[cells.fold >= 0].iloc[0])][:2]
    pairs = [sorted(pair) for pair in ((first, third), (second, again))]
    table = [(*pair, kind, 0, 1.0, 0.0, 1.0) for pair, kind in zip(pairs, ("exact", "near"), strict=True)]
    pd.DataFrame(table, columns=list(COPIES)).to_csv(paths.copies, index=False)
    joined = gather(params, paths)
    of_both = separate.cells.subject.isin([one, other]).to_numpy()
    assert len(np.unique(separate.unit[of_both])) == 2
    assert len(np.unique(joined.unit[of_both])) == 1
    assert sorted(np.unique(joined.unit)) == list(range(separate.unit.max()))
    assert Evidence(joined).gathered()["units"] == separate.cells.subject.nunique() - 1


def test_images_are_units_of_their_own_even_where_they_are_alike(make_study: MakeStudy) -> None:
    params, paths = make_study()
    one, other, *_ = sorted(gather(params, paths).cells.id)
    pair = pd.DataFrame([(one, other, "exact", 0, 1.0, 0.0, 1.0)], columns=list(COPIES))
    pair.to_csv(paths.copies, index=False)
    study = gather(params, paths)
    assert study.unit.tolist() == list(range(len(study.cells)))


def test_the_readings_are_compared_with_leak_free(make_study: MakeStudy) -> None:
    study = gather(*make_study(skill=0.5))
    rows = Evidence(study).gathered()["readings"]["compared"]
    assert len(rows) == 1 + len(study.params.schemes)
    for row in rows:
        assert row["difference"] == pytest.approx(row["as_written_accuracy"] - row["leak_free_accuracy"])


def test_weights_from_test_data_are_those_of_members_validated_on_the_test_set(make_study: MakeStudy) -> None:
    study = gather(*make_study(skill=0.5))
    for row in Evidence(study).gathered()["readings"]["compared"][1:]:
        members = [
            replace(member, validation_label=member.test_label, validation_probability=member.test_probability)
            for member in study.intra("leak_free", row["scheme"]).members
        ]
        right = (ensemble(members, row["scheme"], "none").probability >= 0.5) == study.label
        assert row["weights_on_test_accuracy"] == right.mean()


@pytest.mark.parametrize("unit", ["image", "subject"])
def test_selection_on_the_test_data_is_optimistic_and_halves_show_by_how_much(make_study: MakeStudy, unit: str) -> None:
    study = gather(*make_study(skill=0.5, folds=FOLDS, cells=900, split={"unit": unit}))
    optimism = Evidence(study).gathered()["readings"]["optimism"]
    assert optimism["halvings"] == 100
    for name in ("single", "intra"):
        found = optimism[name]
        assert found["low"] <= found["mean"] <= found["high"]
    assert 0 < optimism["single"]["mean"] < 0.15


def test_halves_do_not_overlap_and_split_both_classes_and_no_subject(make_study: MakeStudy) -> None:
    study = gather(*make_study(split={"unit": "subject"}))
    halves = readings.halves(study, 0)
    assert halves is not None
    assert (halves[::2] ^ halves[1::2]).all()
    for half in halves[:20]:
        assert set(study.unit[half]).isdisjoint(study.unit[~half])
        sick = [len(set(study.unit[side & (study.label == 1)])) for side in (half, ~half)]
        assert abs(sick[0] - sick[1]) <= 1


def test_validation_predicts_test_by_scipy_s_correlation_of_kappas(make_study: MakeStudy) -> None:
    study = gather(*make_study(skill=0.5, folds=FOLDS))
    found = Evidence(study).gathered()["readings"]["validation_predicts_test"]
    every: list[tuple[float, float]] = []
    for rate in study.params.grid:
        kappas = [
            (
                cohen_kappa_score(member.validation_label, member.validation_probability >= 0.5),
                cohen_kappa_score(member.test_label, member.test_probability >= 0.5),
            )
            for member in study.models[rate]
        ]
        every += kappas
        assert found["of_rate"][rate] == pytest.approx(spearmanr(kappas).statistic)
    assert found["overall"] == pytest.approx(spearmanr(every).statistic)
    assert found["models"] == 15


def test_two_models_of_a_rate_do_not_tell_what_validation_predicts(make_study: MakeStudy) -> None:
    params, paths = make_study(skill=0.5)
    assert "two models. These are too few to tell" in section(params, paths, "readings")
    found = read_json(paths.evidence)["readings"]["validation_predicts_test"]
    assert set(found["of_rate"].values()) == {None}
    assert (found["within_rates"], found["p"]) == (None, None)
    assert found["overall"] is not None


@pytest.mark.parametrize("skill", [0.5, 0.3])
def test_validation_predicts_only_what_no_exchange_of_folds_explains(make_study: MakeStudy, skill: float) -> None:
    """Models of equal skill, whose order on the test set is due to chance."""
    params, paths = make_study(skill=skill, folds=FOLDS)
    text = section(params, paths, "readings")
    p = read_json(paths.evidence)["readings"]["validation_predicts_test"]["p"]
    assert p >= 0.05
    assert "Validation is not shown to predict" in text
    assert f"p = {p:.3f}, by permutation of the folds" in text


@pytest.mark.parametrize("unit", ["image", "subject"])
@pytest.mark.parametrize("label", [0, 1])
def test_a_test_set_of_one_class_gives_evidence_without_a_warning(make_study: MakeStudy, unit: str, label: int) -> None:
    study = gather(*make_study(split={"unit": unit}))
    for member in (member for members in (study.models | study.baselines).values() for member in members):
        member.test_label[:] = label
    cells = study.cells.assign(label=label)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evidence = Evidence(replace(study, cells=cells)).gathered()
    assert all(test["measure"] == "accuracy" for test in evidence["tests"])
    assert all(0 <= test["p"] <= 1 for test in evidence["tests"])


def test_on_a_test_set_of_one_subject_nothing_is_tested_and_no_test_counted(make_study: MakeStudy) -> None:
    study = gather(*make_study(split={"unit": "subject"}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evidence = Evidence(replace(study, cells=study.cells.assign(component=0))).gathered()
    assert {found["verdict"] for found in evidence["hypotheses"].values()} == {"not_tested"}
    assert evidence["family"] == 0
    assert evidence["readings"]["optimism"] is None
    assert evidence["intervals"][study.focus.id]["accuracy"] == [0, 1]


@pytest.mark.parametrize(
    ("language", "says"), [("en", "4 subjects can be halved"), ("id", "4 subjek hanya dapat dibagi")]
)
def test_optimism_has_a_range_only_over_five_subjects_or_more(
    make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch, language: str, says: str
) -> None:
    params, paths = make_study(split={"unit": "subject"}, report={"language": language})
    study = gather(params, paths)
    for subjects in (5, 4):
        grouped = replace(study, cells=study.cells.assign(component=np.arange(len(study.cells)) % subjects))
        optimism = Evidence(grouped).gathered()["readings"]["optimism"]
        for of_one in (optimism["single"], optimism["intra"]):
            assert (of_one["low"] is None) is (of_one["high"] is None) is (subjects < 5)
    monkeypatch.setattr(page, "gather", lambda *_: grouped)
    assert says in section(params, paths, "readings")


@pytest.mark.parametrize("schemes", [["accuracy", "kappa"], ["kappa"], ["kappa", "uniform"], ["auc", "kappa"]])
def test_studies_of_few_schemes_have_evidence(make_study: MakeStudy, schemes: list[str]) -> None:
    evidence = Evidence(gather(*make_study(schemes=schemes))).gathered()
    several = len(set(schemes) - {"auc", "uniform"}) > 1
    assert evidence["family"] == 3 + several
    assert (evidence["hypotheses"]["H4"]["verdict"] == "not_tested") is not several


def test_equal_studies_give_equal_evidence(make_study: MakeStudy) -> None:
    params, paths = make_study()
    assert Evidence(gather(params, paths)).gathered() == Evidence(gather(params, paths)).gathered()
