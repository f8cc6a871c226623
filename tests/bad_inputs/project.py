"""The command line in a temporary project, and what holds whenever it refuses."""

import signal
import sys
import zipfile
from pathlib import Path

import layouts
import pytest
from conftest import PROJECT

from wen import cli


class Project:
    """A folder with a profile for the tiny images of `layouts`, and the command line in it."""

    def __init__(self, root: Path, capture: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self.root, self.capture, self.patch = root, capture, patch
        (root / "profiles").mkdir(parents=True)
        text = (PROJECT / "profiles/laptop.yaml").read_text()
        side = f"{layouts.SIDE}  "
        text = text.replace("side: 450", f"side: {side}").replace("crop: 450", f"crop: {side}")
        (root / "profiles/tiny.yaml").write_text(text)
        patch.chdir(root)
        patch.setattr(signal, "signal", lambda *_: None)

    def wen(self, *command: str | Path) -> tuple[int, str]:
        """Run a command and return its exit code and standard error."""
        self.patch.setattr(sys, "argv", ["wen", *map(str, command)])
        self.capture.readouterr()
        code: int | str | None = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        assert isinstance(code, int) or code is None
        return code or 0, self.capture.readouterr().err

    def refuses(self, *command: str | Path, named: str) -> str:
        """Assert that a command ends with one message that names the problem, and changes nothing; the message."""
        before = content(self.root)
        code, output = self.wen(*command)
        assert code == 1, output
        assert output.startswith("error: ")
        assert output.count("error:") == 1
        assert named in output
        assert "Traceback" not in output
        assert content(self.root) == before
        return output

    def study(self, data: Path) -> tuple[str, ...]:
        """The command that brings data."""
        return ("study", str(data), "--profile", "tiny", "--incomplete")


def content(root: Path) -> dict[Path, bytes]:
    """Every file under a folder but logs."""
    return {
        path: path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and "logs" not in path.relative_to(root).parts
    }


def zipped(folder: Path) -> Path:
    target = folder.with_suffix(".zip")
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    return target
