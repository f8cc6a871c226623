"""Progress bars of loops."""

import pytest

from wen.bar import track


def test_items_pass_in_order_and_nothing_is_printed_where_there_is_no_terminal(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert list(track(iter("abc"), "reading", 3)) == ["a", "b", "c"]
    assert capfd.readouterr() == ("", "")


def test_a_terminal_shows_the_title_on_standard_error(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes any output for a terminal
    list(track("abc", "reading"))
    output = capfd.readouterr()
    assert output.out == ""
    assert "reading" in output.err
