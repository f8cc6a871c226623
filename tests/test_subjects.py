"""The result of a person is computed from the person's cells, and every cell has one person."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from wen import subjects
from wen.errors import WenError

CLASSES = ("healthy", "blast")


def test_a_person_is_called_by_the_mean_and_the_share_counts_cells() -> None:
    row = subjects.row("P1", np.array([0.9, 0.6, 0.1]), 0.5, CLASSES, 1)
    assert (row["cells"], row["share"], row["called"]) == (3, 2 / 3, "blast")
    assert row["mean"] == pytest.approx(1.6 / 3)
    assert subjects.row("P1", np.array([0.9, 0.6, 0.1]), 0.6, CLASSES, 1)["called"] == "healthy"


def test_the_interval_is_the_percentile_bootstrap_s_of_the_mean() -> None:
    probability = np.random.default_rng(0).beta(2, 1, 40)
    row = subjects.row("P1", probability, 0.5, CLASSES, 1)
    expected = stats.bootstrap((probability,), np.mean, n_resamples=20_000, method="percentile", rng=2)
    low, high = expected.confidence_interval
    assert (row["low"], row["high"]) == pytest.approx((low, high), abs=0.01)
    assert row == subjects.row("P1", probability, 0.5, CLASSES, 1)


def test_a_single_cell_has_no_interval() -> None:
    row = subjects.row("P1", np.array([0.7]), 0.5, CLASSES, 1)
    assert (row["mean"], row["low"], row["high"]) == (0.7, None, None)


def test_a_table_of_another_system_finds_its_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Accents as macOS takes them apart, separators of Windows, a dot before the name, and the columns of a study."""
    monkeypatch.chdir(tmp_path)
    one, two = "Jos\u00e9.bmp", "Jose\u0301.bmp"
    pairs = ((one, two), (two, one), ("a\\b.bmp", "a/b.bmp"), ("./b.bmp", "a/b.bmp"), ("../c/b.bmp", "../c/b.bmp"))
    for listed, file in pairs:
        Path("table.csv").write_text(f"Image;Patient ID\n{listed};7\n")
        assert subjects.of_files(Path("table.csv"), [file]) == ["7"]
    Path("table.csv").write_text(f"file,subject\n{tmp_path.parent}/c/b.bmp,7\n")
    assert subjects.of_files(Path("table.csv"), ["../c/b.bmp"]) == ["7"]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("named", ["1.bmp", "cells/1.bmp", "{}/cells/1.bmp"])
def test_a_file_is_found_by_its_path_or_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, separator: str, named: str
) -> None:
    (tmp_path / "table.csv").write_text(
        f"note{separator}Subject{separator}path\n,x\n{separator}P 1{separator}{named.format(tmp_path)}\n",
        encoding="utf-8-sig",
    )
    assert subjects.of_files(tmp_path / "table.csv", [str(tmp_path / "cells/1.bmp")]) == ["P 1"]
    monkeypatch.chdir(tmp_path)
    assert subjects.of_files(Path("table.csv"), ["cells/1.bmp"]) == ["P 1"]


def test_ids_of_one_person_give_one_row(tmp_path: Path) -> None:
    ids = ["7", "007", "UID_7", "7", "Jos\u00e9", "Jose\u0301", "P-8", "p08"]
    (tmp_path / "table.csv").write_text("file,subject\n" + "".join(f"{k}.bmp,{one}\n" for k, one in enumerate(ids)))
    found = subjects.of_files(tmp_path / "table.csv", [f"{k}.bmp" for k in range(len(ids))])
    assert [found.index(subject) for subject in found] == [0, 0, 0, 0, 4, 4, 6, 6]
    assert found[1] == "7"


def test_a_file_name_that_two_images_share_identifies_neither(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("file,subject\n1.bmp,P1\nb/1.bmp,P2\n")
    images = [str(tmp_path / folder / "1.bmp") for folder in ("a", "b", "c")]
    assert subjects.of_files(tmp_path / "table.csv", images[:2]) == ["P1", "P2"]
    with pytest.raises(WenError, match=r"table\.csv: 1\.bmp is the name of 2 images; add the folder"):
        subjects.of_files(tmp_path / "table.csv", images)


def test_an_image_whose_name_has_no_ending_is_found(tmp_path: Path) -> None:
    (tmp_path / "subjects.csv").write_text("file,subject\ncell,P1\n")
    assert subjects.of_files(tmp_path / "subjects.csv", ["images/cell"]) == ["P1"]


def test_a_name_without_its_ending_is_found_as_in_a_study_s_table(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("Image ID,Patient\n1,P1\nb.c,P2\n2.bmp,P3\n2,P4\n")
    assert subjects.of_files(tmp_path / "table.csv", ["x/1.bmp", "b.c.png", "2.bmp"]) == ["P1", "P2", "P3"]
    with pytest.raises(WenError, match=r"table\.csv: 1 is the name of 2 images; add the folder"):
        subjects.of_files(tmp_path / "table.csv", ["1.bmp", "1.png"])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"file,subject\n1.bmp,NA\n", r"no subject for 1\.bmp"),
        (b"file,subject\n1.bmp,unknown\n", r"no subject for 1\.bmp"),
        (b"file,subject\n2.bmp,P1\n", r"no subject for 1\.bmp"),
        (b"file,subject\n1.bmp,\n", r"no subject for 1\.bmp; add the missing rows or subjects; paths start in the"),
        (
            b"file,subject\n2.bmp,P\n1.bmp,Doe, J\n",
            r"no subject for 1\.bmp; correct line 3, which does not have 2 values",
        ),
        (b"file,subject\n1.bmp,P1\n1.bmp,P2\n", r"1\.bmp has two subjects, P1 and P2"),
        (
            b"image_id,name,patient\n1,2.bmp,P1\n2,1.bmp,P2\n",
            r"its columns image_id and name name different images; .*: line 2 \(1\.bmp and x/2\.bmp\), line 3",
        ),
        (b"file,label\n1.bmp,1\n", "columns file and subject are needed; found file, label"),
        (b"", "empty; expected a header and rows"),
        (b"\0\0", "not a valid CSV"),
    ],
)
def test_an_ambiguous_table_of_subjects_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(WenError, match=problem):
        subjects.of_files(tmp_path / "table.csv", ["1.bmp", *(["x/2.bmp"] if b"name" in content else [])])
