"""Read C-NMC 2019 in the layouts of TCIA and Kaggle.

Both have ``fold_{0,1,2}/{all,hem}/UID_*.bmp`` for training, and a folder of numbered images with a CSV of labels for
the preliminary test set. They differ in the folders above these, and a copy may add another level. Therefore a file is
recognised by the names of the folders above it, at any depth.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wen.data import csv_file, folder, people
from wen.data.cell import Cell
from wen.data.folder import ARCHIVE, DOCUMENT, IMAGE, in_litter, is_litter, some
from wen.data.problems import Problems
from wen.data.readers.labels import label_of
from wen.data.readers.listing import Listing
from wen.errors import Message, WenError
from wen.names import is_text

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
PARTS = {"fold_0": 3527, "fold_1": 3581, "fold_2": 3553, "preliminary": 1867}

_NAME = re.compile(r"UID_(?P<subject>H?[0-9]+)_[0-9]+_[0-9]+_(?P<cls>all|hem)", re.IGNORECASE | re.ASCII)
_NUMBERED = re.compile(r"[0-9]+\.bmp")
TEST_SETS = {name.lower() for name in (PRELIMINARY, LABELS_CSV, FINAL)}
"""Names that no other data set has, where folders fold_0 to fold_2 are common."""
CLASSES = ("HEM", "ALL")
OTHERWISE: Message = (
    "C-NMC 2019 has its training images in fold_0/all, fold_0/hem, ..., fold_2/hem; name the folder or zip that "
    "contains these. To study images that are only named like C-NMC's, with their folders hem and all as classes, and "
    "7 and H7 as one person: make study ... CLASSES='hem all' SUBJECT='UID_H?([0-9]+)_' (wen study ... --classes hem "
    "all --subject 'UID_H?([0-9]+)_')"
)


def is_layout(names: Iterable[Path]) -> bool:
    """Whether the paths of files in a folder or zip have C-NMC's layout.

    Other data sets also have folders fold_0 to fold_2 for cross-validation.
    """
    names = [name for name in names if not is_litter(name)]
    images = [name for name in names if IMAGE.fullmatch(name.suffix)]
    named = sum(_NAME.fullmatch(name.stem) is not None for name in images)
    return 2 * named > len(images) or not TEST_SETS.isdisjoint(_parts(names)) or (named > 0 and has_folders(names))


def has_folders(names: Iterable[Path]) -> bool:
    """Whether the paths of files contain one of C-NMC's folders, or its table of labels."""
    parts = _parts(names)
    return not TEST_SETS.isdisjoint(parts) or any(re.fullmatch(r"fold_[012]", part) for part in parts)


def _parts(names: Iterable[Path]) -> set[str]:
    return {part.lower() for name in names for part in name.parts}


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
    paths, unlisted = folder.files(root)
    problems = Problems()
    files = _Files(problems)
    for path in paths:
        _sort(path, path.relative_to(root), files)
    cells, preliminary, csvs = files.cells, files.preliminary, files.csvs
    _refuse_outside(files.outside, problems)
    labels, valid = _read_labels(csvs, problems)
    if preliminary and not csvs:
        problems.add(f"no {LABELS_CSV}, so {len(preliminary)} preliminary images have no label; add this file", root)
    for name, path in preliminary.items():
        if name in labels:
            cells.append(Cell(path=path, source="preliminary", **labels[name]))
        elif csvs and valid:
            problems.add(f"no label, because {csvs[0]} has no row for it", path)
    _report_duplicate_ids(cells, problems)
    joined = sorted(people.join(cells), key=lambda cell: cell.id)
    return Listing(
        cells=joined,
        problems=unlisted + problems.lines(),
        not_read=folder.tally(files.not_read),
        people=people.summary(joined, {cell.id: cell.id.split("_")[1].upper() for cell in joined}),
        formats="BMP",
        final=files.final,
        missing=sorted(set(labels) - set(preliminary)),
    )


def incomplete(cells: list[Cell]) -> list[str]:
    """Describe how the counts differ from the published ones; empty if they do not."""
    found = dict.fromkeys(PUBLISHED, 0)
    for cell in cells:
        part = "preliminary" if cell.source == "preliminary" else "training"
        found[f"{part} {'ALL' if cell.label else 'HEM'}"] += 1
    without = [cell.path.name for cell in cells if not cell.label and not cell.id.split("_")[1].upper().startswith("H")]
    unlike = (
        [f"HEM images without H in their names: {len(without):,}, published: 0 ({some(without)})"] if without else []
    )
    return unlike + [
        f"{part}: {found[part]:,} of {published:,} images"
        + (f", {published - found[part]:,} missing" if found[part] < published else "")
        for part, published in PUBLISHED.items()
        if found[part] != published
    ]


def parse_name(stem: str) -> tuple[str, int] | None:
    """Read subject and label from a name such as UID_H3_12_1_hem; None if it is not such a name.

    The subject is normalised (`wen.data.people.number`) and keeps its H, which marks healthy donors. A HEM image may
    lack the H, for a person who also has blasts; an ALL image with H is misnamed.
    """
    match = _NAME.fullmatch(stem)
    if match is None:
        return None
    subject, label = people.number(match["subject"]), int(match["cls"].lower() == "all")
    return None if label and subject.startswith("H") else (subject, label)


@dataclass
class _Files:
    """The files of a folder, sorted by what their names and folders say they are."""

    problems: Problems
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
    elif not is_text(str(within)):
        files.problems.add("unprintable character in the name; rename it", repr(str(path)))
    elif path.name.lower() == LABELS_CSV.lower():
        files.csvs.append(path)
    elif DOCUMENT.fullmatch(ending) and not path.name.upper().startswith("UID_"):
        files.not_read.append((folder.kind(path, "BMP"), str(within)))
    elif any(re.fullmatch(r"fold_[012]", part) for part in folders):
        cell = _training_cell(path, folders)
        files.cells.append(cell) if isinstance(cell, Cell) else files.problems.add(cell, path)
    elif PRELIMINARY.lower() in folders or FINAL.lower() in folders:
        _sort_numbered(path, folders, files)
    elif ending == ".bmp":
        files.outside.append(path)
    else:
        files.not_read.append((folder.kind(path, "BMP"), str(within)))


def _sort_numbered(path: Path, folders: list[str], files: _Files) -> None:
    name = path.name.lower()
    if not _NUMBERED.fullmatch(name):
        files.problems.add(_misnamed(path, "a number like 17.bmp"), path)
    elif FINAL.lower() in folders:
        files.final.append(path)
    elif name in files.preliminary:
        files.problems.add(f"second image named {name}, the other is {files.preliminary[name]}; keep one", path)
    else:
        files.preliminary[name] = path


def _training_cell(path: Path, folders: list[str]) -> Cell | str:
    parsed = parse_name(path.stem)
    if parsed is None or path.suffix.lower() != ".bmp":
        return _misnamed(path, "UID_<subject>_<image>_<cell>_all.bmp or UID_H<...>_hem.bmp")
    subject, label = parsed
    if folders[-1] != ("all" if label else "hem"):
        return "its name and its folder give different classes; correct one of them"
    fold = next(folder for folder in reversed(folders) if folder.startswith("fold_"))
    return Cell(path.stem, path, label, subject, fold)


def _misnamed(path: Path, expected: str) -> str:
    """Describe what is wrong with a file among C-NMC's images: the format, if the extension shows it, or the name."""
    ending = path.suffix.lower()
    if ARCHIVE.fullmatch(ending):
        return "an archive; unpack it"
    if ending != ".bmp" and IMAGE.fullmatch(ending):
        return f"C-NMC is read from BMP files only, not {ending}"
    return f"unexpected name, expected {expected}"


def _refuse_outside(paths: list[Path], problems: Problems) -> None:
    """Refuse images in folders that belong to no part of C-NMC."""
    by_folder = defaultdict(list)
    for path in paths:
        by_folder[path.parent].append(path)
    known = f"outside fold_0..2, {PRELIMINARY} and {FINAL}"
    for place, inside in by_folder.items():
        if len(inside) == 1:
            problems.add(known, inside[0])
        else:
            problems.add(f"{len(inside):,} images {known}: {some([path.name for path in inside])}", place)


def _read_labels(csvs: list[Path], problems: Problems) -> tuple[dict[str, dict[str, Any]], bool]:
    """Map 17.bmp to id, subject and label by the CSV of the preliminary set, whose copies must be equal.

    Also return whether all of it could be read.
    """
    if not csvs:
        return {}, True
    path = csvs[0]
    if any(other.read_bytes() != path.read_bytes() for other in csvs[1:]):
        problems.add(f"differs from {', '.join(map(str, csvs[1:]))}; keep one", path)
        return {}, False
    try:
        table = csv_file.read(path)
    except WenError as error:
        problems.add(str(error).removeprefix(f"{path}: "), path)
        return {}, False
    if absent := set(COLUMNS) - set(table.columns):
        problems.add(
            f"columns {', '.join(sorted(absent))} missing; expected {','.join(COLUMNS)}, found "
            f"{', '.join(table.columns)}",
            path,
        )
        return {}, False
    labels: dict[str, dict[str, Any]] = {}
    valid = not table.uneven
    for line in table.uneven:
        problems.add(
            f"the number of values differs from the {len(table.columns)} columns in the header", f"{path}:{line}"
        )
    order = [table.columns.index(name) for name in COLUMNS]
    for line, row in table.rows:
        stem, name, written = (row[place] for place in order)
        stem, name = re.sub(r"\.bmp$", "", stem, flags=re.IGNORECASE), name.lower()
        parsed, label = parse_name(stem), label_of(written, CLASSES)
        found, place = f"{stem},{name},{written}", f"{path}:{line}"
        if parsed is None or not _NUMBERED.fullmatch(name) or label is None:
            problems.add("not a valid row", place, found)
        elif parsed[1] != label:
            problems.add("its label contradicts its name", place, found)
        elif name in labels:
            problems.add("second label for this image", place, found)
        else:
            labels[name] = {"id": stem, "subject": parsed[0], "label": label}
            continue
        valid = False
    return labels, valid


def _report_duplicate_ids(cells: list[Cell], problems: Problems) -> None:
    paths = defaultdict(list)
    for cell in cells:
        paths[cell.id.lower()].append(str(cell.path))
    for places in paths.values():
        if len(places) > 1:
            problems.add("same image name in several folders; keep one", " and ".join(places))
