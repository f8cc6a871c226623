import pytest

from wen.data import overview

DRAW = overview.draw


@pytest.fixture(autouse=True)
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no figures of a data set, which takes half of the time of stage ``prepare``; tests of the pipeline do."""
    monkeypatch.setattr(overview, "draw", lambda *arguments: arguments[-1].mkdir(parents=True, exist_ok=True))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch, _no_figures: None) -> None:
    monkeypatch.setattr(overview, "draw", DRAW)
