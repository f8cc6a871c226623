import csv
import gzip
from pathlib import Path

import layouts
import pandas as pd
import pytest

from wen.config.params import Params, Split
from wen.config.paths import Paths
from wen.data import prepare
from wen.data.components import components
from wen.data.leaks import audit
from wen.data.readers import cnmc
from wen.data.split import assign
from wen.data.table import COPIES
from wen.errors import WenError

NO_COPIES = pd.DataFrame(columns=list(COPIES))


def survey(root: Path, complete: bool = False) -> tuple[pd.DataFrame, dict]:
    index, _, summary = prepare.survey(root, root, layouts.params(complete=complete))
    return index, summary


def problems(root: Path, complete: bool = False) -> str:
    with pytest.raises(WenError) as caught:
        survey(root, complete)
    return str(caught.value)


@pytest.mark.parametrize("layout", ["kaggle", "nested", "tcia"])
def test_both_layouts_and_their_nested_variant_are_read_alike(tmp_path: Path, layout: str) -> None:
    if layout == "tcia":
        layouts.tcia(tmp_path)
    else:
        layouts.kaggle(tmp_path, nested=layout == "nested")
    index, summary = survey(tmp_path)
    assert index.id.tolist() == sorted([name for _, name in layouts.TRAINING] + ["UID_57_1_1_all", "UID_H49_1_1_hem"])
    assert index.set_index("id").subject["UID_h3_2_1_hem"] == "H3"
    assert index.set_index("id").loc["UID_57_1_1_all", ["label", "subject", "source"]].tolist() == [
        1,
        "57",
        "preliminary",
    ]
    assert index.set_index("id").source["UID_H10_1_1_hem"] == "fold_1"
    assert (index.width == layouts.SIDE).all()
    assert summary["subjects"] == 6
    assert summary["unlabelled_final_images"] == 1


def test_one_message_lists_every_problem_with_its_path(tmp_path: Path) -> None:
    layouts.kaggle(tmp_path)
    fold = tmp_path / "training_data/fold_0/all"
    good = (fold / "UID_1_1_1_all.bmp").read_bytes()
    bad = {
        "UID_1_3_1_all.bmp": good[:100],  # truncated
        "UID_1_4_1_all.bmp": b"",
        "UID_1_5_1_all.bmp": b"\x89PNG not a bitmap",
        "UID_1_6_1.bmp": good,  # misnamed
        "UID_H9_1_1_hem.bmp": good,  # a healthy cell among the blasts
        "UID_1_7_1_all.png": good,
    }
    for name, data in bad.items():
        (fold / name).write_bytes(data)
    layouts.write_image(fold / "UID_1_8_1_all.bmp", 7, side=layouts.SIDE + 1)
    layouts.write_image(tmp_path / "validation_data/C-NMC_test_prelim_phase_data/77.bmp", 8)  # unlabelled
    layouts.write_image(tmp_path / "training_data/fold_1/all/UID_1_1_1_all.bmp", 0)  # a second time
    layouts.write_image(tmp_path / "stray.bmp", 9)
    message = problems(tmp_path)
    for name in [*bad, "UID_1_8_1_all.bmp", "77.bmp", "stray.bmp", "fold_1/all/UID_1_1_1_all.bmp"]:
        assert name in message
    assert message.splitlines()[0] == "10 problem(s) with the images:"


def test_a_linked_folder_is_refused_and_not_skipped(tmp_path: Path) -> None:
    folder = layouts.tcia(tmp_path / "C-NMC")
    fold = next(folder.rglob("fold_1"))
    fold.rename(tmp_path / "elsewhere")
    fold.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(WenError, match="fold_1: a symbolic link to a folder"):
        survey(folder)


def test_equal_images_of_two_classes_are_refused(tmp_path: Path) -> None:
    layouts.kaggle(tmp_path)
    layouts.write_image(tmp_path / "training_data/fold_1/hem/UID_H7_1_1_hem.bmp", 0)  # look of UID_1_1_1_all
    assert "equal images with different labels" in problems(tmp_path)


def test_many_equal_images_are_named_by_one_of_each_class(tmp_path: Path) -> None:
    layouts.kaggle(tmp_path)
    for k in range(1, 40):
        layouts.write_image(tmp_path / f"training_data/fold_1/hem/UID_H7_{k}_1_hem.bmp", 7)
        layouts.write_image(tmp_path / f"training_data/fold_1/all/UID_7_{k}_1_all.bmp", 7)
    message = problems(tmp_path)
    assert "UID_7_10_1_all.bmp and " in message
    assert "UID_H7_10_1_hem.bmp and 76 more equal images: equal images with different labels" in message
    assert message.count("UID_") == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1.bmp,1", "1.bmp,2", "not a valid row"),
        ("1.bmp,1", "1.bmp,0", "contradicts its name"),
        ("2.bmp,0", "1.bmp,0", "second label for this image"),
        ("labels", "class", "expected Patient_ID,new_names,labels"),
    ],
)
def test_a_bad_label_csv_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    layouts.tcia(tmp_path)
    path = tmp_path / layouts.LABELS
    path.write_text(path.read_text().replace(old, new))
    assert message in problems(tmp_path)


def test_preliminary_images_without_their_csv_are_unlabelled(tmp_path: Path) -> None:
    layouts.tcia(tmp_path)
    (tmp_path / layouts.LABELS).unlink()
    assert "2 preliminary images have no label" in problems(tmp_path)


def test_a_csv_with_byte_order_mark_and_windows_line_ends_is_read(tmp_path: Path) -> None:
    layouts.tcia(tmp_path)
    path = tmp_path / layouts.LABELS
    path.write_bytes(b"\xef\xbb\xbf" + path.read_text().replace("\n", "\r\n").encode())
    assert (survey(tmp_path)[0].source == "preliminary").sum() == 2


def test_data_declared_complete_must_have_the_published_counts(tmp_path: Path) -> None:
    layouts.kaggle(tmp_path)
    (tmp_path / "validation_data/C-NMC_test_prelim_phase_data/2.bmp").unlink()
    message = problems(tmp_path, complete=True)
    assert "training ALL: 3 of 7,272 images, 7,269 missing" in message
    assert "preliminary HEM: 0 of 648 images, 648 missing" in message
    assert "with a label but no image file (1): 2.bmp" in message
    assert "dataset.complete: false" in message


def test_an_empty_folder_says_how_to_bring_data(tmp_path: Path) -> None:
    assert "wen study DATA" in problems(tmp_path)


def test_duplicates_are_counted_by_pixels_whatever_the_header_holds(tmp_path: Path) -> None:
    layouts.kaggle(tmp_path)
    original = tmp_path / "training_data/fold_0/all/UID_1_1_1_all.bmp"
    (tmp_path / "training_data/fold_1/all/UID_2_9_1_all.bmp").write_bytes(original.read_bytes())
    data = bytearray(original.read_bytes())
    data[38:42] = (1234).to_bytes(4, "little")  # pixels per metre, in the header
    (tmp_path / "training_data/fold_1/all/UID_2_9_2_all.bmp").write_bytes(data)
    _, summary = survey(tmp_path)
    assert (summary["duplicate_pairs"], summary["duplicate_pairs_same_bytes"]) == (3, 1)


def test_an_image_that_occurs_hundreds_of_times_is_refused(tmp_path: Path) -> None:
    layouts.kaggle(tmp_path)
    for k in range(201):
        layouts.write_image(tmp_path / f"training_data/fold_0/all/UID_1_1_{1000 + k}_all.bmp", 77)
    assert "UID_1_1_1000_all.bmp: 201 equal images; keep one of them" in problems(tmp_path)
    (tmp_path / "training_data/fold_0/all/UID_1_1_1000_all.bmp").unlink()
    assert survey(tmp_path)[1]["duplicate_pairs"] == 200 * 199 / 2


def test_a_failing_prepare_writes_nothing(tmp_path: Path, tiny: Params) -> None:
    layouts.kaggle(tmp_path / "data/raw")
    (tmp_path / "data/raw/training_data/fold_0/all/UID_1_1_1_all.bmp").write_bytes(b"")
    dataset = tiny.dataset.model_copy(update={"source": "cnmc", "side": layouts.SIDE})
    with pytest.raises(WenError, match="empty file"):
        prepare.run(tiny.model_copy(update={"dataset": dataset}), Paths(tmp_path))
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["raw"]


def test_the_real_names_and_hashes_give_the_published_counts_and_no_leak_by_subject(
    tmp_path: Path, real_manifest: Path
) -> None:
    """A tree of tiny images under the real names, equal where the real files are equal."""
    with gzip.open(real_manifest, "rt") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    labels = read_real_labels(real_manifest.with_name("cnmc-sample.zip"))
    for row in rows:
        path = tmp_path / row["path"]
        if path.suffix == ".csv":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(labels)
        else:
            write_tiny(path, bytes.fromhex(row["sha256"]))
    index, _, summary = prepare.survey(tmp_path, tmp_path, layouts.params(4, complete=True))
    training = index[index.source != "preliminary"]
    assert (len(index), summary["positive"], summary["negative"]) == (12_528, 8_491, 4_037)
    assert (summary["training_subjects"], summary["duplicate_pairs"]) == (73, 104)
    assert summary["unlabelled_final_images"] == 2_586
    assert cnmc.PUBLISHED["training ALL"] == (training.label == 1).sum()
    assert summary["duplicate_pairs_by_subjects"]["20 and 21"] == 71
    assert len(set(components(index, NO_COPIES))) < summary["subjects"]
    for test in ("random", "preliminary"):
        options = Split(unit="subject", test=test, test_fraction=0.2)
        by_subject = audit(assign(index, NO_COPIES, options, 5, seed=2019), NO_COPIES)
        for boundary in (by_subject["test_and_development"], *by_subject["validation_and_train"].values()):
            assert (boundary["shared_subjects"], boundary["duplicate_images"]) == (0, 0)
        assert by_subject["excluded"]["images"] == 0
    assert by_subject["test"] == {"images": 1867, "positive": 1219, "negative": 648, "subjects": 28}
    options = Split(unit="image", test="random", test_fraction=0.2)
    by_image = audit(assign(index, NO_COPIES, options, 5, seed=2019), NO_COPIES)
    assert by_image["test_and_development"]["shared_subjects"] > 80
    assert by_image["test_and_development"]["duplicate_images"] > 10


def read_real_labels(sample: Path) -> bytes:
    import zipfile

    with zipfile.ZipFile(sample) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".csv")]
        return archive.read(name)


def write_tiny(path: Path, look: bytes) -> None:
    """A 4x4 bitmap whose 48 bytes of pixels are the look, repeated."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = b"BM" + (102).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    info = (40).to_bytes(4, "little") + (4).to_bytes(4, "little") * 2 + b"\x01\x00\x18\x00" + bytes(24)
    path.write_bytes(header + info + (look * 2)[:48])


def test_images_of_another_format_or_size_are_one_line_for_all(tmp_path: Path) -> None:
    fold = layouts.kaggle(tmp_path) / "training_data/fold_0/all"
    for k in range(20):
        layouts.write_image(fold / f"UID_5_{k}_1_all.bmp", 300 + k, side=layouts.SIDE + 1)
        (fold / f"UID_6_{k}_1_all.png").touch()
    (tmp_path / "testing_data/C-NMC_test_final_phase_data/7.png").touch()
    _, formats, sizes = problems(tmp_path).splitlines()
    assert formats.startswith(f"21 files or rows: C-NMC is read from BMP files only, not .png: {tmp_path}")
    assert sizes.startswith("20 files or rows: expected 8x8 px: ")
    assert "UID_5_0_1_all.bmp (9x9 px), " in sizes
    assert sizes.endswith(" and 17 more")
