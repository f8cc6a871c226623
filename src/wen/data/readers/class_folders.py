"""Read data sets that have a folder for each class, at any depth.

ALL-IDB2 has no such folders: its images are named like Im001_1.tif, 1 for a blast and 0 for a healthy cell.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from wen.data import folder, people
from wen.data.cell import Cell
from wen.data.problems import Problems
from wen.data.readers import images_in
from wen.data.readers.labels import label_of, normal, positive_of
from wen.data.readers.listing import Listing
from wen.errors import WenError

SOURCE = "cells"
_ALL_IDB2 = re.compile(r"Im(?P<number>[0-9]+)_(?P<label>[01])", re.IGNORECASE | re.ASCII)
PART = re.compile(
    r"((?P<part>train|val|test)(ing|id(ation)?)?|dev|fold|images?|data(set)?)( ?(set|data|images?|split))*"
    r"( ?([a-z]|[0-9]+))?"
)
"""The normal name of a folder that holds a part of the images: train, TestA, validation_data, fold_0."""


def read(root: Path, classes: Sequence[str], subject: str | None) -> Listing:
    """List the cells under ``root``, without opening an image.

    Parameters
    ----------
    root : Path
    classes : sequence of str
        Names of the negative and the positive class.
    subject : str, optional
        Regular expression whose group is the subject in an image's path.
    """
    problems = Problems()
    found = images_in.find(root, problems)
    label, not_read = classify(found.images, classes, problems)
    written = subjects(label, subject, problems)
    person = people.unite(written)
    cells = [Cell(name, found.images[name], label[name], person[name], SOURCE) for name in sorted(label)]
    return Listing(
        cells=cells,
        problems=found.unlisted + problems.lines(),
        not_read=folder.tally(found.not_read + not_read),
        people=people.summary(cells, written),
        formats=images_in.FORMATS,
    )


def classify(
    names: Iterable[str], classes: Sequence[str], problems: Problems
) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Label images by their folders or, for ALL-IDB2, by their names.

    Returns
    -------
    labels : dict
        Label of each image, by its name.
    not_read : list of (kind, name)
        Images outside the folders of the classes.
    """
    names, labels, other = list(names), {}, []
    by_name, label_of_folder = is_all_idb2(names), _labelled(names, classes)
    for name in names:
        if by_name:
            label = label_of(_all_idb2(name), classes)
            found = set() if label is None else {label}
        else:
            found = {label_of_folder[part] for part in PurePosixPath(name).parts[:-1] if part in label_of_folder}
        if len(found) > 1:
            problems.add(f"in folders of both classes, {' and '.join(classes)}; an image must be in one of them", name)
        elif found:
            labels[name] = found.pop()
        else:
            other.append((f"images outside the folders {' and '.join(classes)}", name))
    return labels, other


def labels(names: Iterable[str], classes: Sequence[str]) -> dict[str, int]:
    """Find the folders that are named after a class, with its label; empty unless both classes have a folder."""
    found = _labelled(names, classes)
    return found if len(set(found.values())) == 2 else {}


def _labelled(names: Iterable[str], classes: Sequence[str]) -> dict[str, int]:
    """Find the folders that are named after a class, with its label.

    Folders 0 and 1 are ignored if both classes have folders of their own names, or if other folders are numbers, too:
    then the numbers are batches or people.
    """
    folders = {part for name in names for part in PurePosixPath(name).parts[:-1]}
    named = {part for part in folders if normal(part) in map(normal, classes)}
    numbers = {part for part in folders if normal(part).isdecimal()} - named
    if len(set(map(normal, named))) == 2 or not {normal(part) for part in numbers} <= {"0", "1"}:
        folders -= numbers
    return {part: label for part in folders if (label := label_of(part, classes)) is not None}


def subjects(names: Iterable[str], pattern: str | None, problems: Problems) -> dict[str, str]:
    """Extract the subject from each image's path; subjects are empty without a pattern."""
    written = dict.fromkeys(names, "")
    if pattern:
        for name in written:
            match = re.search(pattern, name)
            found = match[1] if match and match[1] else ""
            if not found:
                problems.add(f"its path does not match dataset.subject, {pattern}", name)
            elif people.is_unknown(found):
                problems.add(f"dataset.subject, {pattern}, finds {found!r} in its path, which names no person", name)
            written[name] = found
    return written


def found_classes(names: Sequence[str], wanted: Sequence[str] = ()) -> dict[str, int]:
    """Count the images of each class folder, in the level of the folder tree that separates the classes.

    This is the first level with folders of the ``wanted`` names, if any are given, or all levels if each of two names
    is on another one; else the level with two folders, one of which is named like a positive class, in words rather
    than as 1; else the first level with two folders; else the first with several. Levels of folders like train and test
    are skipped. Empty if there is none.

    Raises
    ------
    WenError
        If two levels have such names and divide the images differently.
    """
    if is_all_idb2(names):
        values = Counter(_all_idb2(name) for name in names)
        return {value: values[value] for value in sorted(values)}
    parts = [PurePosixPath(name).parts[:-1] for name in names]
    levels = {
        depth: _merged(Counter(found[depth] for found in parts if len(found) > depth))
        for depth in range(max(map(len, parts), default=0))
    }
    everywhere = _merged(sum(levels.values(), Counter()))
    parted = {depth for depth, level in levels.items() if all(PART.fullmatch(normal(name)) for name in level)}
    levels = {depth: level for depth, level in levels.items() if depth not in parted}
    levels = {depth: level for depth, level in levels.items() if len(level) > 1} or dict(list(levels.items())[:1])
    for level in [*levels.values(), *([everywhere] if len(wanted) > 1 else [])]:
        if wanted and set(map(normal, wanted)) <= set(map(normal, level)):
            return dict(level)
    two = {depth: level for depth, level in levels.items() if len(level) == 2}
    named = {depth: level for depth, level in two.items() if positive_of(level)}
    in_words = {depth: level for depth, level in named.items() if set(map(normal, level)) != {"0", "1"}}
    if len(in_words) > 1:
        _refuse_different(in_words, parts)
    return dict(next(iter((in_words or named or two or levels).values()), {}))


def _refuse_different(levels: Mapping[int, Iterable[str]], parts: Iterable[tuple[str, ...]]) -> None:
    """Reject two levels of folders that divide the images differently."""
    one, other = list(levels)[:2]
    if len({(normal(found[one]), normal(found[other])) for found in parts if len(found) > other}) > 2:
        first, second = (" and ".join(levels[depth]) for depth in (one, other))
        raise WenError(
            f"the folders {first}, or {second}, could be the classes; name the negative and the positive one (make "
            "study ... CLASSES='NEGATIVE POSITIVE'; wen study ... --classes NEGATIVE POSITIVE)"
        )


def is_all_idb2(names: Sequence[str]) -> bool:
    """Whether all images are in one folder and are named like those of ALL-IDB2.

    A number with both labels, as in im7_0 and im7_1, is that of a field of view with two cells: ALL-IDB2 has none.
    """
    places = {PurePosixPath(name).parent for name in names}
    found = [_ALL_IDB2.fullmatch(PurePosixPath(name).stem) for name in names]
    cells = {(int(match["number"]), match["label"]) for match in found if match}
    return len(places) == 1 and all(found) and len(cells) == len({number for number, _ in cells})


def _all_idb2(name: str) -> str:
    match = _ALL_IDB2.fullmatch(PurePosixPath(name).stem)
    return match["label"] if match else ""


def _merged(level: Counter[str]) -> Counter[str]:
    """Count equivalent names of a class together, such as Blast and blast."""
    merged: Counter[str] = Counter()
    first: dict[str, str] = {}
    for name in sorted(level):
        merged[first.setdefault(normal(name), name)] += level[name]
    return merged
