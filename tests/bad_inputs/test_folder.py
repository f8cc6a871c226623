"""No file of a data set is skipped without a message."""

import os
import shutil
import socket
import zipfile
from pathlib import Path

import layouts
import pytest
from project import Project

from wen.data import folder, prepare
from wen.data.readers import cnmc
from wen.errors import WenError
from wen.files import read_json


def not_read(root: Path) -> dict[str, tuple[int, list[str]]]:
    listing = cnmc.read(root)
    assert not listing.problems
    return {kind: (found["count"], found["examples"]) for kind, found in listing.not_read.items()}


def put(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_every_file_of_c_nmc_is_read_in_each_of_its_layouts(tmp_path: Path) -> None:
    assert not_read(layouts.kaggle(tmp_path / "kaggle")) == {}
    assert not_read(layouts.tcia(tmp_path / "tcia")) == {}


@pytest.mark.parametrize(
    "name",
    ["fold_1.zip", "a.tar", "a.tar.gz", "a.tgz", "a.7z", "a.rar", "a.ZIP", "a.zip.001", "a.z01", "a.tar.xz", "a.iso"],
)
def test_an_archive_beside_the_cells_is_counted_and_named(tmp_path: Path, name: str) -> None:
    put(layouts.kaggle(tmp_path) / "training_data" / name)
    assert not_read(tmp_path) == {"archives": (1, [f"training_data/{name}"])}


@pytest.mark.parametrize("name", ["1.png", "a.TIF", "a.tiff", "a.jpg", "a.jpeg", "a.webp", "a.gif", "a.dcm", "a.svs"])
def test_images_of_other_formats_are_counted_and_named(tmp_path: Path, name: str) -> None:
    put(layouts.kaggle(tmp_path) / "blast" / name)
    assert not_read(tmp_path) == {"images of other formats than BMP": (1, [f"blast/{name}"])}


def test_a_few_of_many_unread_files_are_named_and_all_are_counted(tmp_path: Path) -> None:
    layouts.kaggle(tmp_path)
    put(*(tmp_path / f"blast/{k}.png" for k in range(9)), *(tmp_path / f"{k}.h5" for k in range(2)))
    assert not_read(tmp_path) == {
        "images of other formats than BMP": (9, ["blast/0.png", "blast/1.png", "blast/2.png"]),
        "other files": (2, ["0.h5", "1.h5"]),
    }
    assert cnmc.read(tmp_path).left_out == [
        "not read: images of other formats than BMP (9): blast/0.png, blast/1.png, blast/2.png and 6 more; "
        "other files (2): 0.h5, 1.h5. Cells are read from BMP files only"
    ]


FOLD = "training_data/fold_0/all"
PRELIMINARY = "validation_data/C-NMC_test_prelim_phase_data"


@pytest.mark.parametrize("place", [FOLD, PRELIMINARY, "testing_data/C-NMC_test_final_phase_data", ""])
def test_system_files_among_the_cells_are_ignored_and_other_documents_are_named(tmp_path: Path, place: str) -> None:
    layouts.kaggle(tmp_path)
    litter = [
        "readme.txt", "README.md", "README", "LICENSE", "Thumbs.db", "desktop.ini", ".DS_Store", "._UID_1_1_1_all.bmp",
        "@eaDir/UID_1_1_1_all.bmp/SYNOPHOTO_THUMB_M.jpg", ".ipynb_checkpoints/look-checkpoint.ipynb",
        "__MACOSX/._UID_1_1_1_all.bmp", "$RECYCLE.BIN/desktop.ini", ".gitkeep", "Icon\r",
    ]  # fmt: skip
    put(*(tmp_path / place / name for name in litter))
    assert not_read(tmp_path) == {}
    put(tmp_path / place / "notes.docx", tmp_path / place / "counts.csv")
    kept = [str(Path(place, name)) for name in ("counts.csv", "notes.docx")]
    assert not_read(tmp_path) == {"other files": (2, kept)}


def test_cells_and_archives_in_a_folder_of_a_program_are_named(tmp_path: Path) -> None:
    layouts.kaggle(tmp_path)
    put(tmp_path / FOLD / ".ipynb_checkpoints/UID_1_1_1_all-checkpoint.bmp", tmp_path / "__MACOSX/fold_0.zip")
    kind = "files in folders of a system or program"
    assert not_read(tmp_path)[kind] == (
        2,
        ["__MACOSX/fold_0.zip", f"{FOLD}/.ipynb_checkpoints/UID_1_1_1_all-checkpoint.bmp"],
    )


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        (f"{FOLD}/more.zip", "an archive; unpack it"),
        (f"{FOLD}/UID_1_9_1_all.png", "read from BMP files only, not .png"),
        (f"{FOLD}/UID_1_9_1_all.bmp.part", "unexpected name"),
        (f"{FOLD}/UID_1_9_1_all.txt", "unexpected name"),
        (f"{PRELIMINARY}/3.tif", "read from BMP files only, not .tif"),
        (f"{PRELIMINARY}/3.bmp.gz", "an archive; unpack it"),
        ("training_data/fold_3/all/UID_1_9_1_all.bmp", "outside fold_0..2"),
    ],
)
def test_an_unreadable_file_that_may_be_a_cell_is_refused_with_the_cause(tmp_path: Path, name: str, cause: str) -> None:
    put(layouts.kaggle(tmp_path) / name)
    (problem,) = cnmc.read(tmp_path).problems
    assert name in problem
    assert cause in problem


def test_cells_in_a_folder_outside_the_layout_are_reported_in_one_line(tmp_path: Path) -> None:
    put(*(layouts.kaggle(tmp_path) / f"blast/{k}.bmp" for k in range(400)))
    (problem,) = cnmc.read(tmp_path).problems
    assert problem.startswith(f"{tmp_path}/blast: 400 images outside fold_0..2")
    assert problem.endswith(": 0.bmp, 1.bmp, 10.bmp and 397 more")


def test_links_to_files_are_followed_and_other_special_files_are_reported(tmp_path: Path) -> None:
    root = tmp_path / "root"
    put(root / "a.bmp", tmp_path / "elsewhere/b.bmp")
    (root / "b.bmp").symlink_to(tmp_path / "elsewhere/b.bmp")
    assert folder.files(root) == ([root / "a.bmp", root / "b.bmp"], [])
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "loop").symlink_to(root)
    (root / "self").symlink_to(root / "self")
    (root / "broken").symlink_to(tmp_path / "nowhere")
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(root / "socket"))
    found, problems = folder.files(root)
    assert found == [root / "a.bmp", root / "b.bmp"]
    assert [problem.removeprefix(f"{root}/").split(";")[0] for problem in problems] == [
        "2 times a broken symbolic link",
        "2 times a symbolic link to a folder",
        "2 times neither a file nor a folder",
    ]
    assert problems[0].endswith(f": {root}/broken, {root}/self")


def test_one_cause_of_many_broken_links_is_one_line(tmp_path: Path) -> None:
    """As in a copy of a repository of git-annex or DVC without its content."""
    for k in range(12):
        (tmp_path / f"{k}.png").symlink_to(tmp_path / "annex" / str(k))
    (line,) = folder.files(tmp_path)[1]
    assert line.startswith("12 times a broken symbolic link; put its target in its place: ")
    assert line.endswith(f": {tmp_path}/0.png, {tmp_path}/1.png, {tmp_path}/10.png and 9 more")


def test_a_folder_that_cannot_be_listed_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "locked/a.bmp", tmp_path / "b.bmp")
    scan = os.scandir

    def refuse(path: str) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found, problems = folder.files(tmp_path)
    assert found == [tmp_path / "b.bmp"]
    assert problems == [f"{tmp_path}/locked: Permission denied; its content cannot be listed"]


@pytest.mark.parametrize("kind", ["folder", "loop", "pipe"])
def test_prepare_refuses_raw_data_with_links_to_folders_and_special_files(tmp_path: Path, kind: str) -> None:
    root = layouts.kaggle(tmp_path / "raw")
    if kind == "folder":
        shutil.move(root / "training_data/fold_1", tmp_path / "elsewhere")
        (root / "training_data/fold_1").symlink_to(tmp_path / "elsewhere")
    elif kind == "loop":
        (root / "fold_1").symlink_to(root)
    else:
        os.mkfifo(root / "fold_1")
    with pytest.raises(WenError, match=r"fold_1: (a symbolic link to a folder|neither a file nor a folder)"):
        prepare.survey(root, root, layouts.params())


@pytest.mark.parametrize("packed", [False, True])
def test_study_and_prepare_name_the_cells_in_zips_that_they_do_not_read(
    project: Project, tmp_path: Path, packed: bool
) -> None:
    data = layouts.kaggle(tmp_path / "C-NMC")
    for fold in ("fold_0", "fold_2"):
        with zipfile.ZipFile(data / f"training_data/{fold}.zip", "w") as archive:
            archive.writestr(f"{fold}/all/UID_1_90_1_all.bmp", b"x")
    if packed:
        shutil.make_archive(str(data), "zip", data)
        data = data.with_suffix(".zip")
    for command in (project.study(data), ("prepare",)):
        code, output = project.wen(*command)
        assert code == 0, output
        assert "warning: not read: archives (2): training_data/fold_0.zip, training_data/fold_2.zip. " in output
    counted = read_json(project.root / "metrics/dataset.json")["not_read"]
    assert counted == {
        "archives": {"count": 2, "examples": [f"training_data/fold_{k}.zip" for k in (0, 2)]}
    }  # fmt: skip


def test_data_in_other_formats_alone_are_refused_with_their_number_and_an_example(
    project: Project, tmp_path: Path
) -> None:
    put(*(tmp_path / f"lab/{kind}/{k}.webp" for k in range(50) for kind in ("blast", "normal")))
    message = project.refuses(
        *project.study(tmp_path / "lab"),
        named="images of other formats than BMP, PNG, TIFF and JPEG (100): blast/0.webp",
    )
    assert "contains no image to study" in message


def test_linked_data_are_copied_and_their_source_is_unchanged(project: Project, data: Path) -> None:
    target = project.root / "data/raw/cnmc"
    target.parent.mkdir(parents=True)
    target.symlink_to(data)
    before = sorted(path.read_bytes() for path in data.rglob("*.bmp"))
    for command in (project.study(data), ("prepare",)):
        code, output = project.wen(*command)
        assert code == 0, output
    assert not target.is_symlink()
    assert sorted(path.read_bytes() for path in data.rglob("*.bmp")) == before
