"""`wen results` in windows of usual widths."""

import pytest
from report_study import MakeStudy
from rich.console import Console

from wen.report import page, terminal


def test_no_number_is_cut_off_at_80_and_at_100_columns_in_either_language(
    make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    params, paths = make_study(report={"bootstrap": 200})
    page.run(params, paths)
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
