"""The layouts of C-NMC 2019 as TCIA and Kaggle give them: which files are which cells.

Both have ``fold_{0,1,2}/{all,hem}/UID_*.bmp`` for training and a folder of numbered images with a
label CSV for the preliminary test set; they differ in the folders around these, and a copy may nest
a folder once more. So a file is recognised by the folders above it, wherever they begin.
"""

import csv
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
_NUMBER = re.compile(r"[0-9]+")
_LITTER = re.compile(r"\._.*|\.DS_Store|Thumbs\.db|desktop\.ini", re.IGNORECASE)


@dataclass(frozen=True)
class Cell:
    """One labelled image: ``label`` 1 is ALL, 0 is HEM; ``source`` is fold_0..2 or preliminary."""

    id: str
    path: Path
    label: int
    subject: str
    source: str


@dataclass(frozen=True)
class Listing:
    """What a folder holds, what its label CSV lists besides, and what is wrong with it."""

    cells: list[Cell]
    final: list[Path]
    missing: list[str]
    problems: list[str]


def read(root: Path) -> Listing:
    """List the cells under ``root`` by their names, without opening an image.

    Parameters
    ----------
    root : Path
        Any folder that holds C-NMC in one of its layouts.

    Returns
    -------
    Listing
        Cells sorted by id; unlabelled images of the final set; names of preliminary images that are
        labelled but not there; problems, each with its file: misnamed, unlabelled, doubly labelled.
    """
    cells: list[Cell] = []
    final: list[Path] = []
    numbered: dict[str, Path] = {}
    csvs: list[Path] = []
    problems: list[str] = []
    for path in _files(root):
        folders = [part.lower() for part in path.relative_to(root).parts[:-1]]
        if not str(path).isprintable():
            problems.append(f"{str(path)!r}: an unprintable character in its name")
        elif not path.is_file():
            problems.append(f"{path}: a symbolic link to a folder, or to nothing; put what it stands for in its place")
        elif path.name.lower() == LABELS_CSV.lower():
            csvs.append(path)
        elif any(re.fullmatch(r"fold_[012]", folder) for folder in folders):
            found = _training_cell(path, folders)
            cells.append(found) if isinstance(found, Cell) else problems.append(found)
        elif PRELIMINARY.lower() in folders or FINAL.lower() in folders:
            if not (_NUMBER.fullmatch(path.stem) and path.suffix.lower() == ".bmp"):
                problems.append(f"{path}: misnamed, expected a number like 17.bmp")
            elif FINAL.lower() in folders:
                final.append(path)
            elif path.name in numbered:
                problems.append(f"{path}: a second {path.name}, the other is {numbered[path.name]}")
            else:
                numbered[path.name] = path
        elif path.suffix.lower() == ".bmp":
            problems.append(f"{path}: outside fold_0..2, {PRELIMINARY} and {FINAL}")
    labels, more = _read_labels(csvs)
    problems += more
    if numbered and not csvs:
        problems.append(f"{root}: no {LABELS_CSV}, so {len(numbered)} preliminary images are unlabelled")
    for name, path in numbered.items():
        if name in labels:
            cells.append(Cell(path=path, source="preliminary", **labels[name]))
        elif csvs:
            problems.append(f"{path}: unlabelled, {csvs[0]} has no row for it")
    return Listing(
        cells=sorted(cells, key=lambda cell: cell.id),
        final=final,
        missing=sorted(set(labels) - set(numbered)),
        problems=problems + _listed_twice(cells),
    )


def incomplete(cells: list[Cell]) -> list[str]:
    """Say how the counts differ from the published ones; empty if they do not."""
    found = dict.fromkeys(PUBLISHED, 0)
    for cell in cells:
        part = "preliminary" if cell.source == "preliminary" else "training"
        found[f"{part} {'ALL' if cell.label else 'HEM'}"] += 1
    return [
        f"{part}: {found[part]:,} of {published:,} images"
        + (f", {published - found[part]:,} missing" if found[part] < published else "")
        for part, published in PUBLISHED.items()
        if found[part] != published
    ]


def parse_name(stem: str) -> tuple[str, int] | None:
    """Read subject and label off a name like UID_H3_12_1_hem; None if it is not such a name.

    The subject keeps its H, which marks healthy donors; h3, as some files have it, is H3.
    """
    match = _NAME.fullmatch(stem)
    if match is None:
        return None
    subject, label = match["subject"].upper(), int(match["cls"].lower() == "all")
    return None if subject.startswith("H") == bool(label) else (subject, label)


def _files(root: Path) -> list[Path]:
    found = (path for path in root.rglob("*") if path.is_file() or path.is_symlink())
    return sorted(path for path in found if not is_litter(path))


def is_litter(path: Path) -> bool:
    """Whether an operating system left this file beside the images."""
    return bool(_LITTER.fullmatch(path.name)) or "__MACOSX" in path.parts


def _training_cell(path: Path, folders: list[str]) -> Cell | str:
    parsed = parse_name(path.stem)
    if parsed is None or path.suffix.lower() != ".bmp":
        return f"{path}: misnamed, expected UID_<subject>_<image>_<cell>_all.bmp or UID_H<...>_hem.bmp"
    subject, label = parsed
    if folders[-1] != ("all" if label else "hem"):
        return f"{path}: misnamed or misplaced, its name and its folder give different classes"
    fold = next(folder for folder in reversed(folders) if folder.startswith("fold_"))
    return Cell(path.stem, path, label, subject, fold)


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
        if len(row) != len(columns):
            problems.append(f"{path}:{line}: {len(row)} values, expected {len(columns)}")
            continue
        stem, name, label = (row[place].strip() for place in order)
        stem = stem.removesuffix(".bmp")
        parsed = parse_name(stem)
        if parsed is None or not re.fullmatch(r"[0-9]+\.bmp", name) or label not in ("0", "1"):
            problems.append(f"{path}:{line}: not a valid row: {stem},{name},{label}")
        elif parsed[1] != int(label):
            problems.append(f"{path}:{line}: {stem} is labelled {label} against its own name")
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
