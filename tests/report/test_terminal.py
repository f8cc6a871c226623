"""`wen results` in windows of usual widths."""

import pytest
from report_study import MakeStudy, PageOf
from rich.console import Console

from wen.report import page, terminal


def test_no_number_is_cut_off_at_80_and_at_100_columns_in_either_language(
    page_of: PageOf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    params, paths = page_of()
    capsys.readouterr()
    for language, mean in (("en", "mean ± sd"), ("id", "rata-rata ± sb")):
        spoken = params.model_copy(update={"report": params.report.model_copy(update={"language": language})})
        for width in (80, 100):
            monkeypatch.setattr(terminal, "Console", lambda **_: Console(width=width, highlight=False))  # noqa: B023
            terminal.run(spoken, paths)
            lines = capsys.readouterr().out.splitlines()
            assert not [line for line in lines if "…" in line]
            assert max(len(line.rstrip()) for line in lines if "index.html" not in line) <= width
            assert len([line for line in lines if mean in line]) == 5
            table = [line for line in lines if "fold 0" in line]
            assert len(table) == len(set(table)) == 5
            assert all(len(line.split()[-1]) == 5 for line in table)


def test_every_learning_rate_has_a_champion_marked_also_one_that_is_not_in_the_grid(
    make_study: MakeStudy, capsys: pytest.CaptureFixture[str]
) -> None:
    params, paths = make_study(lr=0.0005, ensemble="single", reading="as_written")
    page.run(params, paths)
    capsys.readouterr()
    terminal.run(params, paths)
    printed = capsys.readouterr().out
    marked = [line.split(", fold")[0] for line in printed.splitlines() if ", fold" in line and " * " in line]
    assert sorted(marked) == ["LR 1e-3", "LR 1e-4", "LR 1e-5", "LR 5e-4"]
    headline = printed.split("Headline, ")[1].split(":")[0]
    assert f"{headline} * " in printed
