"""Fixtures: a project and the data that a user gives to the command line."""

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
