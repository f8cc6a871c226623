"""The simulations of docs/STATISTICS.md run with the code that they measure, and print each of its rows."""

import re
from pathlib import Path

import learning_rates
import nulls
import pytest

STATISTICS = (Path(__file__).parents[2] / "docs/STATISTICS.md").read_text(encoding="utf-8")


def rows(text: str) -> list[str]:
    return re.findall(r"^\| ([^|\n]+?) \|", text, re.MULTILINE)


def test_error_power_and_coverage_are_simulated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(nulls, "TEST_SETS", {"60 images": [1] * 60, "7 people": [9, 4, 12, 6, 5, 8, 7]})
    monkeypatch.setattr(nulls, "EACH", 1)
    for table in (nulls.errors, nulls.power, nulls.power_of_all_schemes, nulls.coverages):
        table(1)
    printed = rows(capsys.readouterr().out)
    assert len(printed) == 6 + 4 + 4 + 2 + 9 + 9
    assert set(printed) <= set(rows(STATISTICS))


def test_h1_is_simulated(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(learning_rates, "IMAGES", (60,))
    learning_rates.verdicts(1)
    learning_rates.power(1)
    assert rows(capsys.readouterr().out).count("0.4") == 3
