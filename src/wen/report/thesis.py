"""The chapter as LaTeX: chapter4.tex for a thesis, and main.tex to compile it alone."""

import re
from collections.abc import Sequence
from unicodedata import category

from wen.report.blocks import REFERENCE, Block, Heading, Note, Paragraph, Placed
from wen.report.language import Text
from wen.report.latex import escaped

LABEL = {"tab": "tab:wen-", "fig": "fig:wen-"}
MAIN = r"""\documentclass[12pt,a4paper]{report}
\usepackage[left=4cm,right=3cm,top=4cm,bottom=3cm]{geometry}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{graphicx,booktabs,longtable,float} % \usepackage{mathptmx} gives Times
LANGUAGECHARACTERS\setlength{\emergencystretch}{3em}
\begin{document}
\setcounter{chapter}{3}
\input{chapter4}
\end{document}
"""
LATIN = "\u024f"
"""The last letter that pdflatex has in its fonts."""
NO_FONT = "% pdflatex has no font for these characters of the names of the classes, and shows their numbers.\n"
LANGUAGE = {
    "en": "",
    "id": r"""\renewcommand{\chaptername}{BAB}
\renewcommand{\tablename}{Tabel}
\renewcommand{\figurename}{Gambar}
""",
}


def document(t: Text) -> str:
    """Write main.tex: a document with the page layout of a thesis that contains only the chapter."""
    strange = {character for character in "".join(t.classes) if character > LATIN and category(character)[0] != "P"}
    codes = [f"{ord(character):04X}" for character in sorted(strange)]
    shown = "".join(rf"\DeclareUnicodeCharacter{{{code}}}{{[U+{code}]}}" + "\n" for code in codes)
    main = MAIN.replace("LANGUAGE", LANGUAGE[t.language])
    return main.replace("CHARACTERS", NO_FONT + shown if shown else "")


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
