"""Calibration and use of the classifier in focus: what the page says is what metrics/evidence.json holds."""

import html
import re
import warnings
from typing import Any

import numpy as np
import pytest
from report_study import MakeStudy, PageOf

from wen.config.member import Member
from wen.config.params import Params
from wen.config.paths import Paths
from wen.ensemble import inter, intra
from wen.evaluation.calibration import expected_error
from wen.evaluation.metrics import confusion, recall, specificity
from wen.figure_style import render
from wen.files import read_json, read_npz, write_npz
from wen.report import page
from wen.report.language import ABSENT, Text
from wen.report.sections import calibration, decisions
from wen.results import gather
from wen.study import Study

CELL = re.compile(r'<t[dh][^>]* data-evidence="([^"]+)">([^<]*)(?:<small>([^<]*)</small>)?</t[dh]>')


def sections(params: Params, paths: Paths) -> tuple[dict[str, Any], str]:
    """The evidence, and the page's two sections without their figures."""
    page.run(params, paths)
    text = (paths.report / "index.html").read_text(encoding="utf-8")
    found = "".join(
        text.split(f'<section id="{name}">')[1].split("</section>")[0] for name in ("calibration", "decisions")
    )
    return read_json(paths.evidence), html.unescape(re.sub(r"<svg.*?</svg>", "", found, flags=re.DOTALL))


def value_at(evidence: Any, path: str) -> Any:
    for key in path.split("."):
        evidence = evidence[int(key)] if isinstance(evidence, list) else evidence[key]
    return evidence


@pytest.mark.parametrize(
    ("language", "unit", "ensemble", "option"),
    [
        ("en", "image", "inter", "none"), ("id", "subject", "inter", "none"), ("id", "image", "intra", "temperature"),
        ("en", "subject", "single", "temperature"),
    ],
)  # fmt: skip
def test_every_number_is_that_of_the_evidence(
    make_study: MakeStudy, language: str, unit: str, ensemble: str, option: str
) -> None:
    params, paths = make_study(
        report={"language": language, "prevalences": [0.001, 0.25], "specificity": 0.9},
        split={"unit": unit}, ensemble=ensemble, calibration=option,
    )  # fmt: skip
    evidence, text = sections(params, paths)
    t, mark = Text(language), {"en": ".", "id": ","}[language]
    cells = CELL.findall(text)
    rows = len(evidence["calibration"]["models"])
    assert len(cells) == rows * 7 + 2 * 3 + 3 * 6
    for path, shown, interval in cells:
        found, digits = value_at(evidence, path), 2 if len(shown.partition(mark)[2]) == 2 else None
        if isinstance(found, dict):
            expected = f"{t.number(found['low'], digits)} {t('to')} {t.number(found['high'], digits)}"
            assert interval == expected
            found = found["value"]
        assert shown == (t.given(found) if path.endswith("prevalence") else t.number(found, digits))
    for sentence in sentences(evidence, gather(params, paths), t):
        assert sentence in text


def sentences(evidence: dict[str, Any], study: Study, t: Text) -> list[str]:
    """The sentences of the two sections, written from the evidence."""
    found, use = evidence["calibration"], evidence["decisions"]
    focus, model, scaled = study.focus, found["models"][0], found["temperature"]
    half, fixed, cheapest = (use["thresholds"][rule] for rule in ("half", "specificity", "cost"))
    first, n = use["prevalences"][0], t.number
    without, scaled_ = scaled["without"], scaled["with"]
    kind = "single" if focus.kind == "single" else "ensemble"
    scales = study.params.calibration == "temperature"
    applied = ("applied" if kind == "ensemble" else "single") if scales else "would"
    at_fixed = {
        measure: n(fixed[measure]["value"]) + interval(fixed[measure], t, 3)
        for measure in ("sensitivity", "specificity")
    }
    return [
        t("calibration.error", focus=t.name(focus), ece=n(model["ece"]), mean=n(model["calibrated"]["value"]),
          low=n(model["calibrated"]["low"]), high=n(model["calibrated"]["high"]),
          people=t("calibration.people") if evidence["unit"] == "subject" else ""),
        t("calibration.found." + ("miscalibrated" if model["ece"] > model["calibrated"]["high"] else "chance")),
        t("calibration.note", draws=t.count(found["draws"])),
        t("decisions.values.note", sensitivity=n(half["sensitivity"]["value"]),
          specificity=n(half["specificity"]["value"])),
        t("calibration.slope", slope=n(model["slope"]["value"], 2), interval=interval(model["slope"], t)),
        t("calibration.level", level=n(model["in_the_large"]["value"], 2),
          interval=interval(model["in_the_large"], t)),
        t(f"calibration.temperature.{applied}", ece=n(without["ece"]), scaled_ece=n(scaled_["ece"]),
          loss=n(without["log_loss"]), scaled_loss=n(scaled_["log_loss"]),
          temperatures=", ".join(f"{n(value, 2)} ({t.member(name)})" for name, value in scaled["members"].items())),
        t("decisions.value", focus=t.name(focus), test=t.percent(use["prevalence"]),
          prevalence=t.given(100 * first["prevalence"]), ppv=t.percent(first["ppv"]["value"], 1),
          low=t.percent(first["ppv"]["low"], 1), high=t.percent(first["ppv"]["high"], 1)),
        t(f"decisions.chosen.{kind}", members=len(focus.members), images=t.count(use["validation_images"])),
        t("decisions.fixed", target=t.given(study.params.report.specificity), threshold=n(fixed["threshold"]),
          **at_fixed),
        t("decisions.cheapest", missed=5, threshold=n(cheapest["threshold"], 2), cost=n(cheapest["cost"]),
          half=n(half["cost"])),
        t("decisions.benefit", missed=5, threshold=n(1 / 6), model=n(use["net_benefit"]["model"]),
          all=n(use["net_benefit"]["all"])),
    ]  # fmt: skip


def interval(found: dict[str, float], t: Text, digits: int = 2) -> str:
    return t("interval.after", low=t.number(found["low"], digits), high=t.number(found["high"], digits))


def test_the_model_card_has_the_calibration_of_the_classifier_in_focus(page_of: PageOf) -> None:
    params, paths = page_of()
    study = gather(params, paths)
    ece = expected_error(study.label, study.focus.probability)
    assert f"ECE {ece:.3f}" in (paths.report / "model-card.md").read_text(encoding="utf-8")


def test_thresholds_are_chosen_without_the_test_set(make_study: MakeStudy) -> None:
    study = gather(*make_study())
    chosen = [at["threshold"] for at in decisions.measure(study)["thresholds"].values()]
    label, probability = decisions.on_validation(study.focus)
    assert len(label) == sum(len(member.validation_label) for member in study.focus.members)
    expected = min(at for at in probability if specificity(confusion(label, probability, at)) >= 0.95)
    assert chosen[:2] == [0.5, expected]
    costs = [5 * (c := confusion(label, probability, at / 100)).fn + c.fp for at in range(101)]
    assert chosen[2] == pytest.approx(np.argmin(costs) / 100)
    study.focus.probability[:] = 1 - study.focus.probability
    now = decisions.measure(study)["thresholds"]
    assert [at["threshold"] for at in now.values()] == chosen
    c = confusion(study.label, study.focus.probability, expected)
    assert now["specificity"]["sensitivity"]["value"] == pytest.approx(recall(c))


def test_the_histogram_has_the_images_of_the_bins(make_study: MakeStudy) -> None:
    study = gather(*make_study())
    study.focus.probability[:] = np.arange(len(study.label)) % 11 / 10  # limits of bins, of which some are 0.3 and 0.7
    found = calibration.measure(study)
    below = calibration.figures(study, found, Text("en"))["calibration"].axes[1]
    assert [bar.get_height() for bar in below.patches] == [bin["images"] for bin in found["bins"]]


def test_the_page_shows_the_effect_of_the_temperature_option(make_study: MakeStudy) -> None:
    params, paths = make_study(folds=[0, 1, 2])
    would = calibration.measure(gather(params, paths))
    scaled = params.model_copy(update={"calibration": "temperature"})
    for recipe in params.rates:
        inter.run(scaled, paths, recipe)
    intra.run(scaled, paths)
    study = gather(scaled, paths)
    does = calibration.measure(study)
    assert would["models"][0]["ece"] == would["temperature"]["without"]["ece"]
    assert does["models"][0]["ece"] == would["temperature"]["with"]["ece"]
    assert does["models"][0]["log_loss"] == would["temperature"]["with"]["log_loss"]
    assert does["models"][1:] == would["models"][1:]
    assert study.focus.temperature.tolist() == list(would["temperature"]["members"].values())


POOR = {
    "certain": lambda label: (np.arange(len(label)) % 2).astype(float),
    "perfect": lambda label: label.astype(float),
    "always ALL": lambda label: np.ones(len(label)),
    "undecided": lambda label: np.full(len(label), 0.5),
}


@pytest.mark.parametrize("unit", ["image", "subject"])
@pytest.mark.parametrize("name", POOR)
@pytest.mark.parametrize("one_class", [False, True])
def test_a_poor_classifier_or_test_set_gives_numbers_or_dashes(
    make_study: MakeStudy, name: str, unit: str, one_class: bool
) -> None:
    study = gather(*make_study(split={"unit": unit}))
    if one_class:
        study.cells["label"] = 1
    for member in study.focus.members:
        member.validation_probability[:] = POOR[name](member.validation_label)
    study.focus.probability[:] = POOR[name](study.label)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for section, t in ((calibration, Text("en")), (decisions, Text("id"))):
            found = section.measure(study)
            assert all(render(figure, "svg") for figure in section.figures(study, found, t).values())
            shown = [t.number(value) for value in numbers(found)]
            assert shown
            assert all(re.fullmatch(rf"-?[\d.,]+|{ABSENT}", text) for text in shown)


def numbers(found: Any) -> list[float | None]:
    if isinstance(found, dict | list):
        return [number for value in (found.values() if isinstance(found, dict) else found) for number in numbers(value)]
    return [] if isinstance(found, str | bool) else [found]


@pytest.mark.usefixtures("drawn")
@pytest.mark.parametrize("language", ["en", "id"])
def test_the_page_of_a_classifier_that_always_says_the_same_has_dashes(make_study: MakeStudy, language: str) -> None:
    params, paths = make_study(report={"language": language}, cells=45, subjects=9)
    for fold in params.folds:
        path = paths.predictions(Member(str(params.lr), fold))
        arrays = read_npz(path)
        write_npz(path, **arrays | {f"{part}_probability": 0 * arrays[f"{part}_probability"] for part in PARTS})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "no member has a positive score")
        inter.run(params, paths, str(params.lr))
        intra.run(params, paths)
        evidence, text = sections(params, paths)
    assert evidence["decisions"]["prevalences"][0]["ppv"]["value"] is None
    t = Text(language)
    assert t("decisions.fixed.unreached", target=t.given(params.report.specificity)) in text
    about = {"focus": t.name(gather(params, paths).focus), "test": t.percent(evidence["decisions"]["prevalence"])}
    assert t("decisions.value.none", **about) in text
    shown = {path: value for path, value, _ in CELL.findall(text)}
    assert shown["decisions.prevalences.0.ppv"] == shown["calibration.models.0.slope"] == ABSENT
    assert "nan" not in text.lower().replace("dengan", "")
    assert "none" not in re.sub("predict none|predicting none", "", text.lower())


PARTS = ("validation", "test")
