"""Which ids are one person: ids in several notations, and people with cells of both classes."""

import csv
import gzip
import io
import json
import zipfile
import zlib
from collections import defaultdict
from contextlib import redirect_stderr
from pathlib import Path

import layouts
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wen.config.params import Split
from wen.data import people, prepare
from wen.data.cell import Cell
from wen.data.readers import cnmc
from wen.data.split import assign
from wen.data.table import COPIES, TEST


def write(root: Path, names: list[str], fold: int = 0) -> Path:
    for name in names:
        layouts.write_image(root / f"training_data/fold_{fold}" / name[-3:] / f"{name}.bmp", zlib.crc32(name.encode()))
    return root


def survey(root: Path) -> tuple[pd.DataFrame, dict, list[str]]:
    """Index, metrics and warnings of a part of C-NMC, or of other data."""
    with redirect_stderr(io.StringIO()) as output:
        index, _, summary = prepare.survey(root, root, layouts.params())
    return index, summary, [line.removeprefix("warning: ") for line in output.getvalue().splitlines()]


@given(st.integers(0, 10**6), st.integers(0, 5), st.sampled_from(["", "H", "h"]))
def test_leading_zeros_and_the_case_of_h_do_not_distinguish_people(number: int, zeros: int, mark: str) -> None:
    assert people.number(f"{mark}{'0' * zeros}{number}") == f"{mark.upper()}{number}"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("UID_007", "7", True), ("P-3", "p03", True), ("1a", "1 A", True), ("José 2", "jose_2", True),
     ("Müller", "Mu\u0308ller", True),
     ("1 2", "12", False), ("1a", "1b", False), ("की", "का", False), ("Й1", "И1", False), ("3 ж", "3ж", True),
     ("10", "1", False), ("P-3", "P\u20133", True), ("P-3", "P\u20113", True), ("7", "'7", True),
     ("7", "7\u200b", True), ("P\u22123", "P4", False), ("P.3", "P-3", True), ("P/3", "P 3", True),
     ("P,3", "P_3", True), ("P(3)", "#p3", True), ("O'Brien", "o brien", True), ("1-2", "1/2", True),
     ("1.2", "12", False),
     ("UID7", "7", True), ("A1", "A01", True), ("A-01", "a1", True), ("A1", "A10", False), ("A1", "B1", False),
     ("1,000", "1000", True), ("1.000", "1000", True), ("1.000", "1", True), ("7,0", "7", True), ("7.00", "7", True),
     ("1,234,567", "1234567", True), ("1 234", "1234", True), ("1'234", "1\u2019234", True), ("P1,234", "p1234", True),
     ("1,23", "123", False), ("12,34", "1234", False), ("0,123", "123", False), ("10-001", "10001", False),
     ("\u0667", "7", True), ("\uff27\uff17", "g7", True), ("\u0661\u066c\u0660\u0660\u0660", "1000", True),
     ("\u0667", "\u0668", False)],
)  # fmt: skip
def test_spellings_of_an_id_are_one_person_and_other_ids_are_not(one: str, other: str, same: bool) -> None:
    united = people.unite({"1": one, "2": other, "3": one})
    assert united == {"1": one, "2": one if same else other, "3": one}


@given(
    st.lists(st.tuples(st.text("abcxyz", min_size=1), st.integers(0, 10**4)), min_size=1, max_size=4),
    st.data(),
)
def test_separators_zeros_case_and_script_of_digits_do_not_distinguish_people(
    parts: list[tuple[str, int]], data: st.DataObject
) -> None:
    def spelling() -> str:
        separator = st.sampled_from([".", "-", " ", "/", "_", ",", "\u2013", ", ", ""])
        text = ""
        for word, number in parts:
            zero = data.draw(st.sampled_from("0\u0660\u06f0\u0966\uff10"))
            digits = "0" * data.draw(st.integers(0, 2)) + str(number)
            text += f"{data.draw(separator)}{data.draw(st.sampled_from([word, word.upper()]))}{data.draw(separator)}"
            text += "".join(chr(ord(zero) + int(digit)) for digit in digits)
        return text

    assert len(set(people.unite({"1": spelling(), "2": spelling()}).values())) == 1


@given(st.integers(1, 10**12), st.sampled_from([",", ".", " ", "'", "\u202f"]))
def test_a_number_with_thousands_marks_is_the_number_without_them(number: int, mark: str) -> None:
    assert len(set(people.unite({"1": f"{number:,}".replace(",", mark), "2": str(number)}).values())) == 1


@given(st.sets(st.integers(0, 10**6)))
def test_different_numbers_are_different_people(numbers: set[int]) -> None:
    assert len(set(people.unite({str(number): f"P-{number}" for number in numbers}).values())) == len(numbers)


def test_a_placeholder_is_no_person_whatever_its_separators() -> None:
    for written in ("NA", "n/a", "N.A", "n.a.", "N-A", "#N/A", "<NA>", "Not  known", "not_available", "Tidak-ada", "?"):
        assert people.is_unknown(written), written
    for written in ("Nana", "N.A.7", "A", "0", "Ref"):
        assert not people.is_unknown(written), written


def test_an_ambiguous_id_joins_all_that_it_can_mean() -> None:
    written = {"1": "1", "2": "1000", "3": "1.000", "4": "2", "5": "1000"}
    assert people.unite(written) == {"1": "1000", "2": "1000", "3": "1000", "4": "2", "5": "1000"}


def test_ids_of_one_person_in_two_notations_are_one_person_with_a_warning(tmp_path: Path) -> None:
    donors = ["UID_H08_1_1_hem", "UID_h8_2_1_hem", "UID_H10_1_1_hem"]
    write(tmp_path, ["UID_007_1_1_all", "UID_7_1_1_all", "UID_9_1_1_all", *donors])
    index, summary, lines = survey(tmp_path)
    assert index.set_index("id").subject.to_dict() == {
        "UID_007_1_1_all": "7", "UID_7_1_1_all": "7", "UID_H08_1_1_hem": "H8", "UID_h8_2_1_hem": "H8",
        "UID_9_1_1_all": "9", "UID_H10_1_1_hem": "H10",
    }  # fmt: skip
    assert summary["people"] == {"of_both_classes": [], "with_several_ids": {"7": ["007", "7"], "H8": ["H08", "H8"]}}
    assert [
        "people with several ids, each counted as one person (2)" in line and "007 and 7 (7)" in line for line in lines
    ] == [True]


def test_a_person_with_cells_of_both_classes_has_one_number(tmp_path: Path) -> None:
    write(tmp_path, ["UID_7_1_1_all", "UID_7_2_1_hem", "UID_8_1_1_all", "UID_H90_1_1_hem"])
    index, summary, lines = survey(tmp_path)
    assert index.subject.tolist() == ["7", "7", "8", "H90"]
    assert index.label.tolist() == [1, 0, 1, 0]
    assert summary["people"]["of_both_classes"] == ["7"]
    assert lines == ["people with cells of both classes, each counted as one person (1): 7"]


def test_patients_whose_healthy_cells_are_marked_h_are_one_person_each(tmp_path: Path) -> None:
    for number in range(1, 31):
        names = [f"UID_{number}_{k}_1_all" for k in range(3)] + [f"UID_H{number}_{k}_1_hem" for k in range(3)]
        write(tmp_path, names, fold=number % 3)
    index, summary, lines = survey(tmp_path)
    assert summary["subjects"] == 30
    assert len(summary["people"]["of_both_classes"]) == 30
    assert lines[0] == "people with cells of both classes, each counted as one person (30): 1, 2, 3 and 27 more"
    assert "1 and H1 (1), 2 and H2 (2), 3 and H3 (3) and 27 more" in lines[1]
    person = index.id.str.extract(r"UID_H?(\d+)_")[0]
    for seed in range(20):
        options = Split(unit="subject", test="random", test_fraction=0.2)
        cells = assign(index, pd.DataFrame(columns=list(COPIES)), options, 5, seed)
        assert (cells.groupby(person).fold.nunique() == 1).all()
        assert (cells.part == TEST).sum() == 36


def test_a_part_of_c_nmc_keeps_its_patients_and_donors_apart(tmp_path: Path) -> None:
    write(tmp_path, ["UID_11_1_1_all", "UID_15_1_1_all", "UID_H11_1_1_hem", "UID_H15_1_1_hem"])
    index, summary, lines = survey(tmp_path)
    assert index.subject.tolist() == ["11", "15", "H11", "H15"]
    assert summary["people"] == {"of_both_classes": [], "with_several_ids": {}}
    assert not lines


@pytest.mark.parametrize(("name", "fold"), [("UID_7_1_1_all", 0), ("UID_1_1_1_all", 1)])
def test_one_cell_that_c_nmc_lacks_makes_it_another_data_set(tmp_path: Path, name: str, fold: int) -> None:
    write(tmp_path, ["UID_11_1_1_all", "UID_H11_1_1_hem"])
    write(tmp_path, [name], fold)
    index, summary, _ = survey(tmp_path)
    assert index.set_index("id").subject["UID_H11_1_1_hem"] == "11"
    assert summary["people"]["of_both_classes"] == ["11"]


def test_a_blast_with_the_id_of_a_healthy_donor_has_an_invalid_name() -> None:
    assert cnmc.parse_name("UID_H7_1_1_all") is None
    assert cnmc.parse_name("UID_007_1_1_hem") == ("7", 0)


def test_complete_c_nmc_has_no_hem_image_without_h() -> None:
    cells = [Cell("UID_1_1_1_hem", Path("UID_1_1_1_hem.bmp"), 0, "1", "fold_0")]
    assert "HEM images without H in their names: 1, published: 0 (UID_1_1_1_hem.bmp)" in cnmc.incomplete(cells)[0]


def test_the_table_of_c_nmc_s_subjects_is_that_of_the_real_file_names(real_manifest: Path) -> None:
    found = defaultdict(set)
    with gzip.open(real_manifest, "rt") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            path = Path(row["path"])
            if parsed := cnmc.parse_name(path.stem):
                found[path.parts[1]].add(parsed[0])
    with zipfile.ZipFile(real_manifest.with_name("cnmc-sample.zip")) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".csv")]
        for row in csv.DictReader(io.StringIO(archive.read(name).decode())):
            found["preliminary"].add(cnmc.parse_name(row["Patient_ID"].removesuffix(".bmp"))[0])
    assert {source: set(subjects.split()) for source, subjects in people.C_NMC.items()} == found
    assert sum(map(len, found.values())) == 101


def test_people_of_both_classes_or_several_ids_are_in_the_metrics(tmp_path: Path) -> None:
    write(tmp_path, ["UID_007_1_1_all", "UID_H7_2_1_hem"])
    _, summary, _ = survey(tmp_path)
    assert json.loads(json.dumps(summary["people"])) == {
        "of_both_classes": ["7"], "with_several_ids": {"7": ["007", "H7"]},
    }  # fmt: skip
