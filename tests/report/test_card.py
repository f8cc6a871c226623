"""The model card: Mitchell's headings, and front matter that Hugging Face can read."""

import math
import re
from typing import Any

import pytest
from report_study import CNMC, MakeStudy, PageOf
from ruamel.yaml import YAML

from wen.bundle import card as bundle_card
from wen.config.params import Params
from wen.config.paths import Paths
from wen.evaluation.metrics import MEASURES
from wen.files import read_json
from wen.report import page
from wen.report.language import Text
from wen.study import Classifier

HEADINGS = ("details", "use", "factors", "metrics", "evaluation", "training", "results", "ethics", "limits")


def card(params: Params, paths: Paths) -> tuple[dict[str, Any], str]:
    """The front matter and the text of a study's model card."""
    _, front, text = (paths.report / "model-card.md").read_text(encoding="utf-8").split("---\n", 2)
    return YAML(typ="safe").load(front), text


@pytest.mark.parametrize("language", ["en", "id"])
def test_the_model_card_has_the_nine_headings_of_mitchell_et_al_in_their_order(page_of: PageOf, language: str) -> None:
    _, text = card(*page_of(language))
    t = Text(language)
    assert re.findall("^## (.+)$", text, re.M) == [t(f"card.{name}") for name in HEADINGS]
    assert t("synthetic") in text


def test_the_metrics_in_the_front_matter_are_those_of_the_headline(page_of: PageOf) -> None:
    params, paths = page_of()
    front, _ = card(params, paths)
    (model,) = front["model-index"]
    (result,) = model["results"]
    headline = read_json(paths.headline)
    assert {item["type"]: item["value"] for item in result["metrics"]} == {name: headline[name] for name in MEASURES}
    assert model["name"] == read_json(paths.evidence)["study"]


def test_an_undefined_measure_is_left_out_of_the_front_matter(make_study: MakeStudy) -> None:
    params, paths = make_study()
    study = page.gather(params, paths)
    study.focus.row["auc"] = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "gather", lambda *_: study)
        page.run(params, paths)
    front, _ = card(params, paths)
    metrics = {item["type"]: item["value"] for item in front["model-index"][0]["results"][0]["metrics"]}
    assert set(metrics) == set(MEASURES) - {"auc"}
    assert all(math.isfinite(value) for value in metrics.values())


@pytest.mark.parametrize(("options", "name"), [({}, "synthetic cells"), ({"dataset": CNMC}, "C-NMC 2019")])
def test_the_model_card_names_licence_library_and_data_as_the_hub_expects(
    page_of: PageOf, options: dict[str, Any], name: str
) -> None:
    front, text = card(*page_of(**options))
    dataset = front["model-index"][0]["results"][0]["dataset"]
    assert (front["license"], front["library_name"]) == ("mit", "timm")
    assert front["datasets"] == [dataset["type"]] == [name.lower().replace(" ", "-")]
    assert dataset["name"] == name
    assert (Text("en")("attribution") in text) == bool(options)


@pytest.mark.parametrize("language", ["en", "id"])
@pytest.mark.parametrize(
    ("calibration", "ensemble"), [("temperature", "intra"), ("temperature", "single"), ("none", "intra")]
)
def test_the_cards_state_the_members_temperatures_if_and_only_if_they_are_applied(
    make_study: MakeStudy, calibration: str, ensemble: str, language: str
) -> None:
    params, paths = make_study(calibration=calibration, ensemble=ensemble, report={"language": language})
    page.run(params, paths)
    focus, t = page.gather(params, paths).focus, Text(language)
    applied, values = calibration == "temperature" and ensemble == "intra", [*map(t.number, focus.temperature)]
    text = (paths.report / "model-card.md").read_text()
    assert (t("card.temperatures", temperatures="; ".join(values)) in text) is applied
    assert ("temperatur" in text) is applied
    written = card_of_bundle(focus, params)
    assert ("temperatur" in written) is applied
    rows = [f"| {t.number(weight)} | {value} |" for weight, value in zip(focus.weight, values, strict=True)]
    assert all((row in written) is applied for row in rows)


def card_of_bundle(focus: Classifier, params: Params) -> str:
    """The card of a bundle of a classifier."""
    part = {"images": 1200, "subjects": 20}
    members = [
        {"name": member.name, "weight": weight, "temperature": temperature, **member.origin}
        for member, weight, temperature in zip(focus.members, focus.weight, focus.temperature, strict=True)
    ]
    data = {"name": "cells", "split": "image", "shared": 0, "synthetic": True, "development": part, "test": part}
    content = {
        "classifier": focus.id, "study": "abc", "classes": {"negative": "HEM", "positive": "ALL"},
        "threshold": 0.5, "members": members, "images": {"size": 32, "crop": 48}, "predict": {"tta": "none"},
        "data": data, "onnx": {"difference_from_torch": 1e-7}, "test": focus.row, "provenance": {},
    }  # fmt: skip
    return bundle_card.written(content, params)
