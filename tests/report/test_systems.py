"""The published systems on the page: their numbers, the verdicts on their papers' claims, and skipped systems."""

import copy
import html
import json
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import study_values
from report_study import write_study
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, roc_auc_score
from statsmodels.stats.proportion import proportion_confint

from wen.config.params import Params
from wen.config.paths import Paths
from wen.errors import WenError
from wen.evaluation.metrics import MEASURES
from wen.evaluation.resampling import subject_intervals
from wen.figure_style import render
from wen.files import read_json, read_npz, write_json, write_npz
from wen.report import beside, claims, page, published, system_table, terminal
from wen.report.evidence import Evidence
from wen.report.language import Text, listed
from wen.report.sections import systems
from wen.results import gather
from wen.study import Study
from wen.systems import replication
from wen.systems.system import names

DRAWN = True

LITE = ["tf_efficientnet_lite0"]
SYSTEMS = {
    "mondal2021": {"networks": ["vgg16", "densenet121"]},
    "baby2022": {"networks": LITE},
    "wibowo2024": {},
    "ullah2021": {"networks": ["vgg19"]},
}
"""Weights a network for another, takes a stand-in, searches, and lacks its weights."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Made:
    """A made-up study, and the report on its systems."""

    params: Params
    paths: Paths
    rows: dict[str, Row]
    section: str
    forest: str

    @property
    def study(self) -> Study:
        return gather(self.params, self.paths)


@pytest.fixture(scope="module")
def by_subject(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Synthetic cells, in Indonesian, with a system that systems.yaml does not have; the section alone."""
    params, paths = _write(tmp_path_factory, split={"unit": "subject"}, report={"language": "id"})
    shutil.copytree(paths.system("baby2022").parent, paths.system("own2030").parent)
    params = params.model_copy(update={"systems": params.systems | {"own2030": {}}})
    study, t = gather(params, paths), Text("id")
    rows = systems.measure(study)
    evidence = {
        "systems": rows,
        "images": len(study.label),
        "unit": "subject",
        "test_set": "random",
        "beside": None,
        "repeats": {"leaks": None},
    }
    drawn = systems.figures(study, rows, t) | {"systems": systems.forest(study, evidence, t)}
    figures = {name: render(figure, "svg").decode() for name, figure in drawn.items()}
    described = {name: claims.entry(name, "id") for name in params.systems}
    content = {"params": params, "evidence": evidence, "synthetic": True, "systems": described, "figures": figures}
    text = page._environment(t).get_template("sections/systems.html").render(content)
    return Made(params, paths, {row["name"]: row for row in rows}, html.unescape(text), figures["systems"])


@pytest.fixture(scope="module")
def by_image(tmp_path_factory: pytest.TempPathFactory, by_subject: Made) -> Made:
    """C-NMC, in English, with its page, beside the other."""
    undecided = {key: {"verdict": "undecided", "p_adjusted": 0.3, "smallest": 0.05} for key in ("H1", "H2", "H3", "H4")}
    other = {"revision": "people", "unit": "subject", "test_set": "random", "images": 48, "subjects": 5}
    measured = dict.fromkeys(("accuracy", "kappa", "auc", "low", "high"), 0.5)
    intra = {"role": "intra", "recipe": None, "id": "intra leak_free kappa"} | measured
    other |= {"network": "a", "reading": "leak_free", "summary": [intra]}
    other |= {"hypotheses": undecided, "systems": list(by_subject.rows.values())}
    params, paths = _write(tmp_path_factory, dataset={"source": "cnmc", "complete": True})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beside, "other_study", lambda *_: other)
        page.run(params, paths)
    text = (paths.report / "index.html").read_text(encoding="utf-8")
    text = html.unescape(text.split('<section id="systems">')[1].split("</section>")[0])
    rows = {row["name"]: row for row in read_json(paths.evidence)["systems"]}
    return Made(params, paths, rows, text, (paths.report / "figures/systems.svg").read_text())


@pytest.fixture(scope="module")
def rows(by_image: Made) -> dict[str, Row]:
    return by_image.rows


def _write(factory: pytest.TempPathFactory, **changes: Any) -> tuple[Params, Paths]:
    values = study_values()
    values["pretrained"] |= {"vgg16": "hub", "densenet121": "hub"}
    return write_study(factory.mktemp("study"), values, systems=copy.deepcopy(SYSTEMS), **changes)


def _test_predictions(made: Made, name: str, variant: str) -> tuple[np.ndarray, list[np.ndarray]]:
    folds = [read_npz(made.paths.predictions(member)) for member in made.params.members(f"system/{name}/{variant}")]
    return folds[0]["test_label"], [fold["test_probability"] for fold in folds]


# What the papers claim


def test_each_system_has_a_claim_with_its_data_and_split_and_decisions_with_a_mark() -> None:
    for language in ("en", "id"):
        entries = listed("systems.yaml", language)
        assert sorted(entry["name"] for entry in entries) == names()
        assert {entry["key"] for entry in entries} <= {entry["key"] for entry in listed("references.yaml", language)}
        for entry in entries:
            assert entry["method"], entry["control"]
            assert entry["claims"][0]["measure"] == "accuracy"
            for claim in entry["claims"]:
                assert claim["measure"] in MEASURES
                assert claim["mark"] in "ATC"  # a figure that is only recalled is no claim of a paper
                assert (claim["unit"] == "unstated") == (claim["split_evidence"] == "not stated")
                assert claim["data"]
            assert {decision["mark"] for decision in entry["decisions"]} >= {"?"}
            for decision in entry["decisions"]:
                assert decision["mark"] in "ATCR?"
                assert isinstance(decision["part"], str)
                assert isinstance(decision["value"], str)


def test_claims_agree_with_the_published_record_where_both_have_them() -> None:
    table, agreeing = published.results(), 0
    for name in names():
        entry = claims.entry(name)
        author, year = entry["study"].split()
        known = table[(table.study == author) & (table.year == year)]
        for claim in entry["claims"]:
            column = {"recall": "sensitivity"}.get(claim["measure"], claim["measure"])
            found = known[known.data.str.startswith(claim["data"].rstrip("2"))]
            if column in found and found[column].notna().any():
                assert claim["value"] in found[column].tolist(), (name, claim)
                row = found[found[column] == claim["value"]].iloc[0]
                assert (row.unit, row.split_evidence) == (claim["unit"], claim["split_evidence"])
                agreeing += 1
    assert agreeing >= 16


def test_a_claimed_gain_is_that_of_the_two_published_figures() -> None:
    table = published.results()
    for name, author in (("ullah2021", "Ullah"), ("wibowo2024", "Wibowo")):
        with_it, without = table[table.study == author].accuracy
        assert claims.entry(name)["difference"]["value"] == pytest.approx(with_it - without)


# What a run can say of a claim


@pytest.mark.parametrize(
    ("low", "high", "verdict", "reasons"),
    [
        (0.895, 0.95, "borne_out", []),  # all of it above 0.9 less the margin of 1 point
        (0.80, 0.89, "not_borne_out", []),
        (0.85, 0.95, "cannot_judge", ["interval"]),
        (None, None, "cannot_judge", ["undefined"]),
    ],
)
def test_the_interval_decides_where_a_run_differs_in_nothing_from_its_paper(
    low: float | None, high: float | None, verdict: str, reasons: list[str]
) -> None:
    claim = {"value": 0.9, "data": "C-NMC", "unit": "unstated"}
    found = claims.judge(claim, {"low": low, "high": high}, [], _params())
    assert found == {"verdict": verdict, "reasons": reasons}


@pytest.mark.parametrize(
    ("unit", "low", "verdict"),
    [("image", 0.95, "cannot_judge"), ("image", 0.5, "not_borne_out")],
)
def test_a_claim_by_subject_is_not_borne_out_by_an_easier_split(unit: str, low: float, verdict: str) -> None:
    claim = {"value": 0.9, "data": "C-NMC preliminary", "unit": "subject"}
    found = claims.judge(claim, {"low": low, "high": low + 0.02}, [], _params(split={"unit": unit}))
    assert found["verdict"] == verdict
    assert ("easier" in found["reasons"]) == (verdict == "cannot_judge")


@pytest.mark.parametrize(("test", "low"), [("random", 0.95), ("random", 0.5), ("fold_0", 0.95), ("mine.csv", 0.95)])
def test_a_claim_on_a_test_set_of_c_nmc_is_judged_on_that_test_set_alone(test: str, low: float) -> None:
    claim, estimate = {"value": 0.9, "data": "C-NMC preliminary", "unit": "subject"}, {"low": low, "high": low + 0.02}
    other = claims.judge(claim, estimate, [], _params(split={"unit": "subject", "test": test}))
    assert other == {"verdict": "cannot_judge", "reasons": ["other_test"]}
    same = claims.judge(claim, estimate, [], _params(split={"unit": "subject", "test": "preliminary"}))
    assert same == {"verdict": "borne_out" if low > 0.9 else "not_borne_out", "reasons": []}


def test_other_data_and_a_skipped_system_give_no_verdict() -> None:
    claim, estimate = {"value": 0.9, "data": "ALL-IDB", "unit": "unstated"}, {"low": 0.1, "high": 0.2}
    assert claims.judge(claim, estimate, [], _params()) == {"verdict": "cannot_judge", "reasons": ["other_data"]}
    assert claims.judge(claim | {"data": "C-NMC"}, None, [], _params()) == {"verdict": "not_run", "reasons": []}
    synthetic = _params(dataset={"source": "synthetic", "complete": False})
    assert claims.judge(claim, estimate, [], synthetic)["verdict"] is None


@pytest.mark.parametrize(
    ("name", "changes", "complete", "expected"),
    [
        ("ahmed2023", {}, True, []),
        ("ahmed2023", {"stand_ins": ["a"]}, True, ["stand_in"]),
        ("ahmed2023", {"networks": ["a", "b"]}, True, ["fewer"]),
        ("baby2022", {"networks": ["a"]}, True, []),  # any of its networks will do
        ("ahmed2023", {"changed": ["trees"]}, True, ["changed"]),
        ("ullah2021", {}, True, ["frozen"]),
        ("ullah2021", {"depth": "finetune"}, True, []),
        ("ullah2021", {"depth": "finetune"}, False, ["part"]),
        ("own2030", {}, True, []),
    ],
)
def test_differences_between_a_run_and_its_paper_are_listed(
    name: str, changes: dict[str, Any], complete: bool, expected: list[str]
) -> None:
    names = ["a", "b", "c"]
    about = {"stand_ins": [], "networks": names, "paper": names, "depth": "frozen", "changed": []} | changes
    assert claims.obstacles(about, claims.entry(name), _params(dataset={"complete": complete})) == expected


def _params(**changes: dict[str, Any]) -> Params:
    """Of complete C-NMC, by image."""
    values = study_values()
    values["dataset"] |= {"source": "cnmc", "complete": True}
    return Params.model_validate(values | {key: values[key] | change for key, change in changes.items()})


# The numbers


def test_the_numbers_are_those_of_the_fold_models_and_of_their_average(by_image: Made, rows: dict[str, Row]) -> None:
    label, folds = _test_predictions(by_image, "baby2022", "vote-tf_efficientnet_lite0")
    row, average = rows["baby2022"], np.mean(folds, axis=0)
    shown = next(variant for variant in row["variants"] if variant["name"] == row["shown"])
    accuracies = [accuracy_score(label, fold >= 0.5) for fold in folds]
    assert shown["mean"]["accuracy"] == pytest.approx(np.mean(accuracies))
    assert shown["std"]["accuracy"] == pytest.approx(np.std(accuracies, ddof=1))
    assert shown["mean"]["auc"] == pytest.approx(np.mean([roc_auc_score(label, fold) for fold in folds]))
    for name, value in (
        ("accuracy", accuracy_score(label, average >= 0.5)), ("auc", roc_auc_score(label, average)),
        ("kappa", cohen_kappa_score(label, average >= 0.5)), ("f1", f1_score(label, average >= 0.5)),
    ):  # fmt: skip
        assert shown["average"][name] == row["estimates"][name]["value"] == pytest.approx(value)
        assert row["estimates"][name]["low"] <= value <= row["estimates"][name]["high"]


def test_intervals_are_found_as_those_of_the_study_s_own_classifiers(by_image: Made, by_subject: Made) -> None:
    study = by_image.study
    intervals = read_json(by_image.paths.evidence)["intervals"][study.focus.id]
    found = systems._estimated(study, study.focus)
    assert {name: [estimate["low"], estimate["high"]] for name, estimate in found.items()} == intervals
    study = by_subject.study
    shown = study.system("baby2022", "vote-tf_efficientnet_lite0")
    limits = subject_intervals(study.label, shown.probability, study.unit)
    found = by_subject.rows["baby2022"]["estimates"]
    assert {name: (estimate["low"], estimate["high"]) for name, estimate in found.items()} == limits


def test_differences_from_control_and_headline_are_tested_as_a_family_each(
    by_image: Made, rows: dict[str, Row]
) -> None:
    headline = by_image.study.focus.probability
    run = [row for row in rows.values() if row["state"] == "run"]
    for row in run:
        label, folds = _test_predictions(by_image, row["name"], row["shown"])
        right = (np.mean(folds, axis=0) >= 0.5) == label
        _, control = _test_predictions(by_image, row["name"], row["control"])
        for key, other in (("over_control", np.mean(control, axis=0)), ("over_headline", headline)):
            other_right = (other >= 0.5) == label
            only, lost = int((right & ~other_right).sum()), int((other_right & ~right).sum())
            assert row[key]["difference"] == pytest.approx(right.mean() - other_right.mean())
            assert row[key]["p"] == pytest.approx(_mid_p(only, lost))
            assert row[key]["p_adjusted"] == min(1, len(run) * row[key]["p"])
            assert row[key]["low"] < row[key]["difference"] < row[key]["high"]


def _mid_p(only: int, lost: int) -> float:
    """Fagerland et al. (2013): the exact p less half of the probability of what was seen, on either side."""
    if not only + lost:
        return 1.0
    seen = 0.5 ** (only + lost) * float(pd.Series(range(1, only + lost + 1)).prod()) / float(
        pd.Series(range(1, only + 1)).prod() * pd.Series(range(1, lost + 1)).prod()
    )  # fmt: skip
    return float(binomtest(only, only + lost).pvalue) - (seen if only != lost else seen / 2)


def test_a_vote_is_compared_with_the_regression_on_the_same_features(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    params, paths = write_study(
        tmp_path_factory.mktemp("two"), study_values() | {"pretrained": {"vgg16": "hub", LITE[0]: "pip"}},
        systems={"baby2022": {"networks": [*LITE, "vgg16"]}},
    )  # fmt: skip
    about = read_json(paths.system("baby2022"))
    for variant in about["variants"]:  # the vote on one network and the regression on the other are the most accurate
        variant["validation"] = float(variant["name"] in (f"vote-{LITE[0]}", "regression-vgg16"))
    write_json(paths.system("baby2022"), about | {"shown": f"vote-{LITE[0]}"})
    (row,) = systems.measure(gather(params, paths))
    assert row["control"] == f"regression-{LITE[0]}"
    assert row["over_control"]["id"] == f"system baby2022/regression-{LITE[0]}"


def test_people_are_exchanged_together_where_the_split_is_by_subject(by_subject: Made) -> None:
    ran = [row for row in by_subject.rows.values() if row["state"] == "run"]
    assert {row[key]["test"] for row in ran for key in ("over_control", "over_headline")} == {"sign_flip"}


@pytest.mark.parametrize(("right", "result"), [("vote", "better"), ("regression", "worse")])
def test_a_significant_difference_from_the_control_is_called_better_or_worse(
    by_image: Made, right: str, result: str
) -> None:
    study = by_image.study
    for variant, members in study.systems["baby2022"].members.items():
        for member in members:
            member.test_probability[:] = member.test_label if variant.startswith(right) else 1 - member.test_label
    found = {row["name"]: row["over_control"]["result"] for row in systems.measure(study) if row["over_control"]}
    assert found == {"mondal2021": "open", "baby2022": result, "wibowo2024": "open"}


def test_a_test_set_of_one_class_or_one_subject_is_described_with_finite_numbers(
    by_image: Made, by_subject: Made
) -> None:
    study = by_image.study
    study.cells["label"] = 1
    found = {row["name"]: row for row in systems.measure(study)}["mondal2021"]
    assert found["estimates"]["auc"] == {"value": None, "low": None, "high": None}
    assert next(claim for claim in found["claims"] if claim["measure"] == "auc")["verdict"] == "cannot_judge"
    study = by_subject.study
    study.cells["component"] = 0
    found = {row["name"]: row for row in systems.measure(study)}["mondal2021"]
    assert (found["over_control"]["low"], found["over_control"]["high"]) == (-1, 1)
    assert found["over_control"]["result"] == "open"


def test_the_interval_of_a_claim_on_few_cells_is_wilson_s(rows: dict[str, Row]) -> None:
    (claim,) = rows["baby2022"]["claims"]
    low, high = proportion_confint(256, 260, method="wilson")
    assert (claim["cells"]["low"], claim["cells"]["high"]) == pytest.approx((low, high))
    assert (round(low, 3), round(high, 3)) == (0.961, 0.994)


def test_a_search_is_shown_by_its_best_score_so_far(by_image: Made, rows: dict[str, Row]) -> None:
    about = read_json(by_image.paths.system("wibowo2024"))
    searched = {variant["name"]: variant["searches"] for variant in rows["wibowo2024"]["variants"]}
    assert searched["no-search"] == []
    for found, fold in zip(searched["search"], about["variants"][0]["folds"], strict=True):
        scores = [trial["score"] for trial in fold["history"]]
        assert found == {"fold": fold["fold"], "best": [max(scores[: k + 1]) for k in range(len(scores))]}
    assert (by_image.paths.report / "figures/searches.csv").is_file()


def test_a_skipped_system_says_of_which_networks_there_are_no_weights(rows: dict[str, Row]) -> None:
    row = rows["ullah2021"]
    assert (row["state"], row["missing"]) == ("skipped", {"vgg19": "no weights"})
    assert row["variants"] == []
    assert row["estimates"] is row["over_control"] is row["over_headline"] is None
    assert {claim["verdict"] for claim in row["claims"]} == {"not_run"}


def test_a_stand_in_for_the_paper_s_network_cannot_judge_the_paper(rows: dict[str, Row]) -> None:
    assert rows["baby2022"]["claims"][0]["reasons"] == ["other_data", "stand_in"]
    assert rows["wibowo2024"]["over_control"]["verdict"] == "cannot_judge"
    assert rows["wibowo2024"]["over_control"]["claimed"] == 0.0376
    assert rows["mondal2021"]["verdict"] == "cannot_judge"


def test_wen_over_networks_is_compared_with_its_best_network_and_decides_nothing(by_image: Made) -> None:
    study, evidence = by_image.study, read_json(by_image.paths.evidence)
    (test,) = (test for test in evidence["tests"] if test["family"] == "networks")
    about = read_json(by_image.paths.system("mondal2021"))
    validation = {
        v["name"]: v["validation"] for v in about["variants"] if v["name"] in SYSTEMS["mondal2021"]["networks"]
    }
    best = max(validation, key=lambda name: validation[name])
    assert test["between"] == [f"system mondal2021/{about['shown']}", f"system mondal2021/{best}"]
    assert (test["hypothesis"], test["decides"], test["p_adjusted"]) == ("H2", False, test["p"])
    deciding = [test for test in evidence["tests"] if test["decides"] and test["family"] == "decides"]
    assert len(deciding) == evidence["family"] == 4
    (wen, single) = study.over_networks[0]
    assert test["difference"] == pytest.approx(wen.row["accuracy"] - single.row["accuracy"])


def test_one_network_is_no_ensemble_over_networks(by_image: Made) -> None:
    study = by_image.study
    for variant in study.systems["mondal2021"].about["variants"]:
        variant["members"] = variant["members"][:1]
    assert study.over_networks == []
    assert "networks" not in {test["family"] for test in Evidence(study)._h2()}


def test_without_systems_there_is_no_row_and_no_figure(by_image: Made) -> None:
    study = replace(by_image.study, systems={})
    assert systems.measure(study) == []
    assert systems.figures(study, [], Text("en")) == {}


@pytest.mark.parametrize("content", [[], {"state": "run"}])
def test_a_damaged_summary_of_a_system_gets_a_sentence(tmp_path: Path, content: object) -> None:
    path = Paths(tmp_path).system("baby2022")
    path.parent.mkdir(parents=True)
    write_json(path, content)
    with pytest.raises(WenError, match=r"not as written by `wen system baby2022`; run `dvc repro`"):
        replication.gather(_params(systems={"baby2022": {}}), Paths(tmp_path))


def test_predictions_for_another_test_set_are_refused(by_image: Made, tmp_path: Path) -> None:
    shutil.copytree(by_image.paths.root / "data", tmp_path / "data")
    paths = Paths(tmp_path)
    for member in by_image.params.members("system/baby2022/vote-tf_efficientnet_lite0"):
        arrays = read_npz(paths.predictions(member))
        write_npz(paths.predictions(member), **arrays | {"test_id": arrays["test_id"][::-1]})
    with pytest.raises(WenError, match="made for another test set"):
        gather(by_image.params, paths)


def test_a_study_recorded_before_systems_existed_can_be_compared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    older = dict.fromkeys(beside.NEEDED, "the same")
    monkeypatch.setattr(beside, "evidence_of", lambda *_: json.dumps(older))
    monkeypatch.setattr(beside, "_with_commit", lambda revision, _: revision)
    found = beside.other_study("before", Paths(tmp_path), older)
    assert found == older | {"revision": "before", "systems": []}


# The page


def test_the_page_shows_each_system_and_both_splits_side_by_side(
    by_image: Made, by_subject: Made, rows: dict[str, Row]
) -> None:
    text, t = by_image.section, Text("en")
    assert re.findall(r'<tr data-system="(\w+)">', text) == list(SYSTEMS)
    both = text.split('<table id="systems-beside">')[1].split("</table>")[0]
    for row in (*rows.values(), *by_subject.rows.values()):
        assert t.system(row["name"]) in both
        if row["estimates"]:
            assert t.number(row["estimates"]["accuracy"]["value"]) in both
    for title in (
        "this study, split at random by image",
        "people, split at random by subject",
        t("systems.claimed.same"),
        t("systems.claimed.other"),
    ):
        assert title in by_image.forest


def test_each_system_has_a_sentence_on_its_claim(by_image: Made, rows: dict[str, Row]) -> None:
    text, t = by_image.section, Text("en")
    sentences = dict(re.findall(r"<li><strong>([\w ]+)\.</strong>(.*?)</li>", text, re.DOTALL))
    assert list(sentences) == ["Mondal 2021", "Baby 2022", "Wibowo 2024", "Ullah 2021"]
    assert "tf_efficientnet_lite0 is only a stand-in for the paper's network" in sentences["Baby 2022"]
    assert "it is 256 of 260, with a 95% interval of 0.961 to 0.994" in sentences["Baby 2022"]
    assert "2 of the paper's 5 networks ran" in sentences["Mondal 2021"]
    assert "gain of 3.8 points that the paper claims cannot be judged" in sentences["Wibowo 2024"]
    assert "pretrained weights are missing: vgg19" in sentences["Ullah 2021"]
    assert "  vgg19: hub\n" in sentences["Ullah 2021"]
    over = rows["baby2022"]["over_control"]
    assert t.points(over["difference"]) in sentences["Baby 2022"]
    assert "{" not in "".join(sentences.values())
    assert "&#" not in "".join(sentences.values())


def test_synthetic_cells_get_no_verdict_on_a_claim(by_subject: Made) -> None:
    text, t = by_subject.section, Text("id")
    assert {claim["verdict"] for row in by_subject.rows.values() for claim in row["claims"]} == {None}
    assert t("systems.synthetic") in text
    lines = text.split('<ul class="lines"')[1].split("</ul>")[0]
    for verdict in ("borne_out", "not_borne_out", "cannot_judge"):
        assert t(f"systems.says.{verdict}", claims="|", why="").split("|")[0] not in lines
    assert t("systems.claimed.same") not in by_subject.forest


@pytest.mark.parametrize(("test", "unit"), [("preliminary", "subject"), ("fold_0", "subject"), ("random", "image")])
def test_a_test_set_that_is_a_part_of_c_nmc_is_separated_by_subject(by_image: Made, test: str, unit: str) -> None:
    split = by_image.params.split.model_copy(update={"test": test})
    row = copy.deepcopy(by_image.rows["baby2022"])
    row["verdict"] = "not_borne_out"
    row["claims"][0] |= {"verdict": "not_borne_out", "reasons": []}
    content = {
        "params": by_image.params.model_copy(update={"split": split}), "synthetic": False, "figures": {"systems": ""},
        "evidence": read_json(by_image.paths.evidence) | {"systems": [row], "beside": None},
        "systems": {"baby2022": claims.entry("baby2022")},
    }  # fmt: skip
    text = page._environment(Text("en")).get_template("sections/systems.html").render(content)
    assert f"does not state the unit of its split; the test set of this run is separated by {unit}." in text


def test_a_user_s_system_is_shown_without_claims(by_subject: Made) -> None:
    html_row = by_subject.section.split('<tr data-system="own2030">')[1].split("</tr>")[0]
    assert Text("id")("systems.none") in html_row
    row = by_subject.rows["own2030"]
    assert (row["claims"], row["verdict"]) == ([], None)
    assert row["estimates"] == by_subject.rows["baby2022"]["estimates"]


@pytest.mark.parametrize(("language", "study"), [("en", "by_image"), ("id", "by_subject")])
def test_every_decision_is_folded_out_with_its_mark(language: str, study: str, request: pytest.FixtureRequest) -> None:
    text, t = request.getfixturevalue(study).section, Text(language)
    for name in SYSTEMS:
        folded = text.split(f"<summary>{t('systems.decisions', system=t.system(name))}</summary>")[1]
        folded = folded.split("</details>")[0]
        for decision in claims.entry(name, language)["decisions"]:
            mark = decision["mark"]
            row = f'<tr data-mark="{mark}"><th scope="row">{decision["part"]}</th><td>{decision["value"]}</td>'
            assert f"{row}<td>[{mark}] {t(f'systems.mark.{mark}')}</td>" in folded
    for mark in "ATCR?":
        assert f"<strong>[{mark}]</strong> {t('systems.mark.' + mark)}" in text


def test_the_table_has_a_row_for_each_variant_and_says_which_is_shown(by_image: Made, rows: dict[str, Row]) -> None:
    table = pd.read_csv(by_image.paths.report / "tables/systems.csv").set_index(["system", "variant"])
    assert len(table) == sum(len(row["variants"]) or 1 for row in rows.values())
    for row in (row for row in rows.values() if row["state"] == "run"):
        variant = table.loc[(row["name"], row["shown"])]
        assert variant.shown == 1
        assert variant.accuracy == pytest.approx(row["estimates"]["accuracy"]["value"])
        assert variant.over_headline_p_adjusted == pytest.approx(row["over_headline"]["p_adjusted"])
        assert variant.verdict == row["verdict"]
    assert table.loc["ullah2021"].missing.tolist() == ["vgg19"]
    printed = (by_image.paths.report / "tables/systems.tex").read_text()
    assert printed.count(r"\\" + "\n") == 1 + len(rows)
    assert r"tf\_\allowbreak{}efficientnet" in printed


def test_the_summary_has_a_row_for_each_system_that_ran(by_image: Made, rows: dict[str, Row]) -> None:
    files = {path.stem for path in by_image.paths.summary.iterdir() if path.stem.startswith("system")}
    assert files == {"system-mondal2021", "system-baby2022", "system-wibowo2024"}
    shown = next(v for v in rows["baby2022"]["variants"] if v["name"] == rows["baby2022"]["shown"])
    assert read_json(by_image.paths.summary / "system-baby2022.json") == {
        measure: shown["mean"][measure] for measure in ("accuracy", "kappa", "auc")
    }


def test_the_terminal_has_a_line_for_each_system(by_image: Made, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.run(by_image.params, by_image.paths)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("Ullah")] == [
        "Ullah 2021: skipped, because weights are missing for vgg19"
    ]
    (baby,) = (line for line in lines if line.startswith("Baby 2022"))
    assert baby.endswith("claimed accuracy 0.985: cannot be judged")


def test_a_skipped_system_alone_has_a_table() -> None:
    row = {"name": "own2030", "state": "skipped", "missing": {"a": "none"}, "depth": "frozen", "networks": ["a"]}
    row |= {"computed": "", "stand_ins": [], "claims": [], "variants": [], "estimates": None}
    expected = {"system": "own2030", "state": "skipped", "missing": "a", "computed": "", "depth": "frozen"}
    assert system_table.of_variants([row]).to_dict("records") == [expected | {"networks": "a", "stand_ins": ""}]
