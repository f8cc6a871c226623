"""The chapter as LaTeX: chapter4.tex for a thesis, and main.tex to compile it alone."""

import re
from collections.abc import Sequence

from wen.report.blocks import REFERENCE, Block, Heading, Note, Paragraph, Placed
from wen.report.language import Text
from wen.report.latex import escaped

LABEL = {"tab": "tab:wen-", "fig": "fig:wen-"}
MAIN = r"""\documentclass[12pt,a4paper]{report}
\usepackage[left=4cm,right=3cm,top=4cm,bottom=3cm]{geometry}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{graphicx,booktabs,longtable,float} % \usepackage{mathptmx} gives Times
LANGUAGE\setlength{\emergencystretch}{3em}
\begin{document}
\setcounter{chapter}{3}
\input{chapter4}
\end{document}
"""
LANGUAGE = {
    "en": "",
    "id": r"""\renewcommand{\chaptername}{BAB}
\renewcommand{\tablename}{Tabel}
\renewcommand{\figurename}{Gambar}
""",
}


def document(t: Text) -> str:
    """Write main.tex: a document with the page layout of a thesis that contains only the chapter."""
    return MAIN.replace("LANGUAGE", LANGUAGE[t.language])


def chapter(blocks: Sequence[Block], draft: str, t: Text) -> str:
    r"""Write chapter4.tex; the macro ``\wen`` is the folder of tables/ and figures/."""
    title = escaped(t("chapter.title"))
    head = [f"% {draft}", r"\providecommand{\wen}{.}", rf"\chapter{{{title}}}"]
    return "\n\n".join(["\n".join(head), *map(_block, blocks)]) + "\n"


def _block(block: Block) -> str:
    match block:
        case Heading(text):
            return rf"\section{{{escaped(text)}}}"
        case Paragraph(text):
            return _referring(text)
        case Note(text):
            return f"% {text}"
        case Placed(kind="tab"):
            return rf"\input{{\wen/tables/{block.name}}}"
        case Placed():
            return _figure(block)


def _figure(block: Placed) -> str:
    return "\n".join(
        [
            r"\begin{figure}[H]",
            r"\centering",
            rf"\includegraphics[width={block.width:.2f}cm]{{\wen/figures/{block.name}.pdf}}",
            rf"\caption{{{escaped(block.caption)}}}\label{{{LABEL['fig']}{block.name}}}",
            r"\end{figure}",
        ]
    )


def _referring(text: str) -> str:
    return re.sub(rf" {REFERENCE}", lambda match: rf"~\ref{{{LABEL[match[1]]}{match[2]}}}", escaped(text))
