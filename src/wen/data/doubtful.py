"""Warnings about accepted images and tables of a laboratory that may not be what they seem."""

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from wen.data import csv_file, people
from wen.data.folder import some
from wen.data.readers.class_folders import PART
from wen.data.readers.labels import normal

MASK = re.compile(
    r"(?<![^\W_])(masks?|segmentations?|gt|ground[\W_]*truths?|annotations?|overlays?|contours?)(?![^\W_])",
    re.IGNORECASE,
)
"""In the path of an image, a word that says that it was drawn."""
VERSION = re.compile(
    r"[ _-]*(?<![^\W_])(originals?|seg(ment(ed)?)?|aug(ment(ed|ation)?)?|[hv]?flip(ped)?|mirror(ed)?|rot(at(ed|ion))?|"
    r"thumb(nail)?s?|previews?|resized)([ _-]*[0-9]+)?(?![^\W_])",
    re.IGNORECASE,
)
"""In the path of an image, a word that says which version of a cell it is."""
PLACES = ("hospital", "site", "centre", "center", "clinic", "institution", "institute", "laboratory", "rumah sakit")
"""Names of columns of places that may each number their patients from 1."""


def warn_of_drawings(names: Sequence[str]) -> None:
    """Warn of images that may be drawings of other images, which would be studied as cells."""
    by_stem = defaultdict(list)
    for name in names:
        by_stem[name.rpartition(".")[0]].append(name)
    masks = [name for name in names if MASK.search(name)]
    twins = [name for alike in by_stem.values() if len(alike) > 1 for name in alike]
    _warn_of_versions([name for name in names if not MASK.search(name)])
    for found, what in ((masks, "named like masks"), (twins, "of the same names except for the ending")):
        if found:
            print(
                f"warning: images {what} ({len(found):,}): {some(found)}; move away those that show no "
                "cell, because they would be studied as cells",
                file=sys.stderr,
            )


def _warn_of_versions(names: Sequence[str]) -> None:
    """Warn of images whose paths differ only in words such as original, segmented, augmented or thumbs."""
    versions = defaultdict(list)
    for name in names:
        plain = PurePosixPath(VERSION.sub("", name.rpartition(".")[0]))  # without a folder such as thumbs, too
        versions[str(plain)].append(name)
    if several := [alike for alike in versions.values() if len({name.rpartition(".")[0] for name in alike}) > 1]:
        print(
            "warning: original, segmented, augmented or reduced versions of one image by their names "
            f"({len(several):,}): {some([' and '.join(alike[:2]) for alike in several])}; keep one version of each, "
            "because they show the same cell",
            file=sys.stderr,
        )


def warn_of_reversed(negative: str, positive: str) -> None:
    """Warn that the positive class, as the user gave it, is not the one whose name is that of a disease."""
    print(
        f"warning: {positive} is the positive class, as given, although {negative} is named like one; precision, "
        f"recall and probabilities are then those of {positive}. If that is not intended, exchange the two",
        file=sys.stderr,
    )


def warn_of_parts(names: Sequence[str]) -> None:
    """Warn of folders that divide the images, such as train and test, because the study divides them itself."""
    counts = Counter(part for name in names for part in PurePosixPath(name).parts[:-1])
    parts = {
        part: match["part"] for part in sorted(counts) if (match := PART.fullmatch(normal(part))) and match["part"]
    }
    if len(set(parts.values())) > 1:
        folders = ", ".join(f"{part} ({counts[part]:,})" for part in parts)
        print(
            f"warning: the images are in folders {folders}, and this division is not used; to use it, name a CSV with "
            "the part of each image in split.test",
            file=sys.stderr,
        )


def warn_of_roles_and_ids(table: str, content: csv_file.Table, columns: Mapping[str, str], pattern: str | None) -> None:
    """Warn of roles that no column of a table has, and of ids that may belong to several people.

    Parameters
    ----------
    table : str
        The name of the table, for the messages.
    content : Table
    columns : mapping of str to str
        The column of each role that was found.
    pattern : str, optional
        Regular expression that finds the subject in an image's path.
    """
    unused = [column for column in content.columns if column and column not in columns.values()]
    for role in ("label", "subject"):
        if role not in columns and unused and not (role == "subject" and pattern):
            print(f"{table}: no column names the {role}; if one of these does, rename it to {role}: {some(unused)}")
    if "subject" not in columns:
        return
    written = content.values(columns["subject"])
    person_of = people.unite({str(row): person for row, person in enumerate(written)})
    for place in [column for column in content.columns if normal(column) in PLACES]:
        seen: dict[str, set[str]] = defaultdict(set)
        for person, value in zip(person_of.values(), content.values(place), strict=True):
            seen[person].add(normal(value))
        if several := [person for person in seen if person and len(seen[person]) > 1]:
            print(
                f"warning: {table}: the same {columns['subject']} with several values of {place}, counted as one "
                f"person ({len(several):,}): {some(several)}; if they are different people, write the {place} into "
                "their ids",
                file=sys.stderr,
            )
    if rounded := [person for person in written if _is_rounded(person)]:
        print(
            f"warning: {table}: {rounded[0]} is a rounded number, so different people may be written alike; show all "
            "its digits in the spreadsheet, and save the table again",
            file=sys.stderr,
        )


def _is_rounded(text: str) -> bool:
    """Whether a spreadsheet wrote a number with fewer digits than it has, such as 1.23E+11."""
    found = re.fullmatch(r"[0-9](?:[.,]([0-9]+))?E\+([0-9]+)", text, re.IGNORECASE)
    return found is not None and len(found[1] or "") < int(found[2])
