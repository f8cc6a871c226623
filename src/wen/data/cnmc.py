"""The layouts of C-NMC 2019 as TCIA and Kaggle give them: which files are which cells.

Both have ``fold_{0,1,2}/{all,hem}/UID_*.bmp`` for training and a folder of numbered images with a
label CSV for the preliminary test set; they differ in the folders around these, and a copy may nest
a folder once more. So a file is recognised by the names of the folders above it, at any depth.
"""

import csv
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wen.data import folder, people
from wen.data.cell import Cell
from wen.data.folder import ARCHIVE, DOCUMENT, IMAGE, in_litter, is_litter, some

PRELIMINARY = "C-NMC_test_prelim_phase_data"
LABELS_CSV = "C-NMC_test_prelim_phase_data_labels.csv"
COLUMNS = ("Patient_ID", "new_names", "labels")
FINAL = "C-NMC_test_final_phase_data"
PUBLISHED = {
    "training ALL": 7272,
    "training HEM": 3389,
    "preliminary ALL": 1219,
    "preliminary HEM": 648,
}

_NAME = re.compile(r"UID_(?P<subject>H?[0-9]+)_[0-9]+_[0-9]+_(?P<cls>all|hem)", re.IGNORECASE | re.ASCII)
_NUMBERED = re.compile(r"[0-9]+\.bmp")


@dataclass(frozen=True)
class Listing:
    """What a folder holds, which labelled images it lacks, and what is wrong with it."""

    cells: list[Cell]
    final: list[Path]
    missing: list[str]
    problems: list[str]
    not_read: dict[str, dict[str, Any]]
    """For each kind of file that is not read ``count`` and ``examples``, see `wen.data.folder.tally`."""

    @property
    def left_out(self) -> list[str]:
        """Say which files are not read and which images are missing."""
        kinds = [
            f"{kind} ({found['count']:,}): {some(found['examples'], found['count'])}"
            for kind, found in self.not_read.items()
        ]
        lines = [f"not read: {'; '.join(kinds)}. Cells are read from BMP files alone"] if kinds else []
        if self.missing:
            lines.append(f"preliminary images labelled but missing ({len(self.missing):,}): {some(self.missing)}")
        return lines


def read(root: Path) -> Listing:
    """List the cells under ``root`` by their names, without opening an image.

    Parameters
    ----------
    root : Path
        Any folder that holds C-NMC in one of its layouts.

    Returns
    -------
    Listing
        Cells sorted by id, their subjects as `wen.data.people` tells them apart; unlabelled images of the final set;
        names of preliminary images that are labelled but missing; problems, each with its file: misnamed, unlabelled,
        doubly labelled; and what was not read.
    """
    paths, problems = folder.files(root)
    files = _Files(problems)
    for path in paths:
        _sort(path, path.relative_to(root), files)
    cells, preliminary, csvs = files.cells, files.preliminary, files.csvs
    labels, label_problems = _read_labels(csvs)
    problems += _outside(files.outside) + label_problems
    if preliminary and not csvs:
        problems.append(f"{root}: no {LABELS_CSV}, so {len(preliminary)} preliminary images are unlabelled")
    for name, path in preliminary.items():
        if name in labels:
            cells.append(Cell(path=path, source="preliminary", **labels[name]))
        elif csvs:
            problems.append(f"{path}: unlabelled, {csvs[0]} has no row for it")
    return Listing(
        cells=sorted(people.join(cells), key=lambda cell: cell.id),
        final=files.final,
        missing=sorted(set(labels) - set(preliminary)),
        problems=problems + _listed_twice(cells),
        not_read=folder.tally(files.not_read),
    )


def incomplete(cells: list[Cell]) -> list[str]:
    """Say how the counts differ from the published ones; empty if they do not."""
    found = dict.fromkeys(PUBLISHED, 0)
    for cell in cells:
        part = "preliminary" if cell.source == "preliminary" else "training"
        found[f"{part} {'ALL' if cell.label else 'HEM'}"] += 1
    without = [cell.path.name for cell in cells if not cell.label and not cell.id.split("_")[1].upper().startswith("H")]
    unlike = (
        [f"HEM images without H in their names: {len(without):,} of 0 published ({some(without)})"] if without else []
    )
    return unlike + [
        f"{part}: {found[part]:,} of {published:,} images"
        + (f", {published - found[part]:,} missing" if found[part] < published else "")
        for part, published in PUBLISHED.items()
        if found[part] != published
    ]


def parse_name(stem: str) -> tuple[str, int] | None:
    """Read subject and label from a name like UID_H3_12_1_hem; None if it is not such a name.

    The subject is normalised (`wen.data.people.number`) and keeps its H, which marks healthy donors. A HEM image may
    lack the H, as of a person who has blasts, too; an ALL image with H is misnamed.
    """
    match = _NAME.fullmatch(stem)
    if match is None:
        return None
    subject, label = people.number(match["subject"]), int(match["cls"].lower() == "all")
    return None if label and subject.startswith("H") else (subject, label)


@dataclass
class _Files:
    """The files of a folder, sorted by what their names and folders say they are."""

    problems: list[str]
    cells: list[Cell] = field(default_factory=list)
    preliminary: dict[str, Path] = field(default_factory=dict)
    final: list[Path] = field(default_factory=list)
    csvs: list[Path] = field(default_factory=list)
    outside: list[Path] = field(default_factory=list)
    not_read: list[tuple[str, str]] = field(default_factory=list)


def _sort(path: Path, within: Path, files: _Files) -> None:
    folders = [part.lower() for part in within.parts[:-1]]
    ending = path.suffix.lower()
    if is_litter(within):
        if in_litter(within) and not path.name.startswith("._") and (ARCHIVE.fullmatch(ending) or ending == ".bmp"):
            files.not_read.append(("files in folders of a system or program", str(within)))
    elif not str(path).isprintable():
        files.problems.append(f"{str(path)!r}: an unprintable character in its name")
    elif path.name.lower() == LABELS_CSV.lower():
        files.csvs.append(path)
    elif DOCUMENT.fullmatch(ending) and not path.name.upper().startswith("UID_"):
        files.not_read.append((folder.kind(path), str(within)))
    elif any(re.fullmatch(r"fold_[012]", part) for part in folders):
        cell = _training_cell(path, folders)
        files.cells.append(cell) if isinstance(cell, Cell) else files.problems.append(cell)
    elif PRELIMINARY.lower() in folders or FINAL.lower() in folders:
        _sort_numbered(path, folders, files)
    elif ending == ".bmp":
        files.outside.append(path)
    else:
        files.not_read.append((folder.kind(path), str(within)))


def _sort_numbered(path: Path, folders: list[str], files: _Files) -> None:
    name = path.name.lower()
    if not _NUMBERED.fullmatch(name):
        files.problems.append(f"{path}: misnamed, expected a number like 17.bmp{_hint(path)}")
    elif FINAL.lower() in folders:
        files.final.append(path)
    elif name in files.preliminary:
        files.problems.append(f"{path}: a second {name}, the other is {files.preliminary[name]}")
    else:
        files.preliminary[name] = path


def _training_cell(path: Path, folders: list[str]) -> Cell | str:
    parsed = parse_name(path.stem)
    if parsed is None or path.suffix.lower() != ".bmp":
        return f"{path}: misnamed, expected UID_<subject>_<image>_<cell>_all.bmp or UID_H<...>_hem.bmp{_hint(path)}"
    subject, label = parsed
    if folders[-1] != ("all" if label else "hem"):
        return f"{path}: misnamed or misplaced, its name and its folder give different classes"
    fold = next(folder for folder in reversed(folders) if folder.startswith("fold_"))
    return Cell(path.stem, path, label, subject, fold)


def _hint(path: Path) -> str:
    """The cause, where the ending shows it."""
    ending = path.suffix.lower()
    if ARCHIVE.fullmatch(ending):
        return "; an archive has to be unpacked"
    return f"; only BMP is read, not {ending}" if ending != ".bmp" and IMAGE.fullmatch(ending) else ""


def _outside(paths: list[Path]) -> list[str]:
    """A line for each folder with images that belong to no part of C-NMC."""
    by_folder = defaultdict(list)
    for path in paths:
        by_folder[path.parent].append(path)
    known = f"outside fold_0..2, {PRELIMINARY} and {FINAL}"
    return [
        f"{inside[0]}: {known}" if len(inside) == 1
        else f"{place}: {len(inside):,} images {known}: {some([path.name for path in inside])}"
        for place, inside in by_folder.items()
    ]  # fmt: skip


def _read_labels(csvs: list[Path]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Map 17.bmp to id, subject and label by the preliminary set's CSV; copies of it must be equal."""
    if not csvs:
        return {}, []
    path = csvs[0]
    if any(other.read_bytes() != path.read_bytes() for other in csvs[1:]):
        return {}, [f"{path}: differs from {', '.join(map(str, csvs[1:]))}"]
    try:
        header, *rows = csv.reader(path.read_text(encoding="utf-8-sig").splitlines() or [""])
    except (UnicodeDecodeError, csv.Error) as error:
        return {}, [f"{path}: not a CSV in UTF-8 ({error})"]
    columns = [name.strip() for name in header]
    if sorted(columns) != sorted(COLUMNS):
        return {}, [f"{path}: columns {','.join(columns)}; expected {','.join(COLUMNS)}"]
    order = [columns.index(name) for name in COLUMNS]
    labels: dict[str, dict[str, Any]] = {}
    problems = []
    for line, row in enumerate(rows, start=2):
        if not any(value.strip() for value in row):
            continue  # a spreadsheet leaves blank rows
        if len(row) != len(columns):
            problems.append(f"{path}:{line}: {len(row)} values, expected {len(columns)}")
            continue
        stem, name, label = (row[place].strip() for place in order)
        stem, name = re.sub(r"\.bmp$", "", stem, flags=re.IGNORECASE), name.lower()
        parsed = parse_name(stem)
        if parsed is None or not _NUMBERED.fullmatch(name) or label not in ("0", "1"):
            problems.append(f"{path}:{line}: not a valid row: {stem},{name},{label}")
        elif parsed[1] != int(label):
            problems.append(f"{path}:{line}: {stem} is labelled {label} against its name")
        elif name in labels:
            problems.append(f"{path}:{line}: {name} is labelled a second time")
        else:
            labels[name] = {"id": stem, "subject": parsed[0], "label": int(label)}
    return labels, problems


def _listed_twice(cells: list[Cell]) -> list[str]:
    paths = defaultdict(list)
    for cell in cells:
        paths[cell.id.lower()].append(str(cell.path))
    return [
        f"{twice[0]}: the same image name again at {', '.join(twice[1:])}" for twice in paths.values() if len(twice) > 1
    ]
