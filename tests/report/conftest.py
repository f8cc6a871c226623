from collections.abc import Iterator

import pytest
from report_study import make_study

from wen.report import drawing

__all__ = ["make_study"]
FORMATS = drawing.FORMATS


@pytest.fixture(scope="session", autouse=True)
def the_page_alone() -> Iterator[None]:
    """Draw what the page needs: test_drawing and the pipeline's tests draw the other formats."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "FORMATS", ("svg",))
        yield


@pytest.fixture
def all_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "FORMATS", FORMATS)
