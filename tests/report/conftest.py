from collections.abc import Iterator
from functools import partial

import pytest
from jinja2 import Environment, FileSystemBytecodeCache
from report_study import make_study, page_of, written_once

from wen.report import drawing, page, typography, word

__all__ = ["make_study", "page_of", "written_once"]
FORMATS, RENDER, TYPESET = drawing.FORMATS, drawing.render, drawing._typeset


def _empty(*_: object) -> bytes:
    return b"<svg></svg>"


@pytest.fixture(scope="module", autouse=True)
def _the_page_alone(request: pytest.FixtureRequest) -> Iterator[None]:
    """Draw figures for the page alone where a module says `DRAWN`, and elsewhere leave them empty.

    To draw them takes half of a page's time, and most modules read what stands around them. test_drawing and the
    pipeline's tests draw all formats. The page is typeset where a module says `TYPESET`: others quote its plain texts.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "FORMATS", ("svg",))
        if not getattr(request.module, "DRAWN", False):
            patch.setattr(drawing, "render", _empty)
            patch.setattr(drawing, "_typeset", _empty)
        if not getattr(request.module, "TYPESET", False):
            patch.setattr(typography, "page", str)
        patch.setattr(word, "picture", _empty)
        yield


@pytest.fixture(scope="session", autouse=True)
def _templates_compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        cache = FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))
        for module in (page, word):
            patch.setattr(module, "Environment", partial(Environment, bytecode_cache=cache))
        yield


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw figures in a module that leaves them empty."""
    monkeypatch.setattr(drawing, "render", RENDER)
    monkeypatch.setattr(drawing, "_typeset", TYPESET)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave figures empty in a module that draws them."""
    monkeypatch.setattr(drawing, "render", _empty)
    monkeypatch.setattr(drawing, "_typeset", _empty)


@pytest.fixture
def all_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "FORMATS", FORMATS)
