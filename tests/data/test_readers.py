"""Cells of a laboratory: a folder for each class, a table, and ALL-IDB2's names."""

from pathlib import Path

import pytest

from wen.data.problems import Problems
from wen.data.readers import cell_table, class_folders
from wen.data.readers.labels import label_of, positive_of
from wen.errors import WenError

CLASSES = ("normal", "blast")


def put(root: Path, *names: str) -> Path:
    """Empty files: a reader opens no image."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def table(root: Path, text: str | bytes) -> Path:
    path = root / "cells.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


LAB = ("blast/1.png", "blast/2.TIF", "normal/3.jpeg", "normal/4.BMP")


def test_the_folder_of_an_image_is_its_class_whatever_its_format(tmp_path: Path) -> None:
    listing = class_folders.read(put(tmp_path, *LAB), CLASSES, None)
    assert {cell.id: cell.label for cell in listing.cells} == dict(zip(LAB, (1, 1, 0, 0), strict=True))
    assert not listing.problems
    assert not listing.not_read
    assert {cell.subject for cell in listing.cells} == {""}


LITTER = (
    ".DS_Store", "blast/Thumbs.db", "blast/._1.png", "@eaDir/1.png/SYNOPHOTO_THUMB_M.jpg", "readme.txt",
    "blast/.ipynb_checkpoints/1-checkpoint.png", "__MACOSX/blast/._1.png", "blast/1.png:Zone.Identifier",
    "Thumbs.db:encryptable",
)  # fmt: skip


def test_system_files_are_ignored_without_a_message(tmp_path: Path) -> None:
    listing = class_folders.read(put(tmp_path, *LAB, *LITTER), CLASSES, None)
    assert len(listing.cells) == 4
    assert not listing.left_out


def test_images_outside_the_class_folders_are_counted_with_examples(tmp_path: Path) -> None:
    listing = class_folders.read(put(tmp_path, *LAB, *(f"monocyte/{k}.png" for k in range(9)), "a.webp"), CLASSES, None)
    assert len(listing.cells) == 4
    assert listing.left_out == [
        "not read: images of other formats than BMP, PNG, TIFF and JPEG (1): a.webp; images outside the folders normal "
        "and blast (9): monocyte/0.png, monocyte/1.png, monocyte/2.png and 6 more. Cells are read from BMP, PNG, TIFF "
        "and JPEG files only"
    ]


def test_a_folder_named_by_the_number_of_a_person_is_no_class(tmp_path: Path) -> None:
    images = ("blast/1/1.png", "normal/1/2.png", "normal/0/3.png", "unlabelled/1/4.png", "unlabelled/0/5.png")
    listing = class_folders.read(put(tmp_path, *images), CLASSES, None)
    assert {cell.id: cell.label for cell in listing.cells} == dict(zip(images, (1, 0, 0), strict=False))
    assert not listing.problems
    assert listing.not_read["images outside the folders normal and blast"]["count"] == 2


@pytest.mark.parametrize("top", ["", "1/", "train/"])
def test_folders_0_and_1_are_the_classes_where_no_other_folder_is(tmp_path: Path, top: str) -> None:
    listing = class_folders.read(put(tmp_path, "0/1.png", f"{top}1/2.png"), CLASSES, None)
    assert sorted(cell.label for cell in listing.cells) == [0, 1]


def test_an_image_in_folders_of_both_classes_is_a_problem(tmp_path: Path) -> None:
    listing = class_folders.read(put(tmp_path, *(f"blast/normal/{k}.png" for k in range(5))), CLASSES, None)
    assert listing.problems == [
        "5 files or rows: in folders of both classes, normal and blast; an image must be in one of them: "
        "blast/normal/0.png, blast/normal/1.png, blast/normal/2.png and 2 more"
    ]


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (LAB, {"blast": 2, "normal": 2}),
        (("x/blast/1.png", "x/normal/1.png"), {"blast": 1, "normal": 1}),
        (("train/blast/1.png", "test/normal/1.png"), {"blast": 1, "normal": 1}),
        (("blast/P1/1.png", "normal/P2/1.png", "normal/P3/1.png"), {"blast": 1, "normal": 2}),
        (("P1/blast/1.png", "P2/normal/1.png", "P3/normal/1.png"), {"blast": 1, "normal": 2}),
        (("P1/blast/1.png", "P2/normal/1.png"), {"blast": 1, "normal": 1}),
        (("0/blast/1.png", "0/normal/1.png", "1/normal/2.png"), {"blast": 1, "normal": 2}),
        (("a/0/1.png", "b/1/1.png"), {"0": 1, "1": 1}),
        (("Benign/1.jpg", "Early/1.jpg", "Pre/1.jpg", "Pro/1.jpg"), {"Benign": 1, "Early": 1, "Pre": 1, "Pro": 1}),
        (("blast/1.png",), {"blast": 1}),
        (("1.png", "2.png"), {}),
        (("Im001_1.tif", "Im002_0.tif", "Im003_0.tif"), {"0": 2, "1": 1}),
        (("im1_0.png", "im1_1.png", "im2_0.png"), {}),  # two cells of a field of view
        (("Train/blast/1.png", "TestA/blast/2.png", "Test-B/normal/3.png"), {"blast": 2, "normal": 1}),
        (("training_data/a/1.png", "test_set_2/b/2.png"), {"a": 1, "b": 1}),
        (("testis/1.png", "device/2.png"), {"device": 1, "testis": 1}),
    ],
)
def test_the_level_of_folders_that_names_the_classes_is_found(names: tuple[str, ...], classes: dict[str, int]) -> None:
    assert class_folders.found_classes(names) == classes


def test_two_classes_in_folders_of_two_levels_are_found_if_they_are_named() -> None:
    names = ("Benign/1.png", "Malignant/Early/2.png", "Malignant/Pre/3.png", "Malignant/Pre/4.png")
    found = class_folders.found_classes(names, ("benign", "Pre"))
    assert (found["Benign"], found["Pre"]) == (1, 2)
    assert class_folders.found_classes(names, ("Pre",)) == {"Early": 1, "Pre": 2}
    assert class_folders.found_classes(names) == {"Benign": 1, "Malignant": 3}


TWO_LEVELS = ("Cancer Centre/blast/1.png", "Cancer Centre/normal/2.png", "City/blast/3.png", "City/normal/4.png")


def test_two_levels_of_folders_that_could_be_the_classes_are_refused_unless_these_are_named() -> None:
    with pytest.raises(WenError, match=r"^the folders Cancer Centre and City, or blast and normal, could be the"):
        class_folders.found_classes(TWO_LEVELS)
    for wanted in (("normal", "blast"), ("Normal",)):
        assert class_folders.found_classes(TWO_LEVELS, wanted) == {"blast": 2, "normal": 2}
    same = ("malignant/blast/1.png", "malignant/blast/2.png", "benign/normal/3.png")
    assert class_folders.found_classes(same) == {"benign": 1, "malignant": 2}


def test_a_folder_of_unknown_people_is_no_person(tmp_path: Path) -> None:
    listing = class_folders.read(put(tmp_path, "blast/unknown/1.png", "normal/P7/2.png"), CLASSES, r"/(\w+)/")
    assert listing.problems == [
        "blast/unknown/1.png: dataset.subject, /(\\w+)/, finds 'unknown' in its path, which names no person"
    ]


def test_all_idb2_is_read_by_its_names(tmp_path: Path) -> None:
    names = [f"Im{k:03d}_{int(k <= 130)}.tif" for k in range(1, 261)]
    listing = class_folders.read(put(tmp_path, *names), ("healthy", "blast"), None)
    assert sum(cell.label for cell in listing.cells) == 130
    assert len(listing.cells) == 260
    assert not listing.problems


def test_a_pattern_reads_the_subject_from_the_path_and_a_path_without_one_is_refused(tmp_path: Path) -> None:
    names = ("blast/P07_1.png", "normal/p7_2.png", "normal/P12_1.png")
    listing = class_folders.read(put(tmp_path, *names), CLASSES, r"(?i)(p\d+)_")
    assert [cell.subject for cell in listing.cells] == ["P07", "P12", "P07"]
    assert listing.people["of_both_classes"] == ["P07"]
    put(tmp_path, "normal/stray.png")
    listing = class_folders.read(tmp_path, CLASSES, r"(?i)(p\d+)_")
    assert listing.problems == [r"normal/stray.png: its path does not match dataset.subject, (?i)(p\d+)_"]


ROWS = "file,label,patient\n1.png,blast,7\n2.TIF,blast,007\n3.jpeg,normal,7\n4.BMP,normal,UID_8\n"


def read(root: Path, text: str | bytes) -> tuple[dict[str, tuple[int, str]], list[str]]:
    listing = cell_table.read(root, table(root, text), CLASSES, None)
    return {cell.id: (cell.label, cell.subject) for cell in listing.cells}, listing.problems


EXPECTED = {"blast/1.png": (1, "7"), "blast/2.TIF": (1, "7"), "normal/3.jpeg": (0, "7"), "normal/4.BMP": (0, "UID_8")}


@pytest.mark.parametrize(
    "text",
    [
        ROWS,
        ROWS.replace(",", ";"),
        ROWS.replace(",", "\t"),
        ROWS.replace("\n", "\r\n"),
        ROWS + "\n\n,,\n",
        ROWS.encode("utf-8-sig"),
        ROWS.encode("utf-16"),
        ROWS.encode("utf-16-le"),
        "".join(f"{k},{line}\n" for k, line in zip(("", 0, 1, 2, 3), ROWS.splitlines(), strict=True)),
        ROWS.replace("blast,", "1,").replace("normal,", "0,"),
        ROWS.replace("blast,", "1.0,").replace("normal,", "0.0,"),
        ROWS.replace("blast,", "Blast,").replace("normal,", " NORMAL ,"),
        ROWS.replace("1.png", "C:\\lab\\blast\\1.png").replace("3.jpeg", "/home/me/normal/3.jpeg"),
        ROWS.replace("1.png", "1").replace("4.BMP", "4.bmp"),
        ROWS.replace("file,label,patient", "Image Name,Diagnosis,Patient ID"),
        ROWS.replace("file,label,patient", "file.name,class.label,patient.id"),
        ROWS.replace("file,label,patient", "Nama Berkas,Diagnosa,No. RM"),
        ROWS.replace(",007\n", ',="007"\n').replace("1.png", '"=""1.png"""'),
        ROWS.replace(",7\n", ",7.0\n"),
        ROWS.replace("blast,", "1.0,")
        .replace("normal,", "0.0,")
        .replace(",7\n", ",7.0\n")
        .replace(",", ";")
        .replace(".0", ",0"),
        ROWS.replace(",007\n", ",1000\n").replace(",7\n", ",1.0E+03\n"),
        '"File\nname";Label;Patient;"a, b, c, d"\n'
        + "".join(f"{row.replace(',', ';')};x\n" for row in ROWS.splitlines()[1:]),
        "patient,note,label,file\n"
        + "".join(f"{row.split(',')[2]},x,{row.split(',')[1]},{row.split(',')[0]}\n" for row in ROWS.splitlines()[1:]),
    ],
)
def test_tables_are_read_in_the_usual_notations(tmp_path: Path, text: str | bytes) -> None:
    cells, problems = read(put(tmp_path, *LAB), text)
    assert not problems
    assert {name: label for name, (label, _) in cells.items()} == {name: label for name, (label, _) in EXPECTED.items()}
    assert len({subject for _, subject in cells.values()}) == 2
    assert cells["blast/1.png"][1] == cells["blast/2.TIF"][1] == cells["normal/3.jpeg"][1]


def test_a_column_that_counts_the_rows_is_not_taken_for_the_names_of_the_images(tmp_path: Path) -> None:
    put(tmp_path, *LAB)
    rows = "{},{},label\n1,2.TIF,blast\n2,1.png,blast\n3,3.jpeg,normal\n4,none.png,normal\n"
    _, problems = read(tmp_path, rows.format("image_id", "Bild"))
    assert problems == [
        "2 files or rows: its columns image_id and Bild name different images; rename the images' column to path: "
        "line 2 (blast/1.png and blast/2.TIF), line 3 (blast/2.TIF and blast/1.png)"
    ]
    for columns in (("image_id", "path"), ("path", "mask")):
        _, problems = read(tmp_path, rows.format(*columns))
        assert not any("different images" in problem for problem in problems)


@pytest.mark.parametrize("images", [("P1/1.png", "P2/2.png"), ("1/1.png", "1/2.png"), ("01/3.png", "02/4.png")])
def test_a_table_of_people_whose_images_are_in_folders_is_not_one_of_images(
    tmp_path: Path, images: tuple[str, ...]
) -> None:
    put(tmp_path, *images, "2/7.png")
    prefix = "P" * (images[0][0] == "P")
    _, problems = read(tmp_path, f"id,label\n{prefix}1,blast\n{prefix}2,normal\n")
    assert len(problems) == 1
    assert "the name of a folder, not of an image. If the table has a row for each person" in problems[0]


def test_images_in_folders_of_their_own_names_are_found(tmp_path: Path) -> None:
    put(tmp_path, "1/1.png", "2/2.png")
    cells, problems = read(tmp_path, "id,label,patient\n1,blast,7\n2,normal,8\n")
    assert (cells, problems) == ({"1/1.png": (1, "7"), "2/2.png": (0, "8")}, [])


def test_folders_give_the_labels_where_the_table_has_none(tmp_path: Path) -> None:
    cells, problems = read(put(tmp_path, *LAB), "file,patient\n1.png,7\n2.TIF,7\n3.jpeg,7\n4.BMP,8\n")
    assert not problems
    assert [label for label, _ in cells.values()] == [1, 1, 0, 0]


def test_images_of_the_same_name_are_distinguished_by_their_folders(tmp_path: Path) -> None:
    put(tmp_path, "blast/1.png", "normal/1.png")
    cells, problems = read(tmp_path, "file,label,patient\nx/blast/1.png,blast,1\nx/normal/1.png,normal,2\n")
    assert not problems
    assert cells == {"blast/1.png": (1, "1"), "normal/1.png": (0, "2")}
    _, problems = read(tmp_path, "file,label,patient\n1.png,blast,1\n")
    assert "several images have this name; add the folder" in problems[0]


@pytest.mark.parametrize(
    ("images", "rows"),
    [
        (("P8/1.png", "P8/2.png"), ("P7/1.png", "P8/2.png")),  # the table has another P8
        (("P8/1.png", "P7/2.png"), ("P7/1.png", "P7/2.png")),  # there is another P7
        (("P9/1.png", "P8/2.png"), ("P7/1.png", "P8/2.png")),  # the table has no P9, and there is no P7
    ],
)
def test_an_image_of_the_listed_name_in_another_person_s_folder_is_not_used(
    tmp_path: Path, images: tuple[str, str], rows: tuple[str, str]
) -> None:
    put(tmp_path, *images)
    found, problems = read(tmp_path, f"path,label\n{rows[0]},blast\n{rows[1]},normal\n")
    assert problems[0] == "P7/1.png (line 2): listed in cells.csv, but no such image exists; add it or remove the row"
    assert images[0] not in found


@pytest.mark.parametrize(
    "written", ["/mnt/lab/old/{}.png", "C:\\lab\\{}.png", "fold1/{}.png", "{}.png", "cells/{}.png"]
)
def test_folders_renamed_since_the_table_was_written_are_found(tmp_path: Path, written: str) -> None:
    put(tmp_path, "cells/2024/1.png", "cells/2024/2.png")
    found, problems = read(tmp_path, f"path,label\n{written.format(1)},blast\n{written.format(2)},normal\n")
    assert (sorted(found), problems) == (["cells/2024/1.png", "cells/2024/2.png"], [])


def test_a_label_that_contradicts_the_class_folder_is_one_line_for_all(tmp_path: Path) -> None:
    _, problems = read(put(tmp_path, *LAB), ROWS.replace("1.png,blast", "1.png,normal"))
    assert len(problems) == 1
    assert problems[0].startswith(
        "blast/1.png (line 2): normal, its label in cells.csv is not the class of its folder; correct the label or "
        "move the image, or rename the folders blast and normal if"
    )
    _, problems = read(tmp_path, ROWS.replace("blast,", "x,").replace("normal,", "blast,").replace("x,", "normal,"))
    assert len(problems) == 1
    assert problems[0].startswith("4 files or rows: its label in cells.csv is not the class of its folder")


@pytest.mark.parametrize("folders", [("blast", "blast"), ("0", "1", "2"), ("1", "0", "7"), ("left", "right")])
def test_folders_that_do_not_show_the_class_contradict_no_label(tmp_path: Path, folders: tuple[str, ...]) -> None:
    names = [f"{folder}/{k}.png" for k, folder in enumerate(folders)]
    rows = "".join(f"{k}.png,{'normal' if k % 2 else 'blast'},7\n" for k in range(len(folders)))
    cells, problems = read(put(tmp_path, *names), "file,label,patient\n" + rows)
    assert not problems
    assert [cells[name][0] for name in names] == [1, 0, 1][: len(folders)]


def test_folders_0_and_1_are_classes_where_no_other_folder_is_a_number(tmp_path: Path) -> None:
    put(tmp_path, "0/1.png", "1/2.png")
    _, problems = read(tmp_path, "file,label,patient\n1.png,1,7\n2.png,1,8\n")
    assert len(problems) == 1
    assert problems[0].startswith("0/1.png (line 2): 1, its label in cells.csv is not the class of its folder")


def test_images_whose_names_differ_only_in_case_or_ending_are_distinguished(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "A.png", "b.png", "b.png.tif")
    cells, problems = read(tmp_path, "file,label\na.png,blast\nA.png,normal\nb.png,blast\nb.png.tif,normal\n")
    assert not problems
    assert [cells[name][0] for name in ("a.png", "A.png", "b.png", "b.png.tif")] == [1, 0, 1, 0]


def test_leading_zeros_that_a_spreadsheet_removed_are_not_needed(tmp_path: Path) -> None:
    put(tmp_path, "a/001.png", "a/002.png", "b/001.png", "b/0.png")
    rows = "a/1,blast\na/2.png,normal\nb/1.png,normal\n0,blast\n"
    cells, problems = read(tmp_path, f"file,label\n{rows}")
    assert not problems
    assert {name: label for name, (label, _) in cells.items()} == {
        "a/001.png": 1, "a/002.png": 0, "b/001.png": 0, "b/0.png": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("images", "rows", "message"),
    [
        (("01.png", "001.png", "9.png"), "1,blast\n9,normal\n", "several images have this name"),
        (("001.png", "9.png"), "1,blast\n001,normal\n9,normal\n", "has a second label"),
    ],
)
def test_a_number_that_could_be_two_images_is_refused(
    tmp_path: Path, images: tuple[str, ...], rows: str, message: str
) -> None:
    put(tmp_path, *images)
    assert message in "".join(read(tmp_path, f"file,label\n{rows}")[1])


def test_leading_zeros_that_a_spreadsheet_removed_from_a_folder_are_not_needed(tmp_path: Path) -> None:
    put(tmp_path, "007/1.png", "008/1.png", "8/1.png")
    cells, problems = read(tmp_path, "file,label,patient\n7/1.png,blast,7\n8/1.png,normal,8\n008/1.png,blast,9\n")
    assert not problems
    assert cells == {"007/1.png": (1, "7"), "008/1.png": (1, "9"), "8/1.png": (0, "8")}


def test_a_number_finds_an_image_of_exactly_this_name_first(tmp_path: Path) -> None:
    put(tmp_path, "1.png", "01.png")
    cells, problems = read(tmp_path, "file,label\n1,blast\n01,normal\n")
    assert not problems
    assert (cells["1.png"][0], cells["01.png"][0]) == (1, 0)


def test_composed_and_decomposed_accents_are_the_same_letter(tmp_path: Path) -> None:
    one, two = "Jos\u00e9", "Jose\u0301"
    put(tmp_path, f"{two}.png", "b.png")
    cells, problems = read(tmp_path, f"file,label,patient\n{one}.png,blast,{one}\nb.png,normal,{two}\n")
    assert not problems
    assert len({subject for _, subject in cells.values()}) == 1
    assert label_of(one, ("hem", two)) == 1


PROBLEMS = {
    "a missing file": (ROWS + "".join(f"{k}.png,blast,7\n" for k in range(10, 19)),
                       "9 files or rows: listed in cells.csv, but no such image exists; add it or remove the row: 10."),
    "a doubled row": (ROWS + "1.png,blast,7\n", "1.png (line 6): has a second row in cells.csv"),
    "two labels": (ROWS + "1.png,normal,7\n", "1.png (line 6): has a second label in cells.csv"),
    "no label": (ROWS.replace("1.png,blast", "1.png,"), "blast/1.png: no label in cells.csv"),
    "no subject": (ROWS.replace("UID_8", ""), "normal/4.BMP (line 5): no subject in cells.csv; fill in the column"),
    "no name": (ROWS + ",blast,7\n", "line 6: no image name in cells.csv"),
    "a value more": (ROWS + "1.png,blast,7,8\n", "line 6: the number of values differs from the 3 columns"),
    "a quotation mark too many": (ROWS.replace("3.jpeg,", '"3.jpeg,') + '"5.png",blast,9\n',
                                  "line 6: a line end inside a value in cells.csv; is a quotation mark missing?"),
}  # fmt: skip


@pytest.mark.parametrize("name", PROBLEMS)
def test_each_problem_of_a_table_is_one_line(tmp_path: Path, name: str) -> None:
    text, line = PROBLEMS[name]
    _, problems = read(put(tmp_path, *LAB), text)
    assert len(problems) == 1
    assert problems[0].startswith(line)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "empty"), ("Export,\n,\nfile,label\n", "no column names the images.*header in the first line"),
     ("file,file\n1,2\n", "columns are named file"),
     (bytes(100), "nothing but zeros"), ("x" * 10**5, "no column names the images"),
     (ROWS.replace("UID_8", "UID\0_8"), "a NUL byte in line 5"),
     (ROWS.replace(",007", ',"007'), "the quotation mark in line 3 is never closed")],
)  # fmt: skip
def test_a_file_that_is_not_a_table_is_refused_in_one_sentence(tmp_path: Path, text: str | bytes, reason: str) -> None:
    with pytest.raises(WenError, match=reason) as refused:
        read(tmp_path, text)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 1000
    assert "cells.csv" in str(refused.value)


@pytest.mark.parametrize(
    ("names", "positive"),
    [
        (("blast", "normal"), "blast"),
        (("ALL", "HEM"), "ALL"),
        (("Leukemia", "Healthy"), "Leukemia"),
        (("normal", "abnormal"), "abnormal"),
        (("malignant", "benign"), "malignant"),
        (("non-blast", "blast"), "blast"),
        (("normal", "Pre-B"), "Pre-B"),
        (("0", "1"), "1"),
        (("1", "2"), None),
        (("batch 1", "batch 2"), None),
        (("class_0", "class_1"), "class_1"),
        (("-1", "1"), "1"),
        (("1 normal", "2 blast"), "2 blast"),
        (("neg", "pos"), "pos"),
        (("monocyte", "lymphocyte"), None),
        (("leukocyte", "lymphoblast"), None),
        (("leukosit", "leukemia"), "leukemia"),
        (("Leukozyten", "Lymphozyten"), None),
        (("sehat", "sakit"), "sakit"),
        (("negatif", "positif"), "positif"),
        (("infection-free", "malaria"), "malaria"),
        (("tumor-adjacent", "carcinoma"), "carcinoma"),
        (("tidak ganas", "kanker"), "kanker"),
        (("NOTCH1-mutated", "wild type"), None),
        (("Non-Hodgkin lymphoma", "reactive"), None),
        (("notinfected", "infected"), "infected"),
    ],
)
def test_the_positive_class_is_recognised_by_its_name_or_must_be_given(
    names: tuple[str, str], positive: str | None
) -> None:
    assert positive_of(names) == positive
    assert positive_of(names[::-1]) == positive_of(names)


def test_plus_and_minus_are_classes_and_an_empty_label_is_neither() -> None:
    classes = ["-", "+"]
    assert [label_of(text, classes) for text in ("-", "+", "", " ")] == [0, 1, None, None]


@pytest.mark.parametrize("label", ["Pre-B", "-1"])
def test_images_with_another_label_are_counted_and_not_read(tmp_path: Path, label: str) -> None:
    table(put(tmp_path, *LAB), ROWS.replace("1.png,blast", f"1.png,{label}"))
    listing = cell_table.read(tmp_path, tmp_path / "cells.csv", CLASSES, None)
    assert not listing.problems
    assert len(listing.cells) == 3
    assert listing.left_out == [f"not read: images of other classes than normal and blast (1): blast/1.png ({label})"]


def test_zero_and_one_are_indices_unless_a_class_has_that_name() -> None:
    found = [label_of(text, ("normal", "blast")) for text in ("0", "1", "1.0", "2", "", "-1", "-1.0")]
    assert found == [0, 1, 1, None, None, None, None]
    assert [label_of(text, ("-1", "1")) for text in ("-1", "-1.0", "1", "0")] == [0, 0, 1, None]
    assert [label_of(text, ("1", "0")) for text in ("0", "1")] == [1, 0]


def test_problems_are_listed_in_the_order_in_which_causes_were_found() -> None:
    problems = Problems()
    for cause, name in (("b", "1"), ("a", "2"), ("b", "3")):
        problems.add(cause, name)
    assert problems.lines() == ["2 files or rows: b: 1, 3", "2: a"]
