from types import SimpleNamespace
from typing import Any

import pytest

from wen.cluster import connect
from wen.errors import WenError


@pytest.mark.parametrize(("said", "tries"), [("Starting Ray client server failed", 2), ("nobody there", 1)])
def test_a_head_that_fails_to_start_its_server_is_asked_once_more(
    monkeypatch: pytest.MonkeyPatch, said: str, tries: int
) -> None:
    asked: list[str] = []

    def init(address: str, **_: Any) -> None:
        asked.append(address)
        raise ConnectionError(said)

    monkeypatch.setattr(connect, "installed", lambda: SimpleNamespace(init=init))
    with pytest.raises(WenError, match=said), connect.connected("ray://head:10001"):
        pass
    assert asked == tries * ["ray://head:10001"]
