"""Who is one person: the ids of subjects, and people with cells of both classes.

Of a table, or of names with a pattern, ids that differ only in case, in zeros before a number, in what separates words,
in how Unicode writes a character or in UID before them are of one person: UID_007, 7 and 7.0; P-3 and p03. `unite`
calls a person by the spelling that most images have. A person may have cells of both classes.

C-NMC writes a person's number in the names of the images: UID_7_..._all, and with an H before it for a healthy donor,
UID_H7_..._hem. There, 7 and H7 are two people. Other data sets with such names use H for every HEM image, also of a
patient with blasts. So:

- Leading zeros and the case of H do not matter: 007 is 7, h3 is H3.
- A HEM image may be named without H: UID_7_1_1_all and UID_7_2_1_hem show the same person's cells.
- 7 and H7 are two people if every subject of the data is one of C-NMC 2019's, in the folder where C-NMC has it: in the
  data set itself, and in any part of it. Elsewhere they are one person. Two people counted as one never leak; one
  counted as two does. If they are two after all, give one of them another number.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from wen.data.cell import Cell
from wen.data.folder import some

C_NMC = {
    "fold_0": "1 3 4 5 11 14 15 17 19 20 22 26 28 35 43 45 48 50 52 H6 H7 H11 H12 H15 H16 H17 H19 H24",
    "fold_1": "2 16 23 30 32 33 34 38 44 46 51 H10 H14 H22",
    "fold_2": "13 18 21 24 25 27 31 36 37 47 49 67 68 72 74 75 78 H1 H2 H3 H4 H5 H8 H9 H13 H18 H20 H23 H40 H46 H48",
    "preliminary": "53 54 55 57 58 59 60 61 62 63 64 65 66 H25 H26 H27 H28 H29 H30 H31 H32 H33 H34 H35 H36 H39 H49 H50",
}
"""The 101 subjects of C-NMC 2019's labelled images, by folder."""

UNKNOWN = (
    "na", "n/a", "n.a.", "#n/a", "<na>", "nan", "none", "null", "unknown", "not known", "not available", "anonymous",
    "?", "", "missing", "tidak diketahui",
)  # fmt: skip
"""Subjects that are none: were they a person's name, all cells of unknown people would be of one."""

_PUBLISHED = {(subject, source) for source, subjects in C_NMC.items() for subject in subjects.split()}


def number(written: str) -> str:
    """Normalise a subject's id: 007 becomes 7, h3 becomes H3."""
    digits = written.upper().removeprefix("H").lstrip("0") or "0"
    return f"H{digits}" if written.upper().startswith("H") else digits


def join(cells: Iterable[Cell]) -> list[Cell]:
    """Give H7's cells to 7 where they are one person."""
    cells = list(cells)
    if all((cell.subject, cell.source) in _PUBLISHED for cell in cells):
        return cells
    subjects = {cell.subject for cell in cells}
    return [
        replace(cell, subject=cell.subject[1:])
        if cell.subject.startswith("H") and cell.subject[1:] in subjects
        else cell
        for cell in cells
    ]


def of_both_classes(cells: Iterable[Cell]) -> list[str]:
    """List the people who have cells of both classes."""
    labels = defaultdict(set)
    for cell in cells:
        if cell.subject:
            labels[cell.subject].add(cell.label)
    return sorted((subject for subject in labels if len(labels[subject]) > 1), key=_order)


def unite(written: Mapping[str, str]) -> dict[str, str]:
    """Give each image its subject: one for all ids that are of one person, as most of the images have it.

    Parameters
    ----------
    written : mapping
        Each image's id of its subject, as the data have it; empty where it is not known.
    """
    counts = Counter(text.strip() for text in written.values())
    names: dict[str, str] = {}
    for text in sorted(counts, key=lambda text: (-counts[text], text)):
        names.setdefault(_key(text), text)
    return {image: names[_key(text)] for image, text in written.items()}


def is_unknown(written: str) -> bool:
    """Whether what stands for a subject's id says that it is not known."""
    return " ".join(written.casefold().split()) in UNKNOWN or not _key(written)


def _key(written: str) -> str:
    """What is equal for ids of one person."""
    text = re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", written).casefold()).strip()
    text = re.sub(r"^uid ", "", re.sub(r"^([0-9]+)\.0+$", r"\1", text))
    text = re.sub(r"(?<![0-9])0+(?=[0-9])", "", text)
    return re.sub(r"(?<=[a-z]) (?=[0-9])", "", text)


def summary(cells: list[Cell], written: Mapping[str, str]) -> dict[str, Any]:
    """Describe, for metrics/dataset.json, who counts as one person though classes or names differ.

    Parameters
    ----------
    cells : list of Cell
    written : mapping
        By a cell's id, its subject's id as the data have it.
    """
    spellings = defaultdict(set)
    for cell in cells:
        spellings[cell.subject].add(written[cell.id])
    several = {subject: sorted(spellings[subject]) for subject in sorted(spellings, key=_order)}
    return {
        "of_both_classes": of_both_classes(cells),
        "with_several_ids": {subject: names for subject, names in several.items() if len(names) > 1},
    }


def remarks(about: Mapping[str, Any]) -> list[str]:
    """Say who counts as one person though classes or names differ, by `summary`."""
    lines = []
    if both := about["of_both_classes"]:
        lines.append(f"people with cells of both classes, each counted as one person ({len(both):,}): {some(both)}")
    if several := [f"{' and '.join(names)} ({subject})" for subject, names in about["with_several_ids"].items()]:
        lines.append(
            f"people with several ids, each counted as one person ({len(several):,}): {some(several)}; if two of "
            "them are different people, give one another number"
        )
    return lines


def _order(subject: str) -> list[tuple[int, int, str]]:
    """Numbers by their size, and before words: 7, 10, H3, H12."""
    parts = re.findall(r"[0-9]+|[^0-9]+", subject)
    return [(0, int(part), "") if part.isascii() and part.isdecimal() else (1, 0, part) for part in parts]
