"""`make study` with a laboratory's own images: what it recognises, writes, and refuses."""

import os
import shutil
import unicodedata
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import PROJECT
from PIL import Image, ImageOps

from wen.config.paths import Paths
from wen.config.read import load
from wen.data import bring, prepare, split, unpack
from wen.data.recognise import About
from wen.data.table import read_cells, read_index
from wen.errors import WenError
from wen.files import read_json


@pytest.fixture
def project(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path / "project")
    shutil.copytree(PROJECT / "profiles", paths.profiles)
    return paths


def cell(path: Path, look: int, size: tuple[int, int] = (24, 24)) -> None:
    """A noisy disc on black."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = size
    y, x = np.mgrid[:height, :width]
    inside = (y - height / 2) ** 2 + (x - width / 2) ** 2 < (min(size) / 3) ** 2
    pixels = np.random.default_rng(look).integers(60, 200, (height, width, 3)) * inside[..., None]
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def lab(root: Path, classes: tuple[str, ...] = ("blast", "normal"), cells: int = 18) -> Path:
    """Images of all formats and of several sizes, in a folder for each class."""
    for k in range(cells):
        for place, name in enumerate(classes):
            ending = ("png", "tif", "jpg", "BMP")[k % 4]
            cell(root / name / f"{name[0]}{k}.{ending}", 100 * place + k, (20 + k % 5, 20 + k % 3))
    return root


def patients(root: Path, classes: tuple[str, ...] = ("blast", "normal"), cells: int = 18) -> Path:
    """A table of persons: each has cells of both classes."""
    path = root / "patients.csv"
    rows = [f"{name[0]}{k};P{k % 9:0{1 + place}d}" for k in range(cells) for place, name in enumerate(classes)]
    path.write_text("\n".join(["Image;Patient", *rows]) + "\n")
    return path


def study(project: Paths, data: Path, about: About | None = None, profile: str = "laptop") -> None:
    bring.run(data, profile, incomplete=False, paths=project, about=about)


def test_a_folder_for_each_class_is_enough_for_a_study(tmp_path: Path, project: Paths) -> None:
    study(project, lab(tmp_path / "Lab 7"))
    params = load(project.params)
    dataset = params.dataset
    assert (dataset.source, dataset.name, dataset.classes) == ("folder", "Lab 7", ["normal", "blast"])
    assert (dataset.complete, dataset.side, params.images.crop, params.repeats.subject) == (False, None, None, 0)
    text = project.params.read_text()
    assert text.startswith("# laptop, adapted by `make study` to 'Lab 7'.")
    assert "# which" not in text.splitlines()[0]
    prepare.run(params, project)
    index, about = read_index(project), read_json(project.dataset_metrics)
    assert (len(index), about["positive"], about["negative"], about["subjects"]) == (36, 18, 18, None)
    assert (index.subject == "").all()
    assert set(about["width"]) == {20, 22}
    split.run(params, project)
    audit = read_json(project.split_metrics)["test_and_development"]
    assert (audit["shared_subjects"], audit["images_of_shared_subjects"]) == (None, None)


@pytest.mark.parametrize(
    ("folder", "name"), [("Lab\t7", r"Lab\t7"), ("Lab\n7", r"Lab\n7"), (" ", "cells"), ("1e5", "1e5")]
)
def test_the_name_of_any_folder_gives_the_data_a_name(tmp_path: Path, project: Paths, folder: str, name: str) -> None:
    study(project, lab(tmp_path / folder))
    assert load(project.params).dataset.name == name


@pytest.mark.usefixtures("drawn")
def test_a_table_of_patients_gives_each_person_one_subject(tmp_path: Path, project: Paths) -> None:
    data = lab(tmp_path / "lab")
    study(project, data, About(table=patients(data)))
    params = load(project.params)
    assert (params.dataset.source, params.dataset.table) == ("table", "patients.csv")
    prepare.run(params, project)
    about = read_json(project.dataset_metrics)
    assert about["subjects"] == 9
    assert len(about["people"]["of_both_classes"]) == 9
    by_subject = params.model_copy(
        update={"split": params.split.model_copy(update={"unit": "subject"}), "folds": [0, 1]}
    )
    split.run(by_subject, project)
    cells = read_cells(project)
    assert (cells.groupby("subject").part.nunique() == 1).all()
    assert read_json(project.split_metrics)["test_and_development"]["shared_subjects"] == 0


@pytest.mark.parametrize("profile", ["laptop", "thesis", "honest"])
def test_every_profile_takes_a_table_of_people(tmp_path: Path, project: Paths, profile: str) -> None:
    data = lab(tmp_path / "lab")
    study(project, data, About(table=patients(data)), profile)
    params = load(project.params)
    assert params.dataset.classes == ["normal", "blast"]
    assert (params.split.test, params.split.unit) == ("random", "subject" if profile == "honest" else "image")


def test_a_tilde_that_the_shell_did_not_expand_is_the_home_folder(
    tmp_path: Path, project: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    patients(lab(tmp_path / "lab"))
    study(project, Path("~/lab"), About(table=Path("~/lab/patients.csv")))
    assert load(project.params).dataset.table == "patients.csv"
    with pytest.raises(WenError, match=r"^~nobody-here/lab: no such folder or zip"):
        study(project, Path("~nobody-here/lab"))


def test_a_table_of_labels_is_enough_inside_the_folder_or_outside(tmp_path: Path, project: Paths) -> None:
    data = lab(tmp_path / "lab")
    table = tmp_path / "labels.csv"
    table.write_text("path,label,subject\n" + "".join(
        f"{path.relative_to(data).as_posix()},{int(path.parent.name == 'blast')},{k}\n"
        for k, path in enumerate(sorted(data.rglob("*.*")))
    ))  # fmt: skip
    study(project, data, About(table=table))
    assert load(project.params).dataset.classes == ["negative", "positive"]
    assert (project.raw / "cells/labels.csv").read_bytes() == table.read_bytes()
    shutil.copy(table, data)
    study(project, data / "labels.csv")
    assert load(project.params).dataset.table == "labels.csv"


def test_a_zip_made_on_windows_is_read(tmp_path: Path, project: Paths) -> None:
    data = lab(tmp_path / "lab")
    with zipfile.ZipFile(tmp_path / "cells.zip", "w") as archive:
        for path in sorted(data.rglob("*.*")):
            member = zipfile.ZipInfo("x")
            member.filename = str(path.relative_to(data)).replace("/", "\\")
            archive.writestr(member, path.read_bytes())
    study(project, tmp_path / "cells.zip")
    assert load(project.params).dataset.name == "cells"
    assert len(list((project.raw / "cells/blast").iterdir())) == 18


def zipped(path: Path, data: Path, folders: dict[str, str], encoding: str) -> Path:
    """A zip whose names are in an encoding of which it does not tell, with other names for the folders."""

    class Member(zipfile.ZipInfo):
        def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802
            return self.filename.encode(encoding), self.flag_bits & ~unpack.UTF_8

    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(data.rglob("*.*")):
            archive.writestr(Member(f"{folders[file.parent.name]}/{file.name}"), file.read_bytes())
    return path


def test_a_zip_made_on_macos_keeps_its_letters(tmp_path: Path, project: Paths) -> None:
    """Its names are UTF-8 without the flag that says so, and have letters and accents apart."""
    folders = {
        name: unicodedata.normalize("NFD", text)
        for name, text in {"blast": "Lösemi", "normal": "Sağl\u0131kl\u0131"}.items()
    }
    study(project, zipped(tmp_path / "hücre.zip", lab(tmp_path / "lab"), folders, "utf-8"), About(positive="Lösemi"))
    dataset = load(project.params).dataset
    assert (dataset.name, dataset.classes) == ("hücre", ["Sağl\u0131kl\u0131", "Lösemi"])
    prepare.run(load(project.params), project)
    assert len(read_index(project)) == 36


def test_names_of_a_zip_in_an_unknown_encoding_give_a_warning(
    tmp_path: Path, project: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    study(project, zipped(tmp_path / "cells.zip", lab(tmp_path / "lab"), {"blast": "blast", "normal": "正常"}, "gbk"))
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "encoding" in line]
    assert "(18)" in line
    assert line.endswith("if they are wrong, unpack the zip yourself and name the folder")


def test_images_in_hidden_folders_are_counted_and_not_read(
    tmp_path: Path, project: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    """A program's thumbnails, or a file server's snapshots of the same images."""
    data = lab(tmp_path / "lab")
    shutil.copytree(data, data / ".snapshot/daily.0")
    study(project, data)
    assert "not read: files in hidden folders (36): .snapshot/daily.0/blast/b0.png" in (err := capsys.readouterr().err)
    assert "files only" not in err
    prepare.run(load(project.params), project)
    assert len(read_index(project)) == 36


def test_a_folder_around_the_study_is_refused(tmp_path: Path, project: Paths) -> None:
    lab(tmp_path)
    for data in (tmp_path, project.root):
        with pytest.raises(WenError, match="contains this study; name the folder that holds the images alone"):
            study(project, data)
    assert not project.raw.exists()


def test_a_folder_or_zip_inside_the_folder_that_is_replaced_is_refused_and_nothing_is_deleted(
    tmp_path: Path, project: Paths
) -> None:
    one, packed = lab(project.raw / "cells/one"), project.raw / "cells/lab.zip"
    lab(project.raw / "cells/another")
    with zipfile.ZipFile(packed, "w") as archive:
        for path in one.rglob("*.*"):
            archive.write(path, path.relative_to(one))
    before = sorted(project.raw.rglob("*"))
    for data in (one, packed):
        with pytest.raises(WenError, match=r"lies in .*data/raw/cells, which `wen study` replaces; move it out of"):
            study(project, data)
    assert sorted(project.raw.rglob("*")) == before
    shutil.rmtree(project.raw / "cells/another")
    study(project, project.raw / "cells")  # all of it stays where it is


def test_a_message_says_that_images_of_another_study_were_replaced(
    tmp_path: Path, project: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    replaced = (
        "data/raw/cells: 18 of 36 files of the previous study were replaced or removed, and 18 files are new. The "
        "results here are of the previous study until `dvc repro` ends; to return to it, run `wen study`"
    )
    for folder, reported in (("one", False), ("one", False), ("two", True)):
        study(project, lab(tmp_path / folder, ("blast", "normal" if folder == "one" else "healthy")))
        assert (replaced in capsys.readouterr().out) is reported


def test_other_images_of_equal_names_and_sizes_are_reported_as_replaced(
    tmp_path: Path, project: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    data = lab(tmp_path / "lab")
    study(project, data)
    replaced = data / "blast/b3.BMP"
    with Image.open(replaced) as image:
        other = ImageOps.mirror(image)
    size = replaced.stat().st_size
    replaced.unlink()  # data/raw has a hard link to it
    other.save(replaced)
    assert replaced.stat().st_size == size
    study(project, data)
    assert "1 of 36 files of the previous study were replaced or removed, and 0 files" in capsys.readouterr().out


def test_images_that_were_put_into_place_by_hand_are_kept_if_others_replace_them(
    tmp_path: Path, project: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, old in enumerate(("cells.old", "cells.old.2")):
        place = project.raw / "cells"
        shutil.rmtree(place, ignore_errors=True)
        by_hand = sorted(path.relative_to(place) for path in lab(place, cells=20 + number).rglob("*.*"))
        study(project, place)
        study(project, lab(tmp_path / "lab"))
        assert f"data/raw/{old}: the previous study's images, kept because some" in capsys.readouterr().out
        assert sorted(path.relative_to(project.raw / old) for path in (project.raw / old).rglob("*.*")) == by_hand
    study(project, lab(tmp_path / "another", ("blast", "healthy")))
    assert "images, kept" not in capsys.readouterr().out  # of hard links, the images themselves are where they were


def test_a_table_whose_name_params_yaml_cannot_hold_is_refused(tmp_path: Path, project: Paths) -> None:
    table = Path(os.fsdecode(os.fsencode(tmp_path) + b"/pasi\xe9n.csv"))
    table.write_bytes(patients(tmp_path).read_bytes())
    with pytest.raises(WenError, match=r"pasi\\xe9n\.csv: a name with bytes that are not UTF-8.*; rename it"):
        study(project, lab(tmp_path / "lab"), About(table=table))
    assert not project.raw.joinpath("cells").exists()


def test_capitals_of_turkish_words_are_the_same_class(tmp_path: Path, project: Paths) -> None:
    data = lab(tmp_path / "lab", ("LÖSEMİ", "SAĞLIKLI"))
    labels = {"LÖSEMİ": "lösemi", "SAĞLIKLI": "Sağl\u0131kl\u0131"}
    rows = [f"{path.name},{labels[path.parent.name]}\n" for path in sorted(data.rglob("*.*"))]
    (tmp_path / "etiket.csv").write_text("".join(["file,label\n", *rows]))
    study(project, data, About(table=tmp_path / "etiket.csv", positive="Lösemi"))
    prepare.run(load(project.params), project)
    assert read_json(project.dataset_metrics)["positive"] == 18


def test_a_table_that_is_not_utf_8_is_read_with_a_message_that_names_the_encoding(
    tmp_path: Path, project: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    data = lab(tmp_path / "lab", ("blast", "x"))
    labels = {"blast": "blast", "x": "sağl\u0131kl\u0131"}
    rows = [f"{path.name};{labels[path.parent.name]}\n" for path in data.rglob("*.*")]
    table = data / "etiket.csv"
    table.write_text("".join(["file;label\n", *rows]), encoding="cp1254")
    (data / "x").rename(data / "y")
    study(project, data, About(table=table))
    assert "etiket.csv: read as Windows-1252, because it is not UTF-8: saðlýklý." in capsys.readouterr().out
    table.write_text("".join(["file;label\n", *rows]).replace("sağl\u0131kl\u0131", "正常"), encoding="gbk")
    table.write_bytes(table.read_bytes() + b"\x81")
    with pytest.raises(WenError, match=r"none of the encodings UTF-8, UTF-16 and Windows-1252; save it as CSV UTF-8"):
        study(project, data, About(table=table))


def test_all_idb2_is_recognised_by_its_names(tmp_path: Path, project: Paths) -> None:
    for k in range(1, 25):
        cell(tmp_path / f"ALL_IDB2/Im{k:03d}_{k % 2}.tif", k)
    study(project, tmp_path / "ALL_IDB2")
    assert load(project.params).dataset.classes == ["healthy", "blast"]


def test_two_of_four_classes_are_taken_if_they_are_named(tmp_path: Path, project: Paths) -> None:
    data = lab(tmp_path / "Aria", ("Benign", "Early", "Pre", "Xro"), 12)
    study(project, data, About(classes=("Benign", "Pre")))
    assert load(project.params).dataset.classes == ["Benign", "Pre"]
    prepare.run(load(project.params), project)
    about = read_json(project.dataset_metrics)
    assert about["images"] == 24
    assert about["not_read"]["images outside the folders Benign and Pre"]["count"] == 24


def test_unusual_class_names_are_written_so_that_they_are_read_back(tmp_path: Path, project: Paths) -> None:
    data = lab(tmp_path / "yes", ("non-blast: 'x'", "# blast"))
    study(project, data, About(name='a "set" of: cells # 1'))
    dataset = load(project.params).dataset
    assert dataset.name == 'a "set" of: cells # 1'
    assert dataset.classes == ["non-blast: 'x'", "# blast"]


def test_a_positive_class_named_like_a_negative_one_gives_a_warning(
    tmp_path: Path, project: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    for about, reverse in ((About(classes=("blast", "normal")), True), (About(classes=("normal", "blast")), False)):
        study(project, lab(tmp_path / "lab"), about)
        warned = "normal is the positive class, as given, although blast is named like one" in capsys.readouterr().err
        assert warned is reverse


def test_a_near_copy_with_another_label_is_named_at_the_import(project: Paths, tmp_path: Path) -> None:
    data = lab(tmp_path / "lab")
    cell(data / "blast/x.png", 500, (96, 96))
    with Image.open(data / "blast/x.png") as image:
        image.rotate(90).save(data / "normal/y.png")
    cell(data / "normal/z.png", 501, (96, 96))
    with pytest.warns(UserWarning, match=r"different labels \(1\): blast/x.png and normal/y.png;"):
        study(project, data)


@pytest.mark.usefixtures("drawn")
def test_a_black_image_is_named_at_the_import(
    tmp_path: Path, project: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    data = lab(tmp_path / "lab")
    Image.new("RGB", (22, 22)).save(data / "normal/void.png")
    study(project, data)
    assert "images that differ from the others and may show no cell (1); check them: normal/void.png (black)" in (
        capsys.readouterr().err
    )


REFUSED = {
    "one class": (("blast",), About(), "all images are of one class, blast (18); images of two classes are needed"),
    "four classes": (("Benign", "Early", "Pre", "Xro"), About(), "the images are of 4 classes: Benign (18), "),
    "no telling": (("monocyte", "lymphocyte"), About(), "name the positive one: make study ... POSITIVE="),
    "two people": (("P7", "P8"), About(), "If these folders are not the classes, put them into folders named"),
    "three people": (("P7", "P8", "P9"), About(), "or provide a table with a column label (make study ... TABLE=ce"),
    "a name of two words": (("T cell", "lymphocyte"), About(), "POSITIVE='T cell' (wen study ... --positive NAME)"),
    "no such class": (("monocyte", "lymphocyte"), About(positive="blast"), "--positive blast: no such class"),
    "no such classes": (("a", "b"), About(classes=("a", "c")), "--classes: no image is of class c"),
    "a class twice": (("a", "b"), About(classes=("a", "A")), "--classes: a is named twice"),
    "no table": (("blast", "normal"), About(table=Path("cells.csv")), "cells.csv: no such table"),
    "a spreadsheet": (("blast", "normal"), About(table=Path("cells.xlsx")), "cells.xlsx: a spreadsheet; save"),
    "JSON": (("blast", "normal"), About(table=Path("coco.json")), "coco.json: not a CSV; write its images, labels and"),
    "no pattern": (("blast", "normal"), About(subject="P(("), "dataset.subject: P(( is not a valid regular expression"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_studied_is_refused_in_one_sentence_and_nothing_is_written(
    tmp_path: Path, project: Paths, name: str
) -> None:
    classes, about, reason = REFUSED[name]
    with pytest.raises(WenError) as refused:
        study(project, lab(tmp_path / "lab", classes), about)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not project.params.exists()
    assert not list(project.raw.rglob("*.*"))


def test_a_split_by_subject_without_subjects_says_what_to_provide(tmp_path: Path, project: Paths) -> None:
    data = lab(tmp_path / "lab")
    with pytest.raises(WenError, match="provide a table with a column subject") as refused:
        study(project, data, profile="honest")
    assert "\n" not in str(refused.value)
    with pytest.raises(WenError, match=r"36 files or rows: its path does not match dataset\.subject, P\(\\d\)"):
        study(project, data, About(subject=r"P(\d)"), profile="honest")
    study(project, data)
    params = load(project.params)
    prepare.run(params, project)
    with pytest.raises(WenError, match=r"split\.unit: subject needs the subjects of the images"):
        split.run(params.model_copy(update={"split": params.split.model_copy(update={"unit": "subject"})}), project)


def test_one_cause_is_one_line_for_all_its_images(tmp_path: Path, project: Paths) -> None:
    data = lab(tmp_path / "lab")
    for k in range(50):
        Image.new("CMYK", (20, 20)).save(data / f"blast/cmyk{k:02d}.jpg")
    with pytest.raises(WenError) as refused:
        study(project, data)
    line = (
        f"50 files or rows: colour mode CMYK; convert it to 8-bit RGB: {data}/blast/cmyk00.jpg, "
        f"{data}/blast/cmyk01.jpg, {data}/blast/cmyk02.jpg and 47 more"
    )
    assert str(refused.value).splitlines() == ["1 problem(s) with the images:", line]


def test_a_table_in_the_folder_that_is_not_used_is_named(
    tmp_path: Path, project: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    data = lab(tmp_path / "lab")
    patients(data)
    study(project, data)
    output = capsys.readouterr().out
    assert "patients.csv lists images (Image, Patient) but is not used; to use it, set TABLE=patients.csv" in output
    (data / "patients.csv").rename(data / "all patients.csv")
    study(project, data)
    assert "to use it, set TABLE='all patients.csv'" in capsys.readouterr().out
    shutil.copy(data / "all patients.csv", data / "blast/B.CSV")
    study(project, data)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "not used" in line]
    assert line.startswith("tables that list images but are not used (2): all patients.csv (Image, Patient), blast/B.C")
    assert line.endswith("into one CSV, with the path of each image, and set TABLE to it")


def test_c_nmc_in_data_raw_is_not_disturbed_by_images_beside_it(tmp_path: Path, project: Paths) -> None:
    import layouts

    profile = project.profiles / "laptop.yaml"
    profile.write_text(profile.read_text().replace("side: 450", "side: 8").replace("crop: 450", "crop: 8"))
    study(project, lab(tmp_path / "lab"))
    bring.run(layouts.kaggle(tmp_path / "C-NMC"), "laptop", incomplete=True, paths=project)
    params = load(project.params)
    assert params.dataset.source == "cnmc"
    prepare.run(params, project)
    assert pd.read_csv(project.index).path.str.startswith("data/raw/cnmc/").all()


def table(root: Path, text: str, encoding: str = "utf-8") -> About:
    path = root / "cells.csv"
    path.write_bytes(text.encode(encoding))
    return About(table=path)


def listed(person: str = "P", separator: str = ",", label: str = "") -> str:
    """A row for each image of `lab`; subjects are numbered, or all ``person``."""
    rows = [
        (f"{name[0]}{k}", label or name, f"P{k}" if person == "P" else person)
        for name in ("blast", "normal")
        for k in range(18)
    ]
    return "\n".join(separator.join(row) for row in [("path", "label", "subject"), *rows]) + "\n"


def test_a_pattern_of_subjects_beside_a_column_of_them_is_refused(tmp_path: Path, project: Paths) -> None:
    data = lab(tmp_path / "lab")
    (data / "cells.csv").write_text(listed())
    with pytest.raises(WenError, match=r"--subject \(b\|n\): cells\.csv has the subjects in its column subject, too"):
        study(project, data, About(table=data / "cells.csv", subject="(b|n)"))
    assert not project.params.exists()


CONTRADICTING = {
    "the same names": ("class", "blast", "normal"),
    "numbers": ("target", "1", "0"),
    "other words": ("diagnosis", "ALL", "healthy"),
}


@pytest.mark.parametrize(("column", "positive", "negative"), CONTRADICTING.values(), ids=CONTRADICTING)
def test_two_columns_of_labels_that_contradict_each_other_are_refused_with_the_lines(
    tmp_path: Path, project: Paths, capsys: pytest.CaptureFixture[str], column: str, positive: str, negative: str
) -> None:
    def with_second(mistaken: tuple[int, ...]) -> About:
        head, *rows = listed().splitlines()
        second = [positive if ("blast" in row) != (k in mistaken) else negative for k, row in enumerate(rows)]
        lines = [f"{head},{column}", *(f"{row},{text}" for row, text in zip(rows, second, strict=True))]
        return table(data, "\n".join(lines) + "\n")

    data = lab(tmp_path / "lab")
    with pytest.raises(
        WenError, match=rf"its columns label and {column} name different classes; .*line 2 \(blast and "
    ):
        study(project, data, with_second((0, 3)))
    study(project, data, with_second(()))
    assert f"label has 2 different values; other columns that could hold the label are not used: {column} (2)" in (
        capsys.readouterr().out
    )


def test_folders_numbered_by_the_alphabet_do_not_make_normal_the_positive_class(tmp_path: Path, project: Paths) -> None:
    def numbered(column: str = "label", blast: int = 0) -> Path:
        rows = [f"{name[0]}{k},{label}" for name, label in (("blast", blast), ("normal", 1 - blast)) for k in range(18)]
        path = data / "cells.csv"
        path.write_text("\n".join([f"path,{column}", *rows]) + "\n")
        return path

    data = lab(tmp_path / "lab")
    for positive in (None, "blast"):
        reason = "cells.csv: all images in folders named blast have the label of negative, the negative class, and all"
        with pytest.raises(WenError, match=reason):
            study(project, data, About(table=numbered(), positive=positive))
    study(project, data, About(table=numbered("number")))
    study(project, data, About(table=numbered(blast=1)))
    study(project, data, About(table=numbered(), classes=("blast", "normal")))


def test_a_column_of_other_words_does_not_contradict_the_labels(tmp_path: Path, project: Paths) -> None:
    data = lab(tmp_path / "lab")
    head, *rows = listed().splitlines()
    lines = [f"{head},type", *(f"{row},{'TB'[k % 2]}" for k, row in enumerate(rows))]
    study(project, data, table(data, "\n".join(lines) + "\n"))


def test_excels_line_that_names_the_separator_is_no_header(tmp_path: Path, project: Paths) -> None:
    data = lab(tmp_path / "lab")
    study(project, data, table(data, "sep=;\n" + listed(separator=";")))
    prepare.run(load(project.params), project)
    assert read_index(project).subject.nunique() == 18


def test_a_table_in_a_folder_of_the_zip_is_found_by_its_name(tmp_path: Path, project: Paths) -> None:
    data = lab(tmp_path / "lab")
    (data / "cells [2].csv").write_text(listed())
    with zipfile.ZipFile(tmp_path / "lab.zip", "w") as archive:
        for path in data.rglob("*.*"):
            archive.write(path, Path("top", path.relative_to(data)).as_posix())
    study(project, tmp_path / "lab.zip", About(table=Path("cells [2].csv")))
    assert load(project.params).dataset.table == "top/cells [2].csv"


@pytest.mark.parametrize("unknown", ["NA", "unknown", "n/a", "None", "?", ".", "#REF!", "tidak ada"])
def test_images_of_unknown_people_are_not_one_person(tmp_path: Path, project: Paths, unknown: str) -> None:
    data = lab(tmp_path / "lab")
    about = table(data, listed(person=unknown))
    with pytest.raises(WenError, match=r"36 files or rows: no subject in cells\.csv.*b0\.png \(line 2\)"):
        study(project, data, about)


TABLES = {
    "no rows": ("path,label\n", "cells.csv: a header and no rows"),
    "no labels": (listed().replace("label", "malignant"), "no column label.*columns are path, malignant, subject"),
    "one and two": (
        listed().replace(",blast,", ",1,").replace(",normal,", ",2,"),
        r"the classes are 1 \(18\), 2 \(18\), and neither",
    ),
    "a spreadsheet": ("PK\x03\x04...", "a spreadsheet; save the sheet as CSV"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "problem"), TABLES.values(), ids=TABLES)
def test_an_ambiguous_table_is_refused_with_the_cause(tmp_path: Path, project: Paths, text: str, problem: str) -> None:
    data = tmp_path / "lab"
    for name in ("blast", "normal"):  # in no folder of a class
        for k in range(18):
            cell(data / f"{name[0]}{k}.png", 100 * (name == "blast") + k)
    with pytest.raises(WenError, match=problem):
        study(project, data, table(data, text))
    assert not project.params.exists()
    assert not (project.raw / "cells").exists()


def test_columns_of_labels_that_differ_in_case_alone_are_compared(tmp_path: Path, project: Paths) -> None:
    cell(tmp_path / "lab/b0.png", 1)
    cell(tmp_path / "lab/n0.png", 2)
    about = table(tmp_path / "lab", "file,Label,label\nb0,blast,normal\nn0,normal,normal\n")
    with pytest.raises(WenError, match="line 2: blast and normal, its columns Label and label name different"):
        study(project, tmp_path / "lab", about)


def test_without_labels_in_the_table_images_in_one_folder_have_no_class(tmp_path: Path, project: Paths) -> None:
    cell(tmp_path / "lab/img/b0.png", 1)
    about = table(tmp_path / "lab", "file,leukaemia\nb0,yes\n")
    with pytest.raises(WenError, match=r"no column label, nor are the images .* its columns are file, leukaemia"):
        study(project, tmp_path / "lab", about)


def test_equal_images_of_two_classes_are_named_by_their_paths_in_the_given_folder(
    tmp_path: Path, project: Paths
) -> None:
    data = lab(tmp_path / "lab")
    shutil.copy(data / "blast/b0.png", data / "normal/copy.png")
    with pytest.raises(WenError, match="equal images with different labels") as caught:
        study(project, data)
    assert f"{data}/blast/b0.png and {data}/normal/copy.png" in str(caught.value)
    assert "partial" not in str(caught.value)


def test_a_folder_of_archives_alone_is_refused_with_what_to_do(tmp_path: Path, project: Paths) -> None:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab/inner.zip").write_bytes(b"PK")
    with pytest.raises(WenError, match="contains no image to study; unpack its archives first"):
        study(project, tmp_path / "lab")


def test_too_few_images_to_divide_are_refused_before_anything_changes(tmp_path: Path, project: Paths) -> None:
    data = lab(tmp_path / "lab", cells=4)
    with pytest.raises(WenError, match="too few positive images for 5 folds: 3; use fewer folds or add") as caught:
        study(project, data)
    assert "split.unit" not in str(caught.value)
    assert not project.params.exists()


@pytest.mark.parametrize("unknown", ["unknown", "NaN", "N/A"])
def test_images_of_unknown_class_are_no_class_unless_the_user_names_it(
    tmp_path: Path, project: Paths, unknown: str
) -> None:
    data = lab(tmp_path / "lab", ("b", "n"))
    about = table(data, listed().replace(",normal,", f",{unknown},"))
    with pytest.raises(WenError, match=rf"^the images are of .*, and {unknown} names no class; leave these"):
        study(project, data, replace(about, positive="blast"))
    study(project, data, replace(about, classes=(unknown, "blast")))


def test_two_of_three_labels_of_a_table_are_taken_if_they_are_named(tmp_path: Path, project: Paths) -> None:
    data = lab(tmp_path / "lab", ("a", "b", "c"))
    labels = {"a": "ALL", "b": "AML", "c": "healthy"}
    rows = [f"{path.name},{labels[path.parent.name]}\n" for path in sorted(data.rglob("*.*"))]
    about = table(data, "".join(["file,label\n", *rows]))
    with pytest.raises(
        WenError, match=r"3 classes \(column label\): ALL \(18\), AML \(18\), healthy \(18\)\. A study compares two"
    ):
        study(project, data, about)
    study(project, data, replace(about, classes=("healthy", "ALL")))
    prepare.run(load(project.params), project)
    found = read_json(project.dataset_metrics)
    assert found["images"] == 36
    assert found["not_read"]["images of other classes than healthy and ALL"]["count"] == 18


def test_names_of_classes_are_not_given_to_two_of_three_numbers(tmp_path: Path, project: Paths) -> None:
    data = lab(tmp_path / "lab", ("a", "b", "c"))  # numbered: healthy, benign, malignant
    rows = [f"{path.name},{'abc'.index(path.parent.name)}\n" for path in sorted(data.rglob("*.*"))]
    about = replace(table(data, "".join(["file,label\n", *rows])), classes=("healthy", "malignant"))
    with pytest.raises(WenError, match=r"no image is of class healthy; the images are of 0 \(18\), 1 \(18\), 2 \(18\)"):
        study(project, data, about)


def test_folders_of_hospitals_named_like_a_class_are_not_taken_for_it(tmp_path: Path, project: Paths) -> None:
    for place in ("Cancer Centre", "City"):
        lab(tmp_path / "one" / place, cells=9)
    with pytest.raises(WenError, match="Cancer Centre and City, or blast and normal, could be the classes") as refused:
        study(project, tmp_path / "one")
    assert "CLASSES=" in str(refused.value)
    study(project, tmp_path / "one", About(classes=("normal", "blast")))
    prepare.run(load(project.params), project)
    assert read_json(project.dataset_metrics)["positive"] == 18


def test_two_numbered_batches_are_not_taken_for_classes(tmp_path: Path, project: Paths) -> None:
    for batch in ("batch_1", "batch_2"):
        lab(tmp_path / "lab" / batch, cells=9)
    study(project, tmp_path / "lab")
    assert load(project.params).dataset.classes == ["normal", "blast"]


def test_a_column_of_coordinates_taken_for_labels_is_named_in_a_short_message(tmp_path: Path, project: Paths) -> None:
    data = lab(tmp_path / "lab", cells=99)
    rows = [f"{path.name},{y}\n" for y, path in enumerate(sorted(data.rglob("*.*")))]
    with pytest.raises(
        WenError, match=r"of 198 classes \(column y\): 0 \(1\), 1 \(1\), .* and 186 more\. A study"
    ) as refused:
        study(project, data, table(data, "".join(["file,y\n", *rows])))
    assert len(str(refused.value)) < 600


def test_masks_beside_the_cells_give_a_warning(
    tmp_path: Path, project: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    data = lab(tmp_path / "lab")
    study(project, data)
    assert "masks" not in (output := capsys.readouterr().err)
    assert "except for the ending" not in output
    cell(data / "blast/masks/1.png", 1000)
    cell(data / "blast/b0_mask.png", 1001)
    cell(data / "blast/SEG_1.png", 1003)  # a segmented neutrophil
    cell(data / "normal/n0.tif", 1002)
    study(project, data)
    output = capsys.readouterr().err
    assert "images named like masks (2): blast/b0_mask.png, blast/masks/1.png; move away" in output
    assert "images of the same names except for the ending (2): normal/n0.png, normal/n0.tif; move away" in output


def test_numbers_of_people_that_a_spreadsheet_rounded_give_a_warning(
    tmp_path: Path, project: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    data = lab(tmp_path / "lab")
    for person, warned in (("123000000000", False), ("1.23E+11", True), ("1.5E+01", False), ("1E5", False)):
        study(project, data, table(data, listed(person)))
        assert (f"{person} is a rounded number, so different people may" in capsys.readouterr().err) is warned


def test_columns_of_a_table_that_could_name_the_people_are_listed(
    tmp_path: Path, project: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    data = lab(tmp_path / "lab")
    study(project, data, table(data, listed().replace("subject", "Paciente")))
    output = capsys.readouterr().out
    assert "cells.csv: no column names the subject; if one of these does, rename it to subject: Paciente\n" in output
    assert "names the label" not in output


@pytest.mark.usefixtures("drawn")
@pytest.mark.parametrize("name", ["m\u0131na\u00a0r", "细胞\u3000一", "\u06af\u0644\u200c\u0647\u0627"])
def test_blanks_and_joiners_of_other_scripts_may_be_in_names(tmp_path: Path, project: Paths, name: str) -> None:
    study(project, lab(tmp_path / name, (f"blast {name}", "normal")))
    dataset = load(project.params).dataset
    assert (dataset.name, dataset.classes) == (unicodedata.normalize("NFC", name), ["normal", f"blast {name}"])
    prepare.run(load(project.params), project)
    assert len(read_index(project)) == 36


def test_a_table_refused_for_the_images_in_place_is_not_left_there(tmp_path: Path, project: Paths) -> None:
    study(project, lab(tmp_path / "lab"))
    cells, table = project.raw / "cells", tmp_path / "cells.csv"
    table.write_text("image,label\nnone.png,blast\n")
    before = sorted(cells.rglob("*"))
    with pytest.raises(WenError):
        study(project, cells, About(table=table))
    assert sorted(cells.rglob("*")) == before


@pytest.mark.parametrize("name", ["cells.xlsx", "annotations.json", "cells.txt"])
def test_a_document_in_place_of_the_images_is_refused(tmp_path: Path, project: Paths, name: str) -> None:
    with zipfile.ZipFile(tmp_path / name, "w") as archive:  # as a spreadsheet is
        archive.writestr("xl/workbook.xml", "")
    with pytest.raises(WenError, match="one file; name the folder or zip that contains the images"):
        study(project, tmp_path / name)


def test_folders_of_folds_alone_do_not_make_a_data_set_c_nmc(tmp_path: Path, project: Paths) -> None:
    data = tmp_path / "lab"
    for fold in range(3):
        lab(data / f"fold_{fold}", cells=6)
    study(project, data)
    dataset = load(project.params).dataset
    assert (dataset.source, dataset.classes) == ("folder", ["normal", "blast"])


@pytest.mark.parametrize("ending", ["png", "bmp"])
def test_images_named_like_c_nmc_s_in_other_folders_are_refused_with_how_to_study_them_without_a_leak(
    tmp_path: Path, project: Paths, ending: str
) -> None:
    for k in range(18):
        cell(tmp_path / f"lab/all/UID_{k}_1_1_all.{ending}", k)
        cell(tmp_path / f"lab/hem/UID_H{k}_1_1_hem.{ending}", 100 + k)
    with pytest.raises(WenError, match=r"7 and H7 as one person: .*SUBJECT='UID_H\?\(\[0-9\]\+\)_'"):
        study(project, tmp_path / "lab")
    study(project, tmp_path / "lab", About(classes=("hem", "all"), subject="UID_H?([0-9]+)_"))
    prepare.run(load(project.params), project)
    index = read_index(project)
    assert (index.subject.nunique(), index.label.sum()) == (18, 18)


def test_folders_of_c_nmc_s_classes_without_its_folds_are_refused_with_its_layout_and_without_its_counts(
    tmp_path: Path, project: Paths
) -> None:
    for k in range(3):
        cell(tmp_path / f"lab/all/UID_{k}_1_1_all.bmp", k)
        cell(tmp_path / f"lab/hem/UID_H{k}_1_1_hem.bmp", 100 + k)
    with pytest.raises(WenError) as raised:
        study(project, tmp_path / "lab", profile="thesis")
    first, *folders, remedy = str(raised.value).splitlines()
    assert first == "2 problem(s) with the images:"
    assert [line.partition(":")[0] for line in folders] == [f"{tmp_path}/lab/all", f"{tmp_path}/lab/hem"]
    assert "has its training images in fold_0/all, fold_0/hem, ..., fold_2/hem; name the folder" in remedy
    assert "--classes hem all --subject" in remedy


def test_people_of_the_same_number_in_two_hospitals_give_a_warning(
    tmp_path: Path, project: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    data = lab(tmp_path / "lab")
    head, *rows = listed().splitlines()
    for hospitals, warned in (("AB", True), ("A", False)):
        lines = [f"{head},Hospital", *(f"{row},{hospitals[k // 18 % len(hospitals)]}" for k, row in enumerate(rows))]
        study(project, data, table(data, "\n".join(lines) + "\n"))
        text = "the same subject with several values of Hospital, counted as one person (18): P0, P1, P2 and 15 more"
        assert (text in capsys.readouterr().err) is warned


def test_people_of_the_same_number_in_another_spelling_or_at_two_sites_of_a_hospital_give_a_warning(
    tmp_path: Path, project: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    data = lab(tmp_path / "lab")
    head, *rows = listed().splitlines()
    sites = [f"{row},A,x" for row in rows[:18]] + [f"{row.replace('P', 'p-')},A,y" for row in rows[18:]]
    study(project, data, table(data, "\n".join([f"{head},Hospital,Site", *sites]) + "\n"))
    assert "several values of Site, counted as one person (18): P0, P1" in capsys.readouterr().err


@pytest.mark.parametrize(
    "parts", [("train", "test"), ("Training", "val"), ("Train", "TestA"), ("train", "images"), ("train",)]
)
def test_folders_of_a_division_that_is_not_used_give_a_warning(
    tmp_path: Path, project: Paths, capsys: pytest.CaptureFixture[str], parts: tuple[str, ...]
) -> None:
    for k, part in enumerate(parts):
        for place, name in enumerate(("blast", "normal")):
            for number in range(18 // len(parts)):
                cell(tmp_path / f"lab/{part}/{name}/{k}{number}.png", 100 * k + 1000 * place + number)
    study(project, tmp_path / "lab")
    text = " and this division is not used; to use it, name a CSV with the part of each image in split.test"
    printed = capsys.readouterr().err
    assert (text in printed) is (len(parts) == 2 and "images" not in parts)
    if parts == ("train", "test"):
        assert "warning: the images are in folders test (18), train (18)," in printed


@pytest.mark.parametrize(
    ("one", "other", "warned"),
    [
        ("Original/blast/b1", "Segmented/blast/b1", True), ("blast/b1", "blast/b1_aug_2", True),
        ("blast/b1", "blast/b1-hflip", True), ("blast/b1", "blast/b1 rot90", True), ("blast/b1", "blast/b2", False),
        ("blast/b1", "blast/b11", False), ("blast/rotor1", "blast/1", False),
        ("blast/b1", "blast/thumbs/b1", True), ("blast/b1", "blast/b1_thumb", True),
    ],
)  # fmt: skip
def test_versions_of_one_image_give_a_warning(
    tmp_path: Path, project: Paths, capsys: pytest.CaptureFixture[str], one: str, other: str, warned: bool
) -> None:
    for k, name in enumerate((one, other)):
        cell(tmp_path / f"lab/{name}.png", k)
    for k in range(12):
        cell(tmp_path / f"lab/normal/n{k}.png", 100 + k)
        cell(tmp_path / f"lab/blast/c{k}.png", 200 + k)
    study(project, tmp_path / "lab", About(classes=("normal", "blast")))
    text = "versions of one image by their names (1): "
    assert (text in capsys.readouterr().err) is warned


@pytest.mark.parametrize("what", ["format", "size", "colour", None])
def test_what_alone_shows_the_class_of_every_image_gives_a_warning_with_counts(
    tmp_path: Path, project: Paths, capsys: pytest.CaptureFixture[str], what: str | None
) -> None:
    for place, name in enumerate(("blast", "normal")):
        for k in range(12):
            path = tmp_path / f"lab/{name}/{k}.{'jpg' if place and what == 'format' else 'png'}"
            cell(path, 100 * place + k, (30 + k, 30) if place and what == "size" else (24, 24 + k % 4))
            if what == "colour":
                grey = Image.open(path).convert("L")
                (grey if place else ImageOps.colorize(grey, "black", "purple")).save(path)
    study(project, tmp_path / "lab")
    named = {
        "format": "normal: jpg (12); blast: png (12)", "colour": "normal: grey (12); blast: colour (12)",
        "size": "normal: 30x30 px (1), ",
    }  # fmt: skip
    found = [line for line in capsys.readouterr().err.splitlines() if "alone shows its class" in line]
    assert len(found) == (what is not None)
    if what:
        assert f"warning: the {what} of an image alone" in found[0]
        assert f"({named[what]}" in found[0]


@pytest.mark.parametrize("people", [1, 2])
def test_a_class_of_one_subject_gives_a_warning(
    tmp_path: Path, project: Paths, capsys: pytest.CaptureFixture[str], people: int
) -> None:
    data = lab(tmp_path / "lab")
    rows = [f"b{k},P{k % 9}\nn{k},Q{k % people}\n" for k in range(18)]
    (tmp_path / "cells.csv").write_text("".join(["file,patient\n", *rows]))
    study(project, data, About(table=tmp_path / "cells.csv"))
    found = [line for line in capsys.readouterr().err.splitlines() if "are of one subject" in line]
    assert len(found) == (people == 1)
    assert all("all images of class normal are" in line for line in found)


def test_a_subject_for_every_image_gives_a_warning(
    tmp_path: Path, project: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    data = lab(tmp_path / "lab")
    for pattern, warned in ((r"/(\w+)\.", True), (r"/\w(\d+)\.", False)):
        study(project, data, About(subject=pattern))
        text = "each of the 36 images has a subject of its own, so a split by subject is the same as one by image"
        assert (text in capsys.readouterr().err) is warned
