"""A split of the user's own, in a CSV that ``split.test`` names."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from wen.config.params import Params, Split
from wen.config.paths import Paths
from wen.data import own_split, split
from wen.data.split import assign
from wen.data.table import COPIES, DEVELOPMENT, EXCLUDED, NO_FOLD, TEST
from wen.errors import WenError
from wen.files import read_json, write_json
from wen.integrity import outside

FOLDS = 2


def index() -> pd.DataFrame:
    """Six people with four images each, two of each class."""
    people = [str(k // 4) for k in range(24)]
    return pd.DataFrame({
        "id": [f"c{k:02}" for k in range(24)], "label": [k % 2 for k in range(24)], "subject": people,
        "source": "cells", "pixels": [str(k) for k in range(24)],
    })  # fmt: skip


def given(part: dict[int, str], fold: dict[int, int] | None = None) -> str:
    """A CSV with the part and the fold of each person's images; other people are development, of fold 0."""
    rows = ["id,part" + ",fold" * (fold is not None)]
    for k in range(24):
        of = part.get(k // 4, DEVELOPMENT)
        number = str((fold or {}).get(k // 4, 0)) if of == DEVELOPMENT else ""
        rows.append(f"c{k:02},{of}" + f",{number}" * (fold is not None))
    return "\n".join(rows) + "\n"


def assigned(path: Path, text: str, unit: str = "subject", near: tuple[str, str] | None = None) -> pd.DataFrame:
    path.write_text(text)
    pairs = pd.DataFrame([[*near, "near", 0, 1.0, 0.0, 1.0]] if near else [], columns=list(COPIES))
    options = Split(unit=unit, test=str(path), test_fraction=0.2)
    rows = json.loads(json.dumps({"file": str(path), "rows": own_split.read(path, FOLDS)}))
    return assign(index(), pairs, options, FOLDS, 1, own_split.table(rows))


def test_the_parts_and_folds_are_those_of_the_file_whatever_the_order_of_its_rows(tmp_path: Path) -> None:
    text = given({0: TEST, 5: EXCLUDED}, {1: 0, 2: 0, 3: 1, 4: 1})
    header, *rows = text.splitlines()
    for lines in (rows, rows[::-1]):
        cells = assigned(tmp_path / "a.csv", "\n".join([header.upper(), *lines]).replace("excluded", "Excluded"))
        assert cells.part.tolist() == [TEST] * 4 + [DEVELOPMENT] * 16 + [EXCLUDED] * 4
        assert cells.fold.tolist() == [NO_FOLD] * 4 + [0] * 8 + [1] * 8 + [NO_FOLD] * 4


def test_a_spreadsheet_s_export_of_data_split_csv_is_a_split(tmp_path: Path) -> None:
    cells = assigned(tmp_path / "a.csv", given({0: TEST}, {1: 1, 2: 1}))
    exported = cells[["id", "part", "fold"]].to_csv(index=False, sep=";", lineterminator="\r\n")
    for text in (f"\ufeff{exported}", exported.replace(";0\r", ";0.0\r").replace(";-1\r", ";\r")):
        pd.testing.assert_frame_equal(assigned(tmp_path / "b.csv", text), cells)


def test_folds_that_are_not_given_are_drawn_as_for_a_part_of_c_nmc(tmp_path: Path) -> None:
    cells = assigned(tmp_path / "a.csv", given({0: TEST}))
    official = index().assign(source=["fold_0"] * 4 + ["fold_1"] * 20)
    pairs, options = pd.DataFrame(columns=list(COPIES)), Split(unit="subject", test="fold_0", test_fraction=0.2)
    drawn = assign(official, pairs, options, FOLDS, 1)
    assert cells.fold.tolist() == drawn.fold.tolist()
    assert cells.part.tolist() == drawn.part.tolist()


def test_by_subject_relatives_of_the_test_set_are_excluded_and_by_image_they_stay(tmp_path: Path) -> None:
    text = given({0: TEST}, {4: 1, 5: 1})
    kept = {"subject": EXCLUDED, "image": DEVELOPMENT}
    for unit, part in kept.items():
        cells = assigned(tmp_path / "a.csv", text, unit, near=("c00", "c04"))
        assert set(cells.part[4:8]) == {part}
        assert set(cells.part[8:]) == {DEVELOPMENT}


def test_by_subject_a_person_in_two_folds_is_refused_and_by_image_is_not(tmp_path: Path) -> None:
    text = given({0: TEST}, {4: 1, 5: 1}).replace("c04,development,0", "c04,development,1")
    assert assigned(tmp_path / "a.csv", text, "image").fold[4] == 1
    with pytest.raises(WenError, match=r"^1: folds 0, 1, images of one person, or copies .* set split\.unit: image$"):
        assigned(tmp_path / "a.csv", text)
    text = given({0: TEST}, {4: 1, 5: 1})
    with pytest.raises(WenError, match=r"^3 and 4: folds 0, 1, images of one person, or copies"):
        assigned(tmp_path / "a.csv", text, near=("c12", "c16"))


REFUSED: dict[str, tuple[tuple[str, str], str]] = {
    "an image that is not there": (
        ("c23,", "c99,"),
        "(?s)c99: in the split, but not an id of .*such as c00\nc23: not in the s",
    ),
    "an image twice": (("c23,", "c22,"), r"a\.csv:25: c22, lists an image twice"),
    "another part": (("c00,test", "c00,train"), r"a\.csv:2: train, part must be test, development or excluded"),
    "a fold too many": (("c04,development,0", "c04,development,2"), r"a\.csv:6: 2, fold must be 0 to 1, as folds in"),
    "a fold in words": (("c04,development,0", "c04,development,fold0"), r"a\.csv:6: fold0, fold must be 0 to 1"),
    "a row without an id": (("c23,", ","), r"a\.csv:25: has no id"),
    "no rows": ((given({0: TEST}, {4: 1, 5: 1}).partition("\n")[2], ""), r"a\.csv: lists no images"),
    "every image a test image": (("development,0", "test,"), "the test set contains no images|fold 0 contains no im"),
    "no fold": (("c04,development,0", "c04,development,"), r"a\.csv:6: fold must be 0 to 1"),
    "a fold of a test image": (("c00,test,", "c00,test,1"), r"a\.csv:2: 1, only images of development have a fold"),
    "no part": (("id,part", "id,set"), r"no column named part \(columns: id, set, fold\)"),
    "a row too short": (("c04,development,0", "c04,development"), r"a\.csv:6: has another number of values than the"),
    "a fold without images": ((",1\n", ",0\n"), r"fold 1 contains no images; give it images of both cl.*a\.csv"),
    "no test set": (("test,", "excluded,"), "the test set contains no images; give it images of both classes"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_on_which_no_study_can_run_is_refused(tmp_path: Path, name: str) -> None:
    (before, after), message = REFUSED[name]
    text = given({0: TEST}, {4: 1, 5: 1})
    assert before in text
    with pytest.raises(WenError, match=message):
        assigned(tmp_path / "a.csv", text.replace(before, after))


def test_two_columns_of_one_role_are_refused_with_their_names(tmp_path: Path) -> None:
    for header, named in (("id,part,Part,fold", "part: part, Part"), ("ID,id,part,fold", "id: ID, id")):
        text = f"{header}\n" + "".join(f"{k},{k},test,0\n" for k in range(4))
        with pytest.raises(WenError, match=rf"a\.csv: 2 columns are named {named}; keep one$"):
            assigned(tmp_path / "a.csv", text)


def test_too_few_people_for_folds_that_are_drawn_are_to_be_marked_in_the_file(tmp_path: Path) -> None:
    text = given(dict.fromkeys(range(5), TEST))
    with pytest.raises(
        WenError, match=r"for 2 folds: 1; use fewer folds, .* or mark more of them as development in .*a\.csv$"
    ):
        assigned(tmp_path / "a.csv", text)


def test_a_test_set_is_a_known_one_or_a_csv(values: dict[str, Any]) -> None:
    assert Split(unit="image", test="splits/a.csv", test_fraction=0.2).file == "splits/a.csv"
    with pytest.raises(ValueError, match="random, preliminary, fold_0, fold_1, fold_2 or the path of a CSV, found"):
        Split(unit="image", test="fold_3", test_fraction=0.2)
    values["split"]["test"] = "a.csv"
    values["dataset"] |= {"source": "folder"}
    assert Params.model_validate(values).split.file == "a.csv"


def copied(values: dict[str, Any], root: Path, name: str) -> dict[str, Any]:
    values["split"]["test"] = name
    outside.run(Params.model_validate(values | {"folds": [0, 1]}), Paths(root))
    found: dict[str, Any] = read_json(root / "data/own_split.json")
    return found


def test_the_rows_are_copied_for_the_stage_and_for_clones_without_the_file(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    file = tmp_path / "a.csv"
    file.write_text(given({0: TEST}))
    assert copied(values, tmp_path, "random") == {"file": None, "rows": []}
    one = copied(values, tmp_path, "a.csv")
    assert one["rows"][0] == ["c00", TEST, None]
    file.write_text(given({1: TEST}))
    two = copied(values, tmp_path, "a.csv")
    assert one != two
    file.unlink()
    assert copied(values, tmp_path, "a.csv") == two
    with pytest.raises(WenError, match=r"split\.test: no such file: .*b\.csv; write a CSV with the columns id"):
        copied(values, tmp_path, "b.csv")


def test_a_file_that_is_no_split_is_refused_before_any_stage_and_the_last_copy_stays(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    file = tmp_path / "a.csv"
    file.write_text(given({0: TEST}))
    rows = copied(values, tmp_path, "a.csv")
    file.write_text("id,part\nc00,train\n")
    with pytest.raises(WenError, match="part must be"):
        copied(values, tmp_path, "a.csv")
    assert read_json(tmp_path / "data/own_split.json") == rows
    (tmp_path / "data/split.csv").write_text(given({0: TEST}))
    with pytest.raises(WenError, match=r"data/split\.csv is what stage split writes; copy it to another file"):
        copied(values, tmp_path, "data/split.csv")
    with pytest.raises(WenError, match=r"no such file: ~nobody0/x\.csv|no such file: .*~nobody0/x\.csv"):
        copied(values, tmp_path, "~nobody0/x.csv")


def test_an_experiment_in_a_temporary_folder_uses_its_own_copy_of_the_file(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    inner = tmp_path / ".dvc/tmp/exps/tmp1"
    inner.mkdir(parents=True)
    (tmp_path / "a.csv").write_text(given({0: TEST}))
    of_study = copied(values, inner, "a.csv")
    (inner / "a.csv").write_text(given({1: TEST}))
    assert copied(values, inner, "a.csv") != of_study


def test_fewer_folds_than_the_rows_have_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(given({0: TEST}, {4: 1, 5: 1}))
    rows = own_split.table({"file": "a.csv", "rows": own_split.read(path, 2)})
    with pytest.raises(WenError, match=r"c16: 1, fold must be 0 to 0, as folds in params\.yaml"):
        own_split.aligned(rows, index(), 1)


def test_the_stage_writes_the_split_of_the_file_with_its_leaks(
    tmp_path: Path, values: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    paths, file = Paths(tmp_path), tmp_path / "a.csv"
    paths.index.parent.mkdir()
    order = ["id", "path", "label", "subject", "source", "width", "height", "sha256", "pixels"]
    index().assign(path="", width=8, height=8, sha256="")[order].to_csv(paths.index, index=False)
    pd.DataFrame(columns=list(COPIES)).to_csv(paths.copies, index=False)
    text = given({0: TEST, 1: EXCLUDED}, {4: 1, 5: 1}).replace("c00,test,", "c00,development,0")
    file.write_text(text)
    params = Params.model_validate(
        values | {"folds": [0, 1], "split": {"unit": "image", "test": "a.csv", "test_fraction": 0.2}}
    )
    write_json(paths.own_split, own_split.current("a.csv", params, paths))
    split.run(params, paths)
    assert paths.split.read_text() == text.replace("test,", "test,-1").replace("excluded,", "excluded,-1")
    report = read_json(paths.split_metrics)
    assert (report["test_set"], report["folds_drawn"]) == ("a.csv", False)
    assert report["test_and_development"]["shared_subjects"] == 1
    assert split.audited(params, paths) is None
    file.write_text(given({0: TEST}))
    write_json(paths.own_split, own_split.current("a.csv", params, paths))
    split.run(params, paths)
    assert read_json(paths.split_metrics)["folds_drawn"] is True
    assert "not used" not in capsys.readouterr().out
    file.write_text(given({0: TEST, 1: EXCLUDED}).replace("c00,test", "c00,development"))
    write_json(paths.own_split, own_split.current("a.csv", params, paths))
    split.run(params.model_copy(update={"split": params.split.model_copy(update={"unit": "subject"})}), paths)
    assert "because they show people of the test set or are copies of its images: 1" in capsys.readouterr().out
