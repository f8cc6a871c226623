"""The reporting checklist answers every item."""

import re
from collections import Counter
from typing import Any

import pytest
from report_study import CNMC, PageOf, section_of

from wen.config.params import Params
from wen.report import checklist
from wen.report.language import Text, listed
from wen.results import gather

LANGUAGES = ["en", "id"]


def test_every_item_of_both_guidelines_is_in_the_checklist_once_and_in_order() -> None:
    numbers: dict[str, list[str]] = {"CLAIM 2024": [], "TRIPOD+AI": []}
    for entry in listed("checklist.yaml", "en"):
        numbers[entry["guideline"]].append(entry["item"])
    assert numbers["CLAIM 2024"] == [str(number) for number in range(1, 45)]
    parts = {"3": 3, "5": 2, "6": 3, "8": 3, "9": 3, "12": 7, "18": 6, "20": 3, "23": 2, "27": 3}
    expected = [
        f"{number}{letter}" for number in range(1, 28) for letter in ("abcdefg"[: parts.get(str(number), 0)] or [""])
    ]
    assert numbers["TRIPOD+AI"] == expected


def test_each_item_is_filled_or_open_or_not_applicable_in_both_languages() -> None:
    for english, indonesian in zip(*(listed("checklist.yaml", language) for language in LANGUAGES), strict=True):
        for entry in (english, indonesian):
            (state,) = set(checklist.STATES) & set(entry)
            assert entry[state]
            assert entry["topic"]
        assert english.keys() == indonesian.keys()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("unit", ["image", "subject"])
def test_the_page_shows_every_item_with_the_numbers_of_the_run(page_of: PageOf, language: str, unit: str) -> None:
    params, paths = page_of(language, unit, dataset=CNMC)
    text, t = section_of(paths, "checklist"), Text(language)
    assert Counter(re.findall(r'<th scope="row">([^<]+)</th>', text)) == {"CLAIM 2024": 44, "TRIPOD+AI": 52}
    for state in checklist.STATES:
        (title,) = (found for found in re.findall("<summary>([^<]+)</summary>", text) if found.startswith(
            t(f"checklist.{state}", count="").split("(")[0]))  # fmt: skip
        body = text.split(title)[1].split("</table>")[0]
        assert title == t(f"checklist.{state}", count=body.count('<th scope="row">'))
    test_images = (gather(params, paths).cells.part == "test").sum()
    assert {"en": f"Test set: {test_images} images", "id": f"Data uji: {test_images} citra"}[language] in text
    assert "{" not in text


SETTINGS = {
    "no second stage": (
        {"finetune": {"epochs": 0}},
        ("only the head is trained", "no fine-tuning", "the head's training", "of the head alone"),
        ("then fine-tuning", "in two stages", "both stages", "stage 2 of training"),
    ),
    "no random views": (
        {"augment": {"horizontal_flip": 0.0, "vertical_flip": 0.0, "brightness": 0.0, "contrast": 0.0}},
        ("augmentation: none",), ("flips", "brightness"),
    ),
    "other views": ({"augment": {"rotate": 9.0, "hue": 0.1}}, ("flips, rotation, brightness, contrast, hue",), ()),
    "a regularised training": (
        {"train": {"weight_decay": 0.01, "ema": 0.99, "label_smoothing": 0.1, "schedule": "cosine", "monitor": "loss"}},
        ("weight decay 0.01", "decay 0.99", "label smoothing 0.1", "cosine schedule", "on validation loss"), (),
    ),
    "a central square": ({"images": {"crop": 24}}, ("its centre, is used",), ("Full images are used",)),
    "large images": (
        {"images": {"crop": 1200, "size": 64}, "dataset": {"side": 1500}, "train": {"batch_size": 2048}, "seed": 2019},
        ("The central 1,200 px", "resized to 64 px", "batch 2,048", "seed 2019"), ("1200", "2048", "2,019"),
    ),
    "full images": ({"images": {"crop": None}}, ("Full images are used",), ("its centre",)),
    "no near-copies, by subject": (
        {"dataset": {"near_copies": False}, "split": {"unit": "subject"}},
        ("Subject and duplicates.", "Jackknife intervals over subjects"), ("near-copies.", "Bootstrap intervals"),
    ),
    "scaled and turned": (
        {"calibration": "temperature", "predict": {"tta": "flips"}},
        ("each scaled by a temperature", "the mean over 4 turned copies"), (),
    ),
    "a rate beside the grid": (
        {"lr": 0.0007}, ("at learning rate 1e-3, 1e-4, 1e-5, 7e-4,", "learning rates 1e-3, 1e-4, 1e-5, 7e-4;"), ()
    ),
    "a split of one's own": (
        {"split": {"unit": "image", "test": "a.csv"}},
        ("left out by a.csv: 9", "9 images (a.csv); 2-fold cross-validation on the other 9."), ("stratified by class",),
    ),
}  # fmt: skip


def filled(values: dict[str, Any], of_dataset: dict[str, Any], maps: bool = True, **changes: Any) -> str:
    """The checklist of a study with other parameters."""
    for key, value in changes.items():
        values[key] = values.get(key, {}) | value if isinstance(value, dict) else value
    part = {"images": 9, "positive": 5, "negative": 4, "subjects": 3}
    split = {"test": part, "development": part, "excluded": part, "folds_drawn": values["split"]["test"] == "random"}
    split |= {"test_and_development": {"shared_subjects": 0}}
    about = {"images": 27, "subjects": 6, "not_read": {}, "labelled_but_missing": 0} | of_dataset
    measured = {"dataset": about, "split": split, "stages": {"head": 1, "finetune": 0}, "maps": maps}
    measured["resampled"] = values["split"]["unit"]
    items = checklist.checklist(Params.model_validate(values), measured, Text("en"))
    return "\n".join(item["text"] for state in items.values() for item in state)


@pytest.mark.parametrize(("changes", "present", "absent"), SETTINGS.values(), ids=SETTINGS)
def test_an_item_says_what_this_study_does(
    values: dict[str, Any], changes: dict[str, Any], present: tuple[str, ...], absent: tuple[str, ...]
) -> None:
    text = filled(values, {}, **changes)
    assert [words for words in present if words not in text] == []
    assert [words for words in absent if words in text] == []


@pytest.mark.parametrize("maps", [True, False])
def test_the_checklist_lists_maps_only_where_the_network_has_some(values: dict[str, Any], maps: bool) -> None:
    text = filled(values, {}, maps=maps)
    assert ("Class-activation maps of mistakes" in text) is maps
    assert ("None: this network has no class-activation maps." in text) is not maps


def test_the_checklist_counts_files_that_were_not_used(values: dict[str, Any]) -> None:
    kinds = {"archives": {"count": 2, "examples": []}, "other files": {"count": 1, "examples": []}}
    text = filled(values, {"not_read": kinds, "labelled_but_missing": 3})
    assert text.count("Other files of the data folder that were not used: 3") == 2
    assert text.count("Images of the preliminary set with a label but no file: 3") == 2
