"""What the page says about other splits of the same data."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from report_study import MakeStudy, section

from wen.errors import WenError
from wen.files import read_json
from wen.repeats import table
from wen.report.evidence import Evidence
from wen.report.language import Text
from wen.report.sections import MEASURED, repeats
from wen.results import gather

MANY = {"image": 12, "subject": 12}
HEADER = ",".join(table.COLUMNS) + "\n"
ROW = "image,0,48,8,majority,,0.6,0.6,0.6,0.6,0.6\n"


@pytest.mark.parametrize("unit", ["image", "subject"])
def test_range_and_gain_are_those_of_the_table_of_splits(make_study: MakeStudy, unit: str) -> None:
    params, paths = make_study(repeats=MANY, split={"unit": unit}, reading="as_written")
    study, rows = gather(params, paths), pd.read_csv(paths.repeats)
    found = {way["split"]: way for way in repeats.measure(study)["ways"]}
    for split in table.SPLITS:
        of = {row["name"]: row for row in found[split]["classifiers"]}
        best, inter = [], []
        for repeat in range(12):
            draw = rows[(rows.split == split) & (rows.repeat == repeat)].set_index("classifier")
            best.append(draw.accuracy["best_single leak_free"])
            inter.append(draw.accuracy[f"inter {float(draw.lr['best_single leak_free'])} kappa"])
        assert of["single"]["accuracies"] == best
        assert of["inter"]["accuracies"] == inter
        low, median, high = np.quantile(inter, [0.05, 0.5, 0.95])
        assert [of["inter"][key] for key in ("low", "median", "high")] == [low, median, high]
        assert of["inter"]["difference"] == pytest.approx(np.subtract(inter, best).mean())
        assert of["inter"]["better"] == np.mean(np.greater(inter, best))
        assert (of["inter"]["study"] is not None) == (split == unit)


def test_the_costs_of_leaks_add_up_to_the_difference_of_both_splits(make_study: MakeStudy) -> None:
    found = repeats.measure(gather(*make_study(repeats=MANY)))
    mean = {way["split"]: np.mean(row["accuracies"]) for way in found["ways"] for row in way["classifiers"]
            if row["name"] == "inter"}  # fmt: skip
    assert sum(found["leaks"].values()) == pytest.approx(mean["image"] - mean["subject"])


@pytest.mark.parametrize("language", ["en", "id"])
def test_the_page_says_how_far_splits_are_apart_and_marks_its_own(make_study: MakeStudy, language: str) -> None:
    params, paths = make_study(repeats=MANY, report={"language": language})
    written, t = section(params, paths, "repeats"), Text(language)
    by_image = next(way for way in read_json(paths.evidence)["repeats"]["ways"] if way["split"] == "image")
    inter = next(row for row in by_image["classifiers"] if row["name"] == "inter")
    figures = {key: t.number(inter[key]) for key in ("least", "most", "median")}
    assert t("repeats.range.image", splits=12, name=t("repeats.inter"), **figures) in written
    assert written.count(t("repeats.one")) == 1
    assert t("repeats.note") in written
    assert written.count("<figure ") == 2
    assert t.number(inter["study"]) in written


@pytest.mark.parametrize("baselines", [["colour"], []])
def test_a_baseline_s_accuracy_is_stated_to_be_the_mean_over_its_fold_models(
    make_study: MakeStudy, baselines: list[str]
) -> None:
    params, paths = make_study(repeats=MANY, baselines=baselines)
    study = gather(params, paths)
    rows = {row["name"]: row for row in repeats.measure(study)["ways"][-1]["classifiers"]}
    for recipe in params.baseline_recipes:
        accuracies = [study.single(member).row["accuracy"] for member in study.baselines[recipe]]
        assert rows[recipe]["study"] == pytest.approx(np.mean(accuracies))
    written = section(params, paths, "repeats")
    assert (Text("en")("repeats.baselines") in written) is bool(baselines)


def test_without_repeats_the_page_says_that_there_are_none(make_study: MakeStudy) -> None:
    params, paths = make_study(repeats={"image": 0, "subject": 0})
    written = section(params, paths, "repeats")
    assert Text("en")("repeats.none") in written
    assert "<table" not in written


@pytest.mark.parametrize("kind", ["image", "subject"])
def test_one_kind_of_split_alone_gives_a_page(make_study: MakeStudy, kind: str) -> None:
    params, paths = make_study(repeats={"image": 0, "subject": 0} | {kind: 2}, weighting="uniform", baselines=[])
    written = section(params, paths, "repeats")
    assert Text("en")(f"repeats.by.{kind}") in written
    assert written.count("<figure ") == 1


def test_draws_that_gave_no_split_are_counted(make_study: MakeStudy) -> None:
    params, paths = make_study(repeats=MANY)
    rows = pd.read_csv(paths.repeats, keep_default_na=False)
    rows[(rows.split != "subject") | (rows.repeat > 2)].to_csv(paths.repeats, index=False)
    written = section(params, paths, "repeats")
    assert Text("en")("repeats.left_out", left_out=3, asked=12) in written


@pytest.mark.parametrize("content", ["", "split,repeat\nimage,0\n", "\x00", "split\nimage,0,1\n", HEADER + ROW])
def test_a_damaged_table_gives_a_message(tmp_path: Path, content: str) -> None:
    path = tmp_path / "repeats.csv"
    path.write_text(content)
    with pytest.raises(WenError, match=r"repeats\.csv: .*run `dvc repro`"):
        table.read(path)


def test_a_missing_table_of_repeats_is_refused_with_the_command_that_makes_it(make_study: MakeStudy) -> None:
    params, paths = make_study()
    paths.repeats.unlink()
    with pytest.raises(WenError, match=r"repeats\.csv: not found; run `dvc repro` first"):
        gather(params, paths)


def test_sections_do_not_overwrite_other_evidence(make_study: MakeStudy) -> None:
    assert not MEASURED.keys() & Evidence(gather(*make_study())).gathered().keys()
