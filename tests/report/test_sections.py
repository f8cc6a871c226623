"""The sections on subjects, champions and baselines, and what the maps look at: what they find, and what they say."""

import csv
import html
import re
import warnings
from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from report_study import MakeStudy
from sklearn.metrics import accuracy_score, roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar

from wen.config.params import Params
from wen.config.paths import Paths
from wen.data import gallery
from wen.evaluation.statistics import auc_difference, bonferroni
from wen.files import read_json, read_npz, write_npz
from wen.report import hard_cases, page
from wen.report.language import ABSENT as DASH
from wen.report.language import Text
from wen.report.sections import baselines, champions, people
from wen.results import gather
from wen.study import Study

FOLDS = [0, 1, 2, 3, 4]


@pytest.fixture(autouse=True)
def _no_warning() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    plt.close("all")


# Subjects


def test_accuracy_by_subject_counts_each_subject_once(make_study: MakeStudy) -> None:
    study = gather(*make_study())
    found = people.measure(study)
    right = (study.focus.probability >= 0.5) == (study.label == 1)
    by_subject = pd.Series(right).groupby(study.cells.subject).mean()
    assert found["accuracy"]["value"] == pytest.approx(by_subject.mean())
    assert {row["subject"]: row["accuracy"] for row in found["by_subject"]} == pytest.approx(by_subject.to_dict())
    accuracies = [row["accuracy"] for row in found["by_subject"]]
    assert accuracies == sorted(accuracies)


def test_the_area_over_subjects_is_that_of_their_mean_probabilities(make_study: MakeStudy) -> None:
    study = gather(*make_study(skill=0.1))
    table = study.cells.assign(probability=study.focus.probability).groupby("subject")
    label, probability = table.label.first(), table.probability.mean()
    found = people.measure(study)
    assert found["auc"]["value"] == pytest.approx(roc_auc_score(label, probability))
    verdict = found["verdicts"]["mean"]
    assert verdict["right"] == ((probability >= 0.5) == (label == 1)).sum()
    assert verdict["sensitivity"]["value"] == pytest.approx((probability[label == 1] >= 0.5).mean())
    assert verdict["specificity"]["value"] == pytest.approx((probability[label == 0] < 0.5).mean())


def test_a_subject_of_both_classes_gets_no_verdict_and_is_named(make_study: MakeStudy) -> None:
    study = gather(*make_study())
    mixed = study.cells.subject[0]
    study.cells.loc[0, "label"] = 1 - study.label[0]
    found = people.measure(study)
    (row,) = (row for row in found["by_subject"] if row["subject"] == mixed)
    assert found["mixed"] == [mixed]
    assert row["label"] is None
    assert set(row["verdict_right"].values()) == {None}
    assert not row["misread"]
    assert found["verdicts"]["share"]["subjects"] == found["subjects"] - 1
    assert people.figures(study, found, Text("en"))


def test_a_test_set_of_one_class_has_no_curve_over_subjects(make_study: MakeStudy) -> None:
    study = _of_one_class(gather(*make_study()))
    found = people.measure(study)
    assert found["auc"] == dict.fromkeys(("value", "low", "high"))
    assert found["verdicts"]["mean"]["specificity"]["value"] is None
    assert people.figures(study, found, Text("id"))


def test_a_subject_with_one_cell_is_right_or_wrong(make_study: MakeStudy) -> None:
    study = gather(*make_study())
    study.cells.loc[0, "subject"] = "alone"
    (row,) = (row for row in people.measure(study)["by_subject"] if row["subject"] == "alone")
    assert row["images"] == 1
    assert row["accuracy"] in (0, 1)
    assert row["accuracy"] == row["verdict_right"]["mean"] == row["verdict_right"]["share"]


@pytest.mark.parametrize("unit", ["image", "subject"])
def test_a_classifier_that_always_says_the_same_is_described_without_a_warning(
    make_study: MakeStudy, unit: str
) -> None:
    study = gather(*make_study(split={"unit": unit}))
    study.focus.probability[:] = 1
    found, compared = people.measure(study), baselines.measure(study)
    assert found["auc"]["value"] == 0.5
    assert found["verdicts"]["mean"]["sensitivity"]["value"] == 1
    assert found["verdicts"]["mean"]["specificity"]["value"] == 0
    assert people.figures(study, found, Text("en"))
    assert compared["baselines"][0]["gain"]["accuracy"]["difference"] == 0
    assert compared["baselines"][0]["verdict"] == "nothing"


def test_two_subjects_are_enough(make_study: MakeStudy) -> None:
    study = gather(*make_study(folds=FOLDS))
    study.cells["subject"] = np.where(study.label == 1, "A", "B")
    found = people.measure(study)
    assert found["subjects"] == 2 < len(FOLDS)
    assert found["auc"]["low"] < found["auc"]["value"] == 1
    assert found["accuracy"]["low"] <= found["accuracy"]["value"] <= found["accuracy"]["high"]


# Champions


def test_the_champions_marked_are_those_of_the_ensembles(make_study: MakeStudy) -> None:
    study = gather(*make_study(folds=FOLDS))
    models = champions.measure(study)["models"]
    for reading, part in (("leak_free", "validation"), ("as_written", "test")):
        marked = [f"{model['lr']}-{model['fold']}" for model in models if model[part]["champion"]]
        assert marked == [champion.members[0].name for champion in study.champions(reading)]


def test_ranks_are_those_counted_by_hand(make_study: MakeStudy) -> None:
    models = champions.measure(gather(*make_study(folds=FOLDS)))["models"]
    for model in models:
        for part in ("validation", "test", "centred"):
            others = [other[part] for other in models if other["lr"] == model["lr"]]
            for measure, rank in model[part]["ranks"].items():
                above = sum(other[measure] > model[part][measure] for other in others)
                equal = sum(other[measure] == model[part][measure] for other in others)
                assert rank == above + (1 + equal) / 2
            assert model[part]["mean_rank"] == pytest.approx(sum(model[part]["ranks"].values()) / 5)


def test_an_easy_fold_takes_all_champions_until_scores_are_centred(make_study: MakeStudy) -> None:
    study = gather(*make_study(folds=FOLDS))
    for members in study.models.values():
        for fold, member in enumerate(members):
            wrong = np.zeros(len(member.validation_label), dtype=bool)
            wrong[: 0 if fold == 2 else 10] = True  # fold 2 is easy for every rate
            member.validation_probability[:] = np.where(wrong, 1 - member.validation_label, member.validation_label)
    members = study.models[study.params.grid[0]]
    members[4].validation_probability[:] = members[4].validation_label  # one rate has a model good on a hard fold
    found = champions.measure(study)
    assert [model["fold"] for model in found["models"] if model["validation"]["champion"]] == [2, 2, 2]
    centred = [model["fold"] for model in found["models"] if model["centred"]["champion"]]
    assert centred[0] == 4
    assert found["moved"][0] == study.params.grid[0]


def test_models_that_are_all_alike_give_no_share(make_study: MakeStudy) -> None:
    study = gather(*make_study())
    for members in study.models.values():
        for member in members:
            member.validation_probability[:] = member.validation_label
            member.test_probability[:] = member.test_label
    found = champions.measure(study)
    assert found["fold_share"] is None
    assert found["moved"] == []
    drawn = champions.figures(study, found, Text("en"))["champions"]
    for axes in drawn.axes:
        large, others = ([line.get_zorder() for line in axes.lines if (line.get_markersize() > 8) == is_large]
                         for is_large in (True, False))  # fmt: skip
        assert min(large) > max(others)  # a champion is not hidden by a model of another rate


# Baselines


def test_a_baseline_is_the_plain_average_of_its_fold_models(make_study: MakeStudy) -> None:
    study = gather(*make_study(folds=FOLDS))
    found = {row["id"]: row for row in baselines.measure(study)["baselines"]}
    assert list(found) == ["majority", "baseline/colour", "baseline/features"]
    for recipe, members in study.baselines.items():
        probability = np.mean([member.test_probability for member in members], axis=0)
        accuracies = [accuracy_score(study.label, member.test_probability >= 0.5) for member in members]
        assert found[recipe]["accuracy"] == pytest.approx(accuracy_score(study.label, probability >= 0.5))
        assert found[recipe]["auc"] == pytest.approx(roc_auc_score(study.label, probability))
        assert found[recipe]["mean"]["accuracy"] == pytest.approx(np.mean(accuracies))
        assert found[recipe]["std"]["accuracy"] == pytest.approx(np.std(accuracies, ddof=1))


def test_the_gain_over_a_baseline_is_tested_on_the_same_images(make_study: MakeStudy) -> None:
    study = gather(*make_study(skill=0.4))
    rows = baselines.measure(study)["baselines"]
    focus_right = (study.focus.probability >= 0.5) == (study.label == 1)
    for row in rows[1:]:
        probability = np.mean([member.test_probability for member in study.baselines[row["id"]]], axis=0)
        baseline_right = (probability >= 0.5) == (study.label == 1)
        gain, area = row["gain"]["accuracy"], row["gain"]["auc"]
        assert gain["difference"] == pytest.approx(focus_right.mean() - baseline_right.mean())
        assert gain["low"] < gain["difference"] < gain["high"]
        if gain["test"] == "mcnemar_exact":
            table = [[0, (focus_right & ~baseline_right).sum()], [(baseline_right & ~focus_right).sum(), 0]]
            assert gain["p"] == pytest.approx(min(1, mcnemar(table, exact=True).pvalue))
        outcome, difference = auc_difference(study.label, study.focus.probability, probability, study.unit)
        assert (area["p"], area["difference"]) == pytest.approx((outcome.p, difference.value))
    for name in ("accuracy", "auc"):
        gains = [row["gain"][name] for row in rows]
        assert [gain["p_adjusted"] for gain in gains] == pytest.approx(bonferroni([gain["p"] for gain in gains]))


def test_the_majority_is_of_the_development_images_not_of_the_test_images(make_study: MakeStudy) -> None:
    params, paths = make_study()
    study = gather(params, paths)
    development = pd.read_csv(paths.index).label[(pd.read_csv(paths.split).part == "development").to_numpy()]
    study.cells.loc[:, "label"] = (np.arange(len(study.cells)) % 10 == 0).astype(int)  # the test set is mostly HEM
    found = baselines.measure(study)
    assert found["majority"] == {"label": 1, "share": pytest.approx(development.mean())}
    assert found["baselines"][0]["accuracy"] == pytest.approx(study.label.mean())
    assert found["baselines"][0]["auc"] == 0.5


@pytest.mark.parametrize("unit", ["image", "subject"])
def test_no_gain_in_area_over_the_majority_class_is_larger_than_a_half(make_study: MakeStudy, unit: str) -> None:
    study = gather(*make_study(split={"unit": unit}))
    for probability, limit in ((study.label, "high"), (1 - study.label, "low")):
        study.focus.probability[:] = probability
        gain = baselines.measure(study)["baselines"][0]["gain"]["auc"]
        assert gain[limit] == gain["difference"] == 0.5 * (-1) ** (limit == "low")


@pytest.mark.parametrize("unit", ["image", "subject"])
def test_networks_without_errors_add_to_baselines_that_guess_and_inverted_ones_are_worse(
    make_study: MakeStudy, unit: str
) -> None:
    study = gather(*make_study(cells=480, subjects=96, split={"unit": unit}))
    study.focus.probability[:] = study.label
    guesses = np.random.default_rng(0).random(len(study.label))
    for members in study.baselines.values():
        for member in members:
            member.test_probability[:] = guesses
    assert {row["verdict"] for row in baselines.measure(study)["baselines"][1:]} == {"adds"}
    study.focus.probability[:] = 1 - study.label
    assert {row["verdict"] for row in baselines.measure(study)["baselines"][1:]} == {"worse"}


def test_networks_equal_to_a_baseline_are_not_found_better(make_study: MakeStudy) -> None:
    study = gather(*make_study())
    for member in study.baselines["baseline/colour"]:
        member.test_probability[:] = study.focus.probability
    found = baselines.measure(study)
    (row,) = (row for row in found["baselines"] if row["id"] == "baseline/colour")
    assert row["verdict"] == "nothing"
    assert row["gain"]["accuracy"]["difference"] == row["gain"]["auc"]["difference"] == 0
    assert row["accuracy"] <= max(row["accuracy"] for row in found["baselines"])


def test_the_best_baseline_is_the_most_accurate_one(make_study: MakeStudy) -> None:
    study = gather(*make_study())
    for member in study.baselines["baseline/features"]:
        member.test_probability[:] = study.label
    assert baselines.measure(study)["best"] == "baseline/features"


@pytest.mark.parametrize("unit", ["image", "subject"])
def test_a_test_set_of_one_class_has_no_gain_in_area(make_study: MakeStudy, unit: str) -> None:
    study = _of_one_class(gather(*make_study(split={"unit": unit})))
    for row in baselines.measure(study)["baselines"]:
        assert row["auc"] is row["gain"]["auc"] is None
        assert row["gain"]["accuracy"]["p"] <= 1


# Maps


def test_the_share_of_a_map_inside_the_cell_by_hand() -> None:
    cell = np.array([[True, False], [False, False]])
    assert hard_cases.inside(np.array([[3.0, 1.0], [-5.0, 0.0]]), cell) == 0.75  # 3 of the 4 above 0
    assert np.isnan(hard_cases.inside(np.array([[-1.0, 0.0], [0.0, -2.0]]), cell))


def test_the_share_of_an_even_map_is_the_cell_s_share_of_the_frame() -> None:
    cell = np.zeros((128, 128), dtype=bool)
    cell[:32, :64] = True
    assert hard_cases.inside(np.ones((3, 3)), cell) == pytest.approx(1 / 8)


@pytest.mark.parametrize(("corner", "black"), [((0, 0), 0), ((1, 1), 1)])
def test_maps_mostly_on_black_are_counted(make_study: MakeStudy, corner: tuple[int, int], black: int) -> None:
    params, paths = make_study()
    study = gather(params, paths)
    picture = np.zeros((128, 128, 3), dtype=np.uint8)
    picture[:64, :64, 2] = 160  # a cell in the upper left quarter, of one dark colour
    content = gallery.png(Image.fromarray(picture))
    gallery.write(paths.test_cells, dict.fromkeys(study.cells.id, content))
    signs = np.where(study.focus.probability >= 0.5, 1, -1)  # a map's weight for HEM is below 0
    for member in study.focus.members:
        member.test_map[:] = 0
        member.test_map[:, *corner] = signs
    found = hard_cases.on_cells(study, paths)
    assert found is not None
    assert (found["images"], found["weighted"]) == (len(signs), len(signs))
    assert found["on_black"] == black * len(signs)
    assert found["cell"] == 0.25
    assert found["inside"] == pytest.approx(_share_in_upper_left(corner), abs=1e-6)


def test_maps_without_weight_for_the_class_decided_are_counted_apart(make_study: MakeStudy) -> None:
    params, paths = make_study()
    study = gather(params, paths)
    for member in study.focus.members:
        member.test_map[:] = 0
    found = hard_cases.on_cells(study, paths)
    assert found is not None
    about = {"images": len(study.cells), "weighted": 0, "on_black": 0, "inside": None}
    assert {name: found[name] for name in about} == about


def _share_in_upper_left(corner: tuple[int, int]) -> float:
    values = np.zeros((2, 2), dtype=np.float32)
    values[corner] = 1
    drawn = np.asarray(Image.fromarray(values).resize((128, 128), Image.Resampling.BICUBIC)).clip(min=0)
    return float(drawn[:64, :64].sum() / drawn.sum())


# What the page says


@pytest.mark.parametrize(("unit", "language"), [("image", "en"), ("subject", "id")])
def test_every_number_of_these_sections_is_that_of_the_evidence(
    make_study: MakeStudy, unit: str, language: str
) -> None:
    params, paths = make_study(
        skill=0.3, cells=600, subjects=60, folds=FOLDS, split={"unit": unit}, report={"language": language}
    )
    page.run(params, paths)
    evidence, t = read_json(paths.evidence), Text(language)
    text = (paths.report / "index.html").read_text()
    names = t.names(gather(params, paths))
    assert _cells(text, "people") == _expected_of_people(evidence["people"], t)
    assert _cells(text, "champions") == _expected_of_champions(evidence["champions"]["models"], t)
    assert _cells(text, "baselines") == _expected_of_baselines(evidence["baselines"], names, paths, t)
    sentences = [*_sentences(evidence, params, paths, names, t)]
    for name, sentence in sentences:
        assert sentence in html.unescape(_section(text, name)), name
    for name in ("people", "champions", "baselines"):
        prose = re.sub(r"<(table|svg|figcaption|caption|h2)\b.*?</\1>", "", _section(text, name), flags=re.DOTALL)
        expected = " ".join(sentence for where, sentence in sentences if where == name)
        assert _numbers(re.sub(r"<[^>]+>", "", prose)) == _numbers(expected)


def test_without_baselines_the_majority_class_is_the_only_one(make_study: MakeStudy) -> None:
    params, paths = make_study(baselines=[])
    page.run(params, paths)
    assert [row["id"] for row in read_json(paths.evidence)["baselines"]["baselines"]] == ["majority"]
    assert Text("en")("baselines.only") in _section((paths.report / "index.html").read_text(), "baselines")


def test_a_baseline_that_the_texts_do_not_know_has_its_name(make_study: MakeStudy) -> None:
    assert Text("en").baseline("baseline/svm") == "Baseline svm"


def test_the_members_probabilities_beside_a_cell_are_those_that_are_averaged(make_study: MakeStudy) -> None:
    params, paths = make_study(calibration="temperature", ensemble="inter")
    study = gather(params, paths)
    assert (study.focus.temperature != 1).all()
    for cell in (cell for cells in hard_cases.gallery(study, paths).values() for cell in cells):
        averaged = study.focus.weight @ [probability for _, probability in cell["members"]]
        assert averaged == pytest.approx(cell["probability"])


@pytest.mark.parametrize("tta", ["none", "flips"])
def test_page_and_card_state_the_turned_copies_that_are_averaged(make_study: MakeStudy, tta: str) -> None:
    params, paths = make_study(predict={"tta": tta})
    page.run(params, paths)
    t, text = Text("en"), html.unescape((paths.report / "index.html").read_text())
    stated = {name: _section(text, name) for name in ("cells", "baselines")}
    stated["card"] = (paths.report / "model-card.md").read_text()
    for name, written in stated.items():
        assert (t(f"{name}.turned", copies=4) in written) is (tta == "flips"), name


def test_networks_without_maps_give_no_share_and_no_warning(make_study: MakeStudy) -> None:
    params, paths = make_study()
    for recipe in params.rates:
        for member in params.members(recipe):
            arrays = read_npz(paths.predictions(member))
            empty = np.empty((len(arrays["test_id"]), 0, 0), np.float16)
            write_npz(paths.predictions(member), **arrays | {"test_map": empty})
    page.run(params, paths)
    assert read_json(paths.evidence)["maps"] is None
    section = _section((paths.report / "index.html").read_text(), "cells")
    assert html.escape(Text("en")("cells.no_map"), quote=False).replace("'", "&#39;") in section
    assert 'id="maps"' not in section


def test_the_table_of_champions_is_exported(make_study: MakeStudy) -> None:
    params, paths = make_study(folds=FOLDS)
    page.run(params, paths)
    with (paths.report / "tables/champion.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    models = read_json(paths.evidence)["champions"]["models"]
    expected = [(part, model) for part in ("validation", "test", "centred") for model in models]
    for row, (part, model) in zip(rows, expected, strict=True):
        assert (row["recipe"], int(row["fold"]), row["scores"]) == (model["lr"], model["fold"], part)
        assert all(float(row[name]) == model[part][name] for name in ("accuracy", "kappa", "mean_rank"))
        assert int(row["champion"]) == model[part]["champion"]


def _of_one_class(study: Study) -> Study:
    study.cells.loc[:, "label"] = 1
    return study


def _section(text: str, name: str) -> str:
    return text.split(f'<section id="{name}">')[1].split("</section>")[0]


def _cells(text: str, name: str) -> list[list[str]]:
    """The cells of the rows of a section's tables, without their headings."""
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", re.sub(r"<thead>.*?</thead>", "", _section(text, name), flags=re.DOTALL))
    return [
        [html.unescape(re.sub(r"<[^>]+>", " ", cell)).split() for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
        for row in rows
    ]


def _numbers(text: str) -> list[str]:
    return sorted(re.findall(r"-?\d+(?:[.,]\d+)*", html.unescape(text)))


def _expected_of_people(found: dict[str, Any], t: Text) -> list[list[list[str]]]:
    def estimate(limits: dict[str, float]) -> str:
        return f"{t.number(limits['value'])} ({t.number(limits['low'], 2)}{DASH}{t.number(limits['high'], 2)})"

    rows = [
        [t(f"people.way.{way}"), t("people.of", right=result["right"], subjects=result["subjects"]),
         estimate(result["sensitivity"]), estimate(result["specificity"])]
        for way, result in found["verdicts"].items()
    ]  # fmt: skip
    worst, others = found["by_subject"][:10], found["by_subject"][10:]
    for row in [*worst, *(r for r in others if r["misread"]), *(r for r in others if not r["misread"])]:
        verdict = [t("people.right") if right else t("people.wrong") for right in row["verdict_right"].values()]
        numbers = [t.number(row[name], 2) for name in ("probability", "called")]
        interval = f"{t.number(row['low'], 2)}{DASH}{t.number(row['high'], 2)}"
        rows.append([row["subject"], ["HEM", "ALL"][row["label"]], str(row["images"]), str(row["right"]),
                     t.number(row["accuracy"], 2), interval, *numbers, *verdict])  # fmt: skip
    return [[cell.split() for cell in row] for row in rows]


def _expected_of_champions(models: list[dict[str, Any]], t: Text) -> list[list[list[str]]]:
    def scored(row: dict[str, Any], *measures: str) -> list[str]:
        star = " ★" if row["champion"] else ""
        values = [f"{t.number(row[measure])} {t.number(row['ranks'][measure], 1)}" for measure in measures]
        return [*values, t.number(row["mean_rank"], 1) + star]

    rows = [
        [f"{t.rate(model['lr'])}, {model['fold']}",
         *scored(model["validation"], "accuracy", "precision", "recall", "f1", "kappa"),
         *scored(model["test"], "accuracy", "kappa"), *scored(model["centred"])]
        for model in models
    ]  # fmt: skip
    return [[cell.split() for cell in row] for row in rows]


def _expected_of_baselines(
    found: dict[str, Any], names: dict[str, str], paths: Paths, t: Text
) -> list[list[list[str]]]:
    rows = []
    for row in found["baselines"]:
        cells = [t.baseline(row["id"])]
        for measure, shown in (("accuracy", t.points), ("auc", t.number)):
            gain = row["gain"][measure]
            difference, low, high = (shown(gain[name]) for name in ("difference", "low", "high"))
            mean, std = (t.number(row[kind] and row[kind][measure]) for kind in ("mean", "std"))
            cells += [t.number(row[measure]), f"{mean} ± {std}" if row["mean"] else DASH,
                      f"{difference} ({t.limits(low, high)})", t.p(gain["p_adjusted"])]  # fmt: skip
        rows.append(cells)
    for id in found["networks"]:
        kind, *rest = id.split()
        name = {"single": "/".join(rest[0].rsplit("-", 1)), "inter": "/".join(rest), "intra": "-".join(rest)}[kind]
        row = read_json(paths.root / f"metrics/{kind}/{name}.json")
        rows.append(
            [names[id], *(cell for measure in ("accuracy", "auc") for cell in (t.number(row[measure]), *[DASH] * 3))]
        )
    return [[cell.split() for cell in row] for row in rows]


def _sentences(
    evidence: dict[str, Any], params: Params, paths: Paths, names: dict[str, str], t: Text
) -> Iterator[tuple[str, str]]:
    """Each sentence with numbers and the section where it must be, made from the evidence."""
    found, accuracy, row = evidence["people"], evidence["people"]["accuracy"], read_json(paths.headline)
    low, high = evidence["intervals"][found["id"]]["accuracy"]
    value = t.number(accuracy["value"])
    yield "people", t("people.accuracy", focus=names[found["id"]], subjects=found["subjects"], value=value)
    yield "people", t("people.interval", low=t.number(accuracy["low"]), high=t.number(accuracy["high"]))
    yield "people", t("people.by_cell", value=t.number(row["accuracy"]), low=t.number(low), high=t.number(high))
    if params.split.unit == "image":
        shared = read_json(paths.split_metrics)["test_and_development"]["shared_subjects"]
        yield "people", t("people.by_image", shared=shared, subjects=found["subjects"])
    yield "people", t("people.verdicts")
    area = {name: t.number(found["auc"][key]) for name, key in (("auc", "value"), ("low", "low"), ("high", "high"))}
    yield "people", t("people.auc", cells=t.number(row["auc"]), **area)
    rest = sum(not row["misread"] for row in found["by_subject"][10:])
    if rest:
        yield "people", t("people.rest", rest=rest)
    found = evidence["champions"]
    yield "champions", t("champions.text")
    shares = {name: t.percent(found[key]) for name, key in (("share", "fold_share"), ("chance", "chance"))}
    yield "champions", t(f"champions.folds.{params.split.unit}", **shares)
    moved = ", ".join(map(t.rate, found["moved"]))
    yield "champions", t("champions.moved", rates=moved) if moved else t("champions.stay")
    found = evidence["baselines"]
    label, share = ["HEM", "ALL"][found["majority"]["label"]], t.percent(found["majority"]["share"])
    yield "baselines", t("baselines.text", headline=names[found["headline"]], label=label, share=share)
    for row in found["baselines"]:
        for key, gain, shown in (
            (f"verdict.{row['verdict']}", row["gain"]["accuracy"], t.points), ("area", row["gain"]["auc"], t.number)
        ):  # fmt: skip
            p = f"< {t.number(0.001)}" if gain["p_adjusted"] < 0.001 else f"= {t.number(gain['p_adjusted'])}"
            numbers = {name: shown(gain[name]) for name in ("difference", "low", "high")}
            what = {"what": t.baseline(row["id"])} if "verdict" in key else {}
            yield "baselines", t(f"baselines.{key}", p=p, **numbers, **what)
    found = evidence["maps"]
    shares = {"share": t.percent(found["on_black"] / found["weighted"])}
    shares |= {name: t.percent(found[name]) for name in ("inside", "cell")}
    yield "cells", t("maps.text", on_black=found["on_black"], weighted=found["weighted"], **shares)
