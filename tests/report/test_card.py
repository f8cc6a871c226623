"""The model card: Mitchell's headings, and front matter that Hugging Face can read."""

import math
import re
from typing import Any

import pytest
from report_study import MakeStudy, PageOf
from ruamel.yaml import YAML

from wen.config.params import Params
from wen.config.paths import Paths
from wen.evaluation.metrics import MEASURES
from wen.files import read_json
from wen.report import page
from wen.report.language import Text

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


@pytest.mark.parametrize(("source", "name"), [("synthetic", "Synthetic cells"), ("cnmc", "C-NMC 2019")])
def test_the_model_card_names_licence_library_and_data_as_the_hub_expects(
    page_of: PageOf, source: str, name: str
) -> None:
    front, text = card(*page_of(source=source))
    dataset = front["model-index"][0]["results"][0]["dataset"]
    assert (front["license"], front["library_name"]) == ("mit", "timm")
    assert front["datasets"] == [dataset["type"]] == [name.lower().replace(" ", "-")]
    assert dataset["name"] == name
    assert (Text("en")("attribution") in text) == (source == "cnmc")
