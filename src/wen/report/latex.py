"""LaTeX tables that fit the page of a thesis: A4, margins of 4 cm and 3 cm, 12 pt.

They need booktabs and float, and longtable for long tables. Tables do not float but stay where the text includes them.
Captions and labels (``tab:wen-NAME``) are set.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from wen.report.typography import MINUS, POWER, UNBROKEN

LONG = 24
"""Number of rows beyond which a table may break over pages."""
SPACE = r"\par\vspace{6pt}"
"""Space between a caption and the rule below it; the class ``report`` has none."""
BREAK = "\N{ZERO WIDTH SPACE}"
"""Marks where a long word may be broken across lines."""
SPECIAL = {
    "η²": r"$\eta^2$", "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "|": r"\textbar{}", "Δ": r"$\Delta$", "Σ": r"$\Sigma$", "±": r"$\pm$", "\N{EN DASH}": "--",
    "<": r"\textless{}", ">": r"\textgreater{}", "²": r"\textsuperscript{2}",
    BREAK: r"\allowbreak{}",
} | {c: rf"\{c}" for c in "&%$#_{}"}  # fmt: skip
MATH = r"\$[A-Za-z]_[^$]+\$"
"""A formula in a text, such as $w_k$; any other dollar is one, as in the name of a class."""


@dataclass(frozen=True)
class Column:
    """A column: its heading and, if its text wraps, its width in cm; otherwise it is as wide as its content."""

    heading: str
    width: float | None = None


@dataclass(frozen=True)
class Cell:
    """A number, the small text below it (such as its interval), and whether it is the best of its column."""

    text: str
    below: str = ""
    best: bool = False


def latex(name: str, caption: str, columns: Sequence[Column], rows: Sequence[Sequence[str | Cell]]) -> str:
    """Write a table.

    Parameters
    ----------
    name : str
        Completes the label, ``tab:wen-NAME``.
    caption : str
    columns : sequence of Column
    rows : sequence of sequences
        As many cells as columns; an empty row is a rule between groups.
    """
    shape = "".join(f"p{{{column.width}cm}}" if column.width else "r" for column in columns)
    heading = " & ".join(_heading(column) for column in columns) + r" \\"
    body = [_row(row, columns) if row else r"\midrule" for row in rows]
    title = rf"\caption{{{escaped(caption)}}}\label{{tab:wen-{name}}}"
    size = r"\footnotesize\setlength{\tabcolsep}{3pt}"
    if len(rows) <= LONG:
        lines = [
            r"\begin{table}[H]", r"\centering" + size, title + SPACE, rf"\begin{{tabular}}{{@{{}}{shape}@{{}}}}",
            r"\toprule", heading, r"\midrule", *body, r"\bottomrule", r"\end{tabular}", r"\end{table}",
        ]  # fmt: skip
    else:
        lines = [
            r"\begingroup" + size + r"\setlength{\LTcapwidth}{\linewidth}",
            rf"\begin{{longtable}}{{@{{}}{shape}@{{}}}}", title + r"\\",
            r"\toprule", heading, r"\midrule", r"\endfirsthead",
            r"\toprule", heading, r"\midrule", r"\endhead", r"\bottomrule", r"\endfoot",
            *body, r"\end{longtable}", r"\endgroup",
        ]  # fmt: skip
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Escape text for LaTeX; 1e-05 becomes a power of ten, Inter-LR stays on one line, and `MATH` is kept."""
    return re.sub("|".join((MATH, POWER, MINUS, UNBROKEN, *map(re.escape, SPECIAL))), _replaced, text)


def _replaced(match: re.Match[str]) -> str:
    text = match[0]
    if text.startswith("$") and len(text) > 1:
        return text
    if re.fullmatch(UNBROKEN, text):
        return rf"\mbox{{{text}}}"
    if power := re.fullmatch(POWER, text):
        factor = "" if power[1] == "1" else rf"{power[1]} \cdot "
        return rf"${factor}10^{{-{int(power[2])}}}$"
    return "$-$" if text == "-" else SPECIAL[text]


def _heading(column: Column) -> str:
    """Stack the words of a numeric column's heading, to keep the column narrow."""
    if column.width:
        return escaped(column.heading)
    words = r"\\".join(map(escaped, column.heading.split(" ")))
    return rf"\multicolumn{{1}}{{c}}{{\begin{{tabular}}[t]{{@{{}}c@{{}}}}{words}\end{{tabular}}}}"


def _row(cells: Sequence[str | Cell], columns: Sequence[Column]) -> str:
    ragged = [r"\raggedright " if column.width else "" for column in columns]
    return " & ".join(begin + _cell(cell) for begin, cell in zip(ragged, cells, strict=True)) + r" \\"


def _cell(cell: str | Cell) -> str:
    if isinstance(cell, str):
        return escaped(cell)
    text = escaped(cell.text)
    bold = rf"\textbf{{{text}}}" if cell.best else text
    if not cell.below:
        return bold
    return rf"\begin{{tabular}}[t]{{@{{}}r@{{}}}}{bold}\\[-3pt]{{\tiny {escaped(cell.below)}}}\end{{tabular}}"
