"""A project into which bad things are brought by the command line, as a person does."""

from pathlib import Path

import layouts
import pytest
from project import Project


@pytest.fixture
def project(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(tmp_path / "project", capsys, monkeypatch)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A small C-NMC outside the project."""
    return layouts.tcia(tmp_path / "C-NMC")
