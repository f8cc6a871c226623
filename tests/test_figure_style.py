"""Figures show the names of a study in whatever letters they are, with the fonts that are installed."""

import warnings
from collections.abc import Iterator
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pytest
from matplotlib import font_manager

from wen import figure_style

NAMES = ["\u6b63\u5e38", "blast"]


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    with plt.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def drawn(name: str) -> bytes:
    figure, axes = plt.subplots()
    axes.set_title(name)
    try:
        return figure_style.render(figure, "pdf")
    finally:
        plt.close(figure)


def test_latin_greek_and_cyrillic_names_change_no_byte() -> None:
    before = drawn("blast")
    figure_style.cover(["lösemi", "βλάστη", "бласт", "a\tb"])
    assert plt.rcParams["font.family"] == ["sans-serif"]
    assert drawn("blast") == before


def test_characters_that_no_font_has_are_reported_once_and_not_by_matplotlib(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    boxes = SimpleNamespace(name="Last Resort", fname="boxes.ttf", style="normal", weight=400)
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [boxes])
    monkeypatch.setattr(font_manager, "findSystemFonts", list)
    figure_style.cover(NAMES)
    assert capsys.readouterr().err.startswith("warning: figures show boxes for \u5e38\u6b63, because no installed font")
    drawn(NAMES[0])


def test_an_installed_font_draws_what_the_first_one_lacks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fonts = {"plain.ttf": {"a"}, "bold.ttf": set(NAMES[0]), "some.ttf": set(NAMES[0]), "gone.ttf": set()}
    entries = [
        SimpleNamespace(name=file, fname=file, style="normal", weight=700 if file == "bold.ttf" else 400)
        for file in fonts
    ]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", entries)
    monkeypatch.setattr(font_manager, "findSystemFonts", list)
    monkeypatch.setattr(figure_style, "_characters", lambda font: fonts.get(font, set("abcdefghijklmnopqrstuvwxyz")))
    figure_style.cover(NAMES)
    assert plt.rcParams["font.family"] == ["sans-serif", "some.ttf"]
    assert capsys.readouterr().err == ""
