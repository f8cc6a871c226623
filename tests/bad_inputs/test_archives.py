"""Harmful zips and folders, and image names that break the pattern, are refused."""

import os
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from project import Project, zipped


def with_member(name: str, content: bytes = b"x", mode: int = 0) -> Callable[[Path], None]:
    def add(path: Path) -> None:
        with zipfile.ZipFile(path, "a") as archive:
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            archive.writestr(member, content)

    return add


def directory(path: Path, place: int, form: str, value: int) -> None:
    """Replace a number in the last entry of a zip's directory."""
    content = bytearray(path.read_bytes())
    struct.pack_into(form, content, content.rindex(b"PK\x01\x02") + place, value)
    path.write_bytes(content)


def broken_content(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(b"BM") + 60] ^= 1
    path.write_bytes(content)


def small_bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.bmp", bytes(10_000_000))
    directory(path, 24, "<I", 10)


def broken_lzma(path: Path) -> None:
    with zipfile.ZipFile(path, "a", zipfile.ZIP_LZMA) as archive:
        archive.writestr("more.bmp", bytes(1000))
    content = bytearray(path.read_bytes())
    content[content.index(b"more.bmp") + len("more.bmp") + 9] = 0xFF  # the first byte after LZMA's own header
    path.write_bytes(content)


def name_in_latin_1(path: Path) -> None:
    with_member("caf\u00e9s.bmp")(path)
    path.write_bytes(path.read_bytes().replace("caf\u00e9s.bmp".encode(), b"caf\xe9es.bmp"))


def entry_beyond_any_file(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        member = zipfile.ZipInfo("far.bmp")
        member.extra = struct.pack("<HHQ", 1, 8, 2**64 - 1)
        archive.writestr(member, b"x")
    directory(path, 42, "<I", 2**32 - 1)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut in half": (lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]), "nor a complete zip"),
    "without its end": (lambda path: path.write_bytes(path.read_bytes()[:-22]), "nor a complete zip"),
    "empty": (lambda path: path.write_bytes(b""), "nor a complete zip"),
    "of text": (lambda path: path.write_bytes(b"no zip\n"), "nor a complete zip"),
    "a bit changed": (broken_content, "nor a complete zip"),
    "a byte changed in LZMA": (broken_lzma, "nor a complete zip"),
    "a name that is not the UTF-8 it should be": (name_in_latin_1, "nor a complete zip"),
    "an entry beyond any file": (entry_beyond_any_file, "nor a complete zip"),
    "member above": (with_member("../outside.bmp"), "unsafe path '../outside.bmp'"),
    "member without a name": (with_member(""), "unsafe path ''"),
    "member above, deep": (with_member("a/../../outside.bmp"), "unsafe path"),
    "member above, windows": (with_member("..\\outside.bmp"), "unsafe path"),
    "member at the root": (with_member("/outside.bmp"), "unsafe path '/outside.bmp'"),
    "member at windows' root": (with_member("\\outside.bmp"), "unsafe path"),
    "member on a drive": (with_member("C:\\outside.bmp"), "unsafe path"),
    "symbolic link": (with_member("link.bmp", b"/etc/passwd", stat.S_IFLNK | 0o777), "unsafe path 'link.bmp'"),
    "device": (with_member("device.bmp", b"", stat.S_IFCHR | 0o666), "unsafe path 'device.bmp'"),
    "the same member twice": (with_member("C-NMC_test_prelim_phase_data/1.bmp"), "1.bmp' 2 times"),
    "the same member twice, one by another path": (
        with_member("./C-NMC_test_prelim_phase_data//1.bmp"),
        "1.bmp' 2 times",
    ),
    "a file where a folder is": (with_member("C-NMC_training_data"), "C-NMC_training_data"),
    "a name too long": (with_member("a" * 300 + ".bmp"), "cannot be unpacked"),
    "a bomb that calls itself small": (small_bomb, "nor a complete zip"),
    "a password": (lambda path: directory(path, 8, "<H", 1), "cannot be unpacked"),
    "a compression unknown": (lambda path: directory(path, 10, "<H", 97), "cannot be unpacked"),
    "an entry that lies elsewhere": (lambda path: directory(path, 42, "<I", 5), "nor a complete zip"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")  # of the test's own zip
@pytest.mark.parametrize("name", BAD)
def test_a_harmful_or_broken_zip_is_refused_and_nothing_is_unpacked(project: Project, data: Path, name: str) -> None:
    make, message = BAD[name]
    path = zipped(data)
    make(path)
    assert message in project.refuses(*project.study(path), named=str(path))


def test_a_zip_that_unpacks_to_more_than_fits_is_refused(
    project: Project, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zipped(data)
    monkeypatch.setattr("wen.data.unpack.LARGEST_ZIP", 1000)
    assert "GB unpacked" in project.refuses(*project.study(path), named=str(path))


FOLD = "C-NMC_training_data/fold_0/all"
MISNAMED = [
    "cell.bmp", "UID_1_1_all.bmp", "UID_1_1_1_1_all.bmp", "UID_1_1_1.bmp", "UID_1_1_1_ALLE.bmp", "UID_x_1_1_all.bmp",
    "UID_H1_1_1_all.bmp", "UID_1_1_1_hem.bmp", "UID_1_1_1_all.png", "UID_1_1_1_all", "UID_1_1_1_all.bmp.bmp",
    "UID_1_1_1_all .bmp", " UID_1_1_1_all.bmp", "UID 1 1 1 all.bmp", "UID_1_1_1_all.bmp ", "UID_-1_1_1_all.bmp",
    "UID_1.5_1_1_all.bmp", "UID_\u0661_1_1_all.bmp", "U\u0131D_1_9_1_all.bmp", "UID_1_1_1_\u00e5ll.bmp",
    "\u767d\u8840\u75c5.bmp", "UID_1_1_1_all\n.bmp", "UID_1_1_1_all\t.bmp", "UID_1_1\x1b[31m_1_all.bmp",
    "UID_1_1_1_all\\.bmp", "-rf.bmp", "$(id).bmp",
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "packed"),
    [(name, packed) for name in MISNAMED for packed in (False, True) if not (packed and "\\" in name)],
    ids=ascii,
)
def test_an_image_name_that_breaks_the_pattern_is_refused(
    project: Project, data: Path, name: str, packed: bool
) -> None:
    (data / FOLD / name).write_bytes((data / FOLD / "UID_1_1_1_all.bmp").read_bytes())
    brought = zipped(data) if packed else data
    message = project.refuses(*project.study(brought), named=name if name.isprintable() else repr(name)[1:-1])
    assert len(message.splitlines()) == 2


def test_an_image_name_that_is_not_valid_text_is_refused(project: Project, data: Path) -> None:
    with open(os.fsencode(data / FOLD) + b"/UID_1_\xff_1_all.bmp", "wb"):
        pass
    project.refuses(*project.study(data), named="udcff")


@pytest.mark.parametrize(
    "name", ["word.bmp", "1_2.bmp", "1.png", "-1.bmp", "1 .bmp", "\u0661.bmp", "1\n.bmp"], ids=ascii
)
@pytest.mark.parametrize("folder", ["C-NMC_test_prelim_phase_data", "C-NMC_test_final_phase_data"])
def test_a_test_image_whose_name_is_not_a_number_is_refused(
    project: Project, data: Path, folder: str, name: str
) -> None:
    (data / folder / name).write_bytes(b"x")
    project.refuses(*project.study(data), named=name if name.isprintable() else repr(name)[1:-1])


def test_a_cell_outside_the_class_folders_is_refused(project: Project, data: Path) -> None:
    (data / "UID_1_7_1_all.bmp").write_bytes(b"x")
    project.refuses(*project.study(data), named=f"{data}/UID_1_7_1_all.bmp: outside")


@pytest.mark.parametrize("other", ["UID_1_1_1_all.bmp", "uid_1_1_1_ALL.bmp"])
def test_a_cell_that_occurs_twice_is_refused(project: Project, data: Path, other: str) -> None:
    copy = data / "C-NMC_training_data/fold_2/all" / other
    copy.parent.mkdir(exist_ok=True)
    copy.write_bytes((data / FOLD / "UID_1_1_1_all.bmp").read_bytes())
    project.refuses(*project.study(data), named="same image name in several folders")


def test_equal_images_with_different_labels_are_refused(project: Project, data: Path) -> None:
    hem = data / "C-NMC_training_data/fold_1/hem/UID_H10_1_1_hem.bmp"
    hem.write_bytes((data / FOLD / "UID_1_1_1_all.bmp").read_bytes())
    project.refuses(*project.study(data), named="equal images with different labels")


@pytest.mark.parametrize("cls", ["all", "hem"])
def test_a_class_without_images_is_refused(project: Project, data: Path, cls: str) -> None:
    for path in [*data.rglob(f"*_{cls}.bmp"), *(data / "C-NMC_test_prelim_phase_data").iterdir()]:
        path.unlink()
    (data / "C-NMC_test_prelim_phase_data_labels.csv").unlink()
    project.refuses(*project.study(data), named="both classes are needed")


def test_an_empty_folder_and_a_missing_one_are_refused(project: Project, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    project.refuses(*project.study(tmp_path / "nothing"), named="contains no image to study")
    project.refuses(*project.study(tmp_path / "nowhere"), named="no such folder or zip")
    os.mkfifo(tmp_path / "pipe")
    project.refuses(*project.study(tmp_path / "pipe"), named="no such folder or zip")


def test_links_to_images_elsewhere_are_followed(project: Project, data: Path, tmp_path: Path) -> None:
    cell = data / FOLD / "UID_1_1_1_all.bmp"
    cell.rename(tmp_path / "elsewhere.bmp")
    cell.symlink_to(tmp_path / "elsewhere.bmp")
    code, output = project.wen(*project.study(data))
    assert code == 0, output
    brought = project.root / "data/raw/cnmc" / FOLD / "UID_1_1_1_all.bmp"
    assert brought.read_bytes() == (tmp_path / "elsewhere.bmp").read_bytes()
    assert not brought.is_symlink()


def test_a_link_to_a_folder_is_refused(project: Project, data: Path, tmp_path: Path) -> None:
    (data / FOLD).rename(tmp_path / "elsewhere")
    (data / FOLD).symlink_to(tmp_path / "elsewhere")
    assert "the real folder" in project.refuses(*project.study(data), named=f"{data / FOLD}: ")


def test_a_circle_of_links_is_refused(project: Project, data: Path) -> None:
    (data / "circle").symlink_to(data)
    project.refuses(*project.study(data), named=f"{data}/circle: ")


def test_a_broken_link_is_refused(project: Project, data: Path) -> None:
    cell = data / FOLD / "UID_1_1_1_all.bmp"
    cell.unlink()
    cell.symlink_to(data / "nowhere.bmp")
    project.refuses(*project.study(data), named="UID_1_1_1_all.bmp")


def test_usage_errors_exit_with_2(project: Project) -> None:
    for command in (
        ["study"],
        ["study", "a", "b"],
        ["train-fold", "--lr", "fast"],
        ["no-such-command"],
        ["prepare", "-x"],
    ):
        code, output = project.wen(*command)
        assert code == 2
        assert "Traceback" not in output
