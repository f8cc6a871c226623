"""Resolve the ids of subjects to people.

Ids from a table, or from file names by a pattern, refer to the same person if they differ only in case, leading zeros,
punctuation, accents, Unicode form, the script of the digits, thousands marks or a prefix UID: UID_007, 7, '7, 7.0 and
7,0; P-3, P.3, P/3 and p03; 1a and 1 A; the wells A1 and A01; José and Jose; 1000, 1,000 and a spreadsheet's 1.0E+03.
Punctuation counts between two digits only: 1-2 is 1/2, but not 12. An ambiguous id, as 1.000, is each person that it
can mean: if the data have 1 and 1000, too, all three are one person.
`unite` uses the spelling of most images. A person may have cells of both classes.

C-NMC has the number of a person in the file names: UID_7_..._all, and with an H for a healthy donor, UID_H7_..._hem.
There, 7 and H7 are two people. Other data sets with such names use H for every HEM image, also of a patient with
blasts. Therefore:

- Leading zeros and the case of H do not matter: 007 is 7, h3 is H3.
- A HEM image may be named without H: UID_7_1_1_all and UID_7_2_1_hem show cells of the same person.
- 7 and H7 are two people if the data are C-NMC 2019 or a part of it: every subject is one of C-NMC's, in the folder
  where C-NMC has it. Otherwise they are one person. This is the safe choice: two people counted as one cannot leak
  between training and test, one person counted as two can. If they are two people, rename one of them.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
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
    "na", "#na", "<na>", "(na)", "nan", "none", "null", "unknown", "notknown", "notavailable", "anonymous", "missing",
    "#ref!", "#value!", "#name?", "tidakdiketahui", "tidakada",
)  # fmt: skip
"""Placeholders for an unknown subject, without separators. Taken as ids, they would be one person of all unknown cells.
"""

_THOUSANDS = re.compile(r"(?<![0-9])[1-9][0-9]{0,2}(?:[.,\u066c' \u2019][0-9]{3})+(?![0-9])")
_PUBLISHED = {(subject, source) for source, subjects in C_NMC.items() for subject in subjects.split()}


def number(written: str) -> str:
    """Normalise a subject's id: 007 becomes 7, h3 becomes H3."""
    digits = written.upper().removeprefix("H").lstrip("0") or "0"
    return f"H{digits}" if written.upper().startswith("H") else digits


def join(cells: Iterable[Cell]) -> list[Cell]:
    """Assign the cells of H7 to 7 where both are one person."""
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
    """Map the subject id of each image to one spelling per person, that of most images.

    Parameters
    ----------
    written : mapping
        Subject id of each image as the data spell it; empty if unknown.
    """
    from scipy.cluster.hierarchy import DisjointSet  # takes time to import, and a bundle without subjects needs none

    counts = Counter(text.strip() for text in written.values())
    texts = sorted(counts, key=lambda text: (-counts[text], text))
    people, first = DisjointSet(texts), dict[str, str]()
    for text in texts:
        for key in _keys(text):
            people.merge(first.setdefault(key, text), text)
    names: dict[str, str] = {}
    for text in texts:
        for spelling in people.subset(text):
            names.setdefault(spelling, text)
    return {image: names[text.strip()] for image, text in written.items()}


def is_unknown(written: str) -> bool:
    """Whether a subject id is a placeholder for an unknown subject, or has no letter or digit, like the dot of SAS."""
    return re.sub(r"[\s./_-]+", "", written.casefold()) in UNKNOWN or not any(map(str.isalnum, written))


def _keys(written: str) -> set[str]:
    """Normalise a subject id; spellings of one person share a key. Marks of thousands can be punctuation, too."""
    plain = re.sub("(?<=[A-Za-z])[\u0300-\u036f]+", "", unicodedata.normalize("NFKD", written))  # without accents
    text = "".join(map(_in_ascii, unicodedata.normalize("NFKC", plain).casefold())).strip()
    if number := re.fullmatch(r"'?([0-9]([.,][0-9]+)?e\+[0-9]{1,2})", text):  # a spreadsheet's way with long numbers
        text = f"{Decimal(number[1].replace(',', '.')):f}"
    return {_key(text), _key(_THOUSANDS.sub(lambda number: re.sub(r"\D", "", number[0]), text))}


def _key(text: str) -> str:
    written = re.sub(r"^(\D*[0-9]+)[.,\u066b]0+$", r"\1", text)
    text = "".join(" " if unicodedata.category(character)[0] in "PSZC" else character for character in written)
    text = re.sub(r"^uid(?=[ 0-9])", "", " ".join(text.split()))
    text = re.sub(r"(?<![0-9])0+(?=[0-9])", "", text)
    return re.sub(r"(?<![0-9]) | (?![0-9])", "", text)


def _in_ascii(character: str) -> str:
    """Replace a digit of any script by an ASCII digit, and a character that cannot be seen by nothing."""
    if unicodedata.category(character) == "Cf":
        return ""
    return str(unicodedata.decimal(character)) if character.isdecimal() else character


def summary(cells: list[Cell], written: Mapping[str, str]) -> dict[str, Any]:
    """List the people with cells of both classes and those with several ids, for metrics/dataset.json.

    Parameters
    ----------
    cells : list of Cell
    written : mapping
        Subject id of each cell as the data spell it, by the id of the cell.
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
    """Report the people of `summary`, for the user to check."""
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
    """Sort key that compares numbers by value and puts them before words: 7, 10, H3, H12."""
    parts = re.findall(r"[0-9]+|[^0-9]+", subject)
    return [(0, int(part), "") if part.isascii() and part.isdecimal() else (1, 0, part) for part in parts]
