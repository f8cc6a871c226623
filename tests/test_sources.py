"""How files, folders, patterns and lists are read, and which files never are."""

import io
import os
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from wen import sources
from wen.data.images import BadImage
from wen.errors import WenError


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def files(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"BM")


class TestFolders:
    """All images, in linked folders too; everything else is counted."""

    def test_every_format_is_found_and_what_is_no_image_is_counted_and_named(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        files("c/1.bmp", "c/2.BMP", "c/3.png", "c/4.TIF", "c/5.Jpeg", "c/cells")
        files(*(f"c/{k}.csv" for k in range(9)), *(f"c/{k}.XML" for k in range(5)))
        files("c/.DS_Store", "c/Thumbs.db", "c/._1.bmp", "c/__MACOSX/1.bmp")
        assert sources.find(["c"]) == ["c/1.bmp", "c/2.BMP", "c/3.png", "c/4.TIF", "c/5.Jpeg"]
        assert capsys.readouterr().err == ("c: 5 images; skipped other files: 9 .csv, 5 .xml, 1 without an ending\n")

    def test_a_folder_without_images_says_what_it_holds_instead(self) -> None:
        files(*(f"c/{k}.csv" for k in range(9)), "c/notes.txt")
        with pytest.raises(WenError, match=r"c: no image in this folder \(\.bmp, .*\), but 9 \.csv, 1 \.txt$"):
            sources.find(["c"])

    def test_a_folder_inside_one_that_a_system_keeps_is_read_if_it_is_named(self) -> None:
        """As what was recovered after a crash, or taken out of a NAS' bin."""
        files("lost+found/cells/1.bmp", "lost+found/cells/@eaDir/1.bmp")
        assert sources.find(["lost+found/cells"]) == ["lost+found/cells/1.bmp"]

    def test_of_many_endings_the_most_frequent_are_named(self, capsys: pytest.CaptureFixture[str]) -> None:
        files("c/1.bmp", *(f"c/1.x{k}" for k in range(20)))
        sources.find(["c"])
        assert "12 with other endings" in capsys.readouterr().err

    def test_a_linked_folder_is_followed_and_a_circle_of_links_is_named(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        files("c/1.bmp", "elsewhere/2.bmp")
        os.symlink("../elsewhere", "c/link")
        os.symlink("..", "elsewhere/up")
        os.symlink(".", "c/self")
        assert sources.find(["c"]) == ["c/1.bmp", "c/link/2.bmp"]
        output = capsys.readouterr().err
        assert "c/self: skipped, a link to a folder that was already read" in output
        assert "c/link/up/c: skipped, a link to a folder that was already read" in output

    def test_a_link_that_may_have_led_to_images_is_named(self, capsys: pytest.CaptureFixture[str]) -> None:
        files("c/1.bmp")
        os.symlink("/gone/batch", "c/batch")
        assert sources.find(["c"]) == ["c/1.bmp"]
        assert capsys.readouterr().err == "c/batch: skipped, a broken link\n"

    def test_a_folder_is_read_once_under_its_own_name(self) -> None:
        files("c/sub/1.bmp")
        os.symlink("sub", "c/alias")
        assert sources.find(["c"]) == ["c/sub/1.bmp"]

    def test_hidden_folders_are_counted_and_not_read(self, capsys: pytest.CaptureFixture[str]) -> None:
        files("c/1.bmp", "c/.thumbnails/1.bmp", "c/P7/.snapshot/daily.0/2.bmp", "c/.git/3.bmp")
        assert sources.find(["c"]) == ["c/1.bmp"]
        assert capsys.readouterr().err == "c: skipped hidden folders: 2\n"
        assert sources.find(["c/.thumbnails"]) == ["c/.thumbnails/1.bmp"]

    def test_names_in_messages_are_escaped(self) -> None:
        Path("a\x1b[31m").mkdir()
        with pytest.raises(WenError, match=r"a\\x1b\[31m: no image"):
            sources.find(["a\x1b[31m"])


class TestPatterns:
    """A pattern names files; a folder that it matches is read as one."""

    def test_matches_come_in_the_order_of_their_names(self) -> None:
        files("b.bmp", "a.bmp", "c/d.bmp")
        assert sources.find(["*.bmp", "c/*"]) == ["a.bmp", "b.bmp", "c/d.bmp"]
        assert sources.find(["[c]"]) == ["c/d.bmp"]

    def test_a_file_whose_name_is_a_pattern_is_itself(self) -> None:
        files("[a].bmp", "a.bmp")
        assert sources.find(["[a].bmp"]) == ["[a].bmp"]

    def test_a_circle_of_links_repeats_no_image(self) -> None:
        files("c/1.bmp", "c/sub/2.bmp")
        os.symlink("..", "c/sub/up")
        assert [os.path.realpath(file) for file in sources.find(["c/**/*.bmp"])] == [
            os.path.realpath(file) for file in ("c/1.bmp", "c/sub/2.bmp")
        ]

    def test_links_to_one_file_stay_two_images(self) -> None:
        files("1.bmp")
        os.symlink("1.bmp", "2.bmp")
        assert sources.find(["*.bmp"]) == ["1.bmp", "2.bmp"]

    @pytest.mark.parametrize("name", ["nothing", "*.bmp", "x" * 5000])
    def test_a_pattern_that_matches_nothing_is_refused(self, name: str) -> None:
        with pytest.raises(WenError, match="no such file, folder or pattern"):
            sources.find([name])


def test_an_address_is_refused() -> None:
    with pytest.raises(WenError, match=r"^https://lab\.org/1\.png: an address; download the images"):
        sources.find(["https://lab.org/1.png"])


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"a.bmp\nb c.bmp\n", ["a.bmp", "b c.bmp"]),
        (b"a.bmp\r\nb.bmp\r\n", ["a.bmp", "b.bmp"]),
        (b"a.bmp\n\n   \n\r\nb.bmp", ["a.bmp", "b.bmp"]),
        (b"\xef\xbb\xbfa.bmp\n", ["a.bmp"]),
        ("é.bmp\r\n".encode("utf-16"), ["é.bmp"]),
        (b"a\nb.bmp\0c.bmp\0", ["a\nb.bmp", "c.bmp"]),
        (b"caf\xe9.bmp\n", [os.fsdecode(b"caf\xe9.bmp")]),
        (b"", []),
    ],
)
def test_a_list_on_standard_input_is_read_whoever_wrote_it(
    monkeypatch: pytest.MonkeyPatch, content: bytes, names: list[str]
) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    assert sources.find(["-"]) == names


def test_a_name_that_ends_with_a_carriage_return_is_found_in_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    files("a.bmp\r")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"a.bmp\r\nb.bmp\r\n")))
    assert sources.find(["-"]) == ["a.bmp\r", "b.bmp"]


class TestReading:
    """Nothing but a regular file of a sane size is opened."""

    def test_a_file_gives_its_bytes_also_through_a_link(self) -> None:
        files("1.bmp")
        os.symlink("1.bmp", "2.bmp")
        assert sources.read("1.bmp") == sources.read("2.bmp") == b"BM"

    @pytest.mark.parametrize("target", ["/dev/zero", "/dev/null", "/dev/tty"])
    def test_devices_are_not_read(self, target: str) -> None:
        os.symlink(target, "1.bmp")
        with pytest.raises(BadImage, match="a device, not a file"):
            sources.read("1.bmp")

    def test_pipes_sockets_folders_and_dead_links_are_not_read(self) -> None:
        os.mkfifo("pipe.bmp")
        Path("folder.bmp").mkdir()
        os.symlink("nowhere", "link.bmp")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket.bmp")
            for name, problem in (
                ("pipe.bmp", "a pipe"), ("socket.bmp", "a socket"), ("folder.bmp", "a folder, not an image"),
                ("link.bmp", "a broken link"), ("none.bmp", "no such file"),
            ):  # fmt: skip
                with pytest.raises(BadImage, match=problem):
                    sources.read(name)

    def test_an_endless_file_is_not_read(self) -> None:
        with open("huge.bmp", "wb") as file:
            file.truncate(sources.LARGEST + 1)
        with pytest.raises(BadImage, match="268,435,457 bytes, more than"):
            sources.read("huge.bmp")
        Path("empty.bmp").touch()
        with pytest.raises(BadImage, match="empty file"):
            sources.read("empty.bmp")
