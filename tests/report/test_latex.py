import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_study import MakeStudy

from wen.report import page
from wen.report.latex import LONG, Cell, Column, escaped, latex

THESIS = r"""\documentclass[12pt,a4paper]{article}
\usepackage[left=4cm,right=3cm,top=4cm,bottom=3cm]{geometry}
\usepackage[T1]{fontenc}
\usepackage{booktabs,longtable,float}
\begin{document}
%s
\end{document}
"""


def test_text_is_escaped_and_a_rate_is_a_power_of_ten() -> None:
    assert escaped("LR 1e-05, f1 & 50%") == r"LR $10^{-5}$, f1 \& 50\%"
    assert escaped("3e-04 (leak_free)") == r"$3 \cdot 10^{-4}$ (leak\_free)"
    assert escaped("-2,6, +14,6; Inter-LR") == r"$-$2,6, +14,6; \mbox{Inter-LR}"
    assert escaped("η² of $w_k$, 0,5 \N{EN DASH} 0,9") == r"$\eta^2$ of $w_k$, 0,5 -- 0,9"


@given(st.text(alphabet="ab&%#_{}~^|<>\\ "))
def test_every_special_character_of_latex_is_escaped(text: str) -> None:
    found = re.sub(r"\\text\w+\{\}|\\[&%#_{}]", "", escaped(text))
    assert not set(found) & set("&%#_{}~^|<>\\")


def test_a_table_has_rules_a_caption_and_a_label_and_breaks_over_pages_only_if_long() -> None:
    columns = [Column("model", 3), Column("accuracy")]
    rows = [["one", Cell("0.5", "0.4, 0.6", best=True)], [], ["two", Cell("0.4")]]
    short = latex("single", "Single models.", columns, rows)
    for part in (r"\toprule", r"\midrule", r"\bottomrule", r"\caption{Single models.}", r"\label{tab:wen-single}",
                 r"\textbf{0.5}", r"\tiny 0.4, 0.6"):  # fmt: skip
        assert part in short
    assert "longtable" not in short
    assert "longtable" in latex("single", "Single models.", columns, [["one", "1"]] * (LONG + 1))


@pytest.mark.parametrize("language", ["en", "id"])
@pytest.mark.parametrize("skill", [1.0, 0.0])  # without skill, intervals of kappa begin below 0
def test_every_table_fits_between_the_margins_of_a_thesis(
    make_study: MakeStudy, tmp_path: Path, language: str, skill: float
) -> None:
    compiler = shutil.which("pdflatex")
    if not compiler:
        pytest.skip("pdflatex is not installed")
    systems = {"baby2022": {"networks": ["tf_efficientnet_lite0"]}, "mondal2021": {}, "muntasa2024": {}}
    params, paths = make_study(skill=skill, report={"language": language}, systems=systems)
    page.run(params, paths)
    tables = sorted((paths.report / "tables").glob("*.tex"))
    (tmp_path / "all.tex").write_text(THESIS % "\n".join(table.read_text() for table in tables))
    command = [compiler, "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    for _ in range(2):  # longtable finds its widths in the second run
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:]
    wide = re.findall(r"Overfull .hbox \((\d+)\.\d+pt too wide\)", (tmp_path / "all.log").read_text())
    assert [points for points in wide if int(points) > 0] == []
