"""Published results are shown in groups that are never ranked together."""

import re

import pytest
from report_study import CNMC, MakeStudy, PageOf, section, section_of

from wen.report import published
from wen.report.language import Text
from wen.results import gather

LANGUAGES = ["en", "id"]


def test_every_published_result_says_on_what_it_was_measured_how_that_is_known_and_a_measure() -> None:
    table = published.results()
    assert set(table.unit) == {"subject", "image", "unstated"}
    assert set(table.basis) == {"abstract", "code", "quoted", "recalled"}
    assert ((table.unit == "unstated") == (table.split_evidence == "not stated")).all()
    assert table[list(published.MEASURES)].notna().any(axis=1).all()
    values = table[list(published.MEASURES)].stack().dropna()
    assert values.between(0.7, 1).all()
    assert ((table.note_en == "") == (table.note_id == "")).all()


@pytest.mark.parametrize(
    ("study", "data", "figures"),
    [
        ("Pan", "C-NMC preliminary", {"weighted_f1": 0.925, "balanced_accuracy": 0.9173}),
        ("Pan", "C-NMC final", {"weighted_f1": 0.9104}),
        ("Goswami", "C-NMC final", {"weighted_f1": 0.9526}),
        ("Gehlot", "C-NMC final", {"weighted_f1": 0.948}),
        ("Prellberg & Kramer", "C-NMC final", {"weighted_f1": 0.8891}),
        ("Marzahl", "C-NMC preliminary", {"weighted_f1": 0.8764}),
        ("Albzour", "C-NMC preliminary", {"auc": 0.913, "sensitivity": 0.87, "specificity": 0.8}),
        ("Braga", "C-NMC", {"f1": 0.9815}),
        ("Trubnikov", "C-NMC", {"f1": 0.891}),
        ("Rodrigues", "ALL-IDB", {"accuracy": 0.9846}),
    ],
)
def test_the_record_holds_the_figures_of_the_papers(study: str, data: str, figures: dict[str, float]) -> None:
    table = published.results()
    row = table[(table.study == study) & (table.data == data)].iloc[0]
    assert {name: row[name] for name in figures} == figures


def test_results_on_other_data_are_a_group_of_their_own() -> None:
    table = published.results()
    assert set(table[table.group == "other"].study) == {"Baby", "Rodrigues"}
    assert (table[table.group != "other"].group == table[table.group != "other"].unit).all()


@pytest.mark.parametrize("unit", ["image", "subject"])
def test_this_study_stands_in_the_group_of_its_own_split_and_in_no_other(make_study: MakeStudy, unit: str) -> None:
    study = gather(*make_study(dataset={"source": "cnmc", "complete": True}, split={"unit": unit}))
    groups = published.grouped(published.beside(study, "this study"))
    assert tuple(groups) == published.GROUPS
    found = {group: [result for result in results if result["focus"]] for group, results in groups.items()}
    assert {group: len(rows) for group, rows in found.items()} == {name: int(name == unit) for name in published.GROUPS}
    (result,) = found[unit]
    row = study.focus.row
    assert (result["accuracy"], result["f1"], result["sensitivity"]) == (row["accuracy"], row["f1"], row["recall"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_study_of_a_part_of_c_nmc_is_not_listed_and_the_page_says_so(make_study: MakeStudy, language: str) -> None:
    params, paths = make_study(dataset={"source": "cnmc", "complete": False}, report={"language": language})
    assert not published.beside(gather(params, paths), "this study").focus.any()
    t = Text(language)
    text = section(params, paths, "published")
    assert t("published.part") in text
    assert t("published.synthetic") not in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_has_a_table_for_each_group_and_marks_what_is_second_hand_or_recalled(
    page_of: PageOf, language: str
) -> None:
    text, t = section_of(page_of(language, dataset=CNMC)[1], "published"), Text(language)
    assert re.findall(r'<table class="sortable" data-group="(\w+)">', text) == list(published.GROUPS)
    table = published.results()
    for basis in ("quoted", "recalled"):
        assert text.count(t(f"published.{basis}")) == (table.basis == basis).sum() > 0
    for note in table[f"note_{language}"]:
        assert note in text
    rows = dict(zip(published.GROUPS, text.split("<tbody>")[1:], strict=True))
    assert [group for group, body in rows.items() if f'<th scope="row">{t("axis.this")}' in body] == ["image"]


def test_a_table_of_published_results_shows_only_the_measures_that_one_of_them_has() -> None:
    groups = published.grouped(published.results())
    assert published.reported(groups["image"]) == ["f1"]
    assert published.reported(groups["other"]) == ["accuracy", "f1"]
