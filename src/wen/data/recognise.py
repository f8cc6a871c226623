"""Recognise a laboratory's images: their classes, which of the two is the positive one, and their subjects."""

import glob
import shlex
import shutil
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wen.config.read import parse
from wen.data import csv_file, doubtful, people, readers
from wen.data.folder import some, tally
from wen.data.problems import Problems
from wen.data.profile import rewritten
from wen.data.readers import cell_table, class_folders, images_in
from wen.data.readers.labels import normal, positive_of
from wen.data.readers.listing import Listing
from wen.errors import Message, WenError
from wen.names import is_text, shown

NEAR_MOST = 30_000
"""Largest number of images for which near-copies are searched by default: 12,528 take minutes, 100,000 hours."""

OTHERWISE: Message = (
    ". If these folders are not the classes, put them into folders named after the classes, name other folders by "
    "CLASSES, or provide a table with a column label (make study ... TABLE=cells.csv; wen study ... --table cells.csv)"
)
"""What to do if the wrong level of folders was taken for the classes."""

NAMED = 12
"""Maximum number of classes in a message."""


@dataclass(frozen=True)
class About:
    """What the user states about the data; None means that it is recognised."""

    table: Path | None = None
    """CSV of images, labels and subjects: a file, or its path in the data."""
    classes: tuple[str, str] | None = None
    """The negative and the positive class."""
    positive: str | None = None
    name: str | None = None
    subject: str | None = None
    """Regular expression whose group in an image's path is its subject."""


def recognised(folder: Path, data: Path, about: About, content: bytes, profile: str) -> bytes:
    """Rewrite a profile for the images in a folder, and copy their table there if it is elsewhere.

    Parameters
    ----------
    folder : Path
        Where the images have been brought.
    data : Path
        Where they come from.
    about : About
    content : bytes
        The profile.
    profile : str
        Its name.

    Raises
    ------
    WenError
        If there are no images or not two classes, if it is unclear which class is positive, or if the profile needs
        subjects that are not known.
    """
    table = _bring_table(about.table, data, folder)
    if table and not is_text(table):  # params.yaml cannot hold it
        raise WenError(f"{shown(table)}: a name with bytes that are not UTF-8, or with control characters; rename it")
    names = _images(folder)
    columns = cell_table.rows_of(folder / table, Problems())[1] if table else {}
    found = _labels(folder, table, names, about)
    of_all_idb2 = not table and class_folders.is_all_idb2(names)
    numbered = ("healthy", "blast") if of_all_idb2 else ("negative", "positive")
    classes = _classes(found, about, numbered, columns.get("label"))
    classes = [unicodedata.normalize("NFC", name) for name in classes]  # macOS takes letters and accents apart
    if positive_of(classes) == classes[0]:
        doubtful.warn_of_reversed(*classes)
    folder_name = data.resolve().name if data.is_dir() else data.stem
    name = about.name or (folder_name if is_text(folder_name) else shown(folder_name)).strip() or "cells"
    values: dict[str, Any] = {
        "dataset.source": "table" if table else "folder",
        "dataset.name": unicodedata.normalize("NFC", name),
        "dataset.classes": classes,
        "dataset.table": table,
        "dataset.subject": about.subject,
        "dataset.complete": False,
        "dataset.side": None,
        "images.crop": None,
        "split.test": "random",
    }
    values |= _near_copies(len(names))
    header = f"{profile}, adapted by `make study` to {name!r}. Start the study with `dvc repro`."
    text = rewritten(content.decode(), header, values)
    if not _has_subjects(text, folder, profile):
        text = rewritten(content.decode(), header, values | {"repeats.subject": 0})
    doubtful.warn_of_parts(names)
    if table:
        _name_columns(folder, table, about)
    else:
        _name_tables(folder, names)
        doubtful.warn_of_drawings(names)
    return text.encode()


def _images(folder: Path) -> list[str]:
    """List the paths of the images in a folder."""
    inside = images_in.find(folder, Problems())
    if not inside.images:
        others = Listing([], [], tally(inside.not_read), {}, images_in.FORMATS).left_out
        packed = "; unpack its archives first" if any(kind == "archives" for kind, _ in inside.not_read) else ""
        raise WenError("\n".join([f"{folder}: contains no image to study{packed}", *inside.unlisted, *others]))
    return list(inside.images)


def _labels(folder: Path, table: str | None, names: list[str], about: About) -> Mapping[str, int]:
    """Count the images of each label, from the table or from the folders that contain the images."""
    wanted = about.classes or ((about.positive,) if about.positive else ())
    if not table:
        return class_folders.found_classes(names, wanted)
    found = cell_table.found_classes(folder / table, names, wanted)
    if len(found) < 2 and "label" not in cell_table.rows_of(folder / table, Problems())[1]:
        raise WenError(
            f"{about.table}: has no column label, nor are the images in folders of their classes; rename the column "
            f"that names the classes to label; its columns are {csv_file.read(folder / table).named}"
        )
    return found


def _near_copies(images: int) -> dict[str, Any]:
    """Return whether to search for near-copies; among many images, the search is switched off."""
    if images <= NEAR_MOST:
        return {}
    print(
        f"warning: near-copies are not searched for, because {images:,} images would take hours; to search for them, "
        "set dataset.near_copies: true"
    )
    return {"dataset.near_copies": False}


def _has_subjects(text: str, folder: Path, profile: str) -> bool:
    """Whether any subject is known; raise `WenError` if none is and the profile splits by subject.

    Subjects may be missing because of problems, which are reported later.
    """
    params = parse(text, Path("params.yaml"))
    listing = readers.read(params.dataset, folder)
    if listing.problems or any(cell.subject for cell in listing.cells):
        return True
    if params.split.unit == "subject":
        raise WenError(
            f"--profile {profile} splits by subject, and these data do not name the subjects; provide a table with "
            "a column subject (make study DATA=... TABLE=cells.csv) or a pattern that finds the person in the path "
            "(SUBJECT=REGEX), or choose another profile"
        )
    return False


def _bring_table(table: Path | None, data: Path, folder: Path) -> str | None:
    """Return the path of the table in the folder; copy the table there if necessary."""
    if table is None:
        return None
    if table.suffix.lower() in (".xlsx", ".xls", ".ods"):
        raise WenError(f"{table}: a spreadsheet; save it as CSV and name that file")
    if table.suffix.lower() in (".json", ".jsonl", ".xml", ".parquet"):
        raise WenError(f"{table}: not a CSV; write its images, labels and subjects to a CSV and name that file")
    if table.is_file() and data.is_dir() and table.resolve().is_relative_to(data.resolve()):
        return table.resolve().relative_to(data.resolve()).as_posix()
    if table.is_file():
        place = folder / table.name
        if place.exists() and place.read_bytes() != table.read_bytes():
            raise WenError(f"{table}: the folder of images contains another file of this name; rename the table")
        if not place.exists():
            shutil.copyfile(table, place)
        return table.name
    if (folder / table).is_file() and not table.is_absolute() and ".." not in table.parts:
        return table.as_posix()
    found = folder.rglob(glob.escape(table.name)) if table.name == str(table) else ()
    named = [path for path in found if path.is_file()]
    if len(named) == 1:  # inside a folder of the zip, say
        return named[0].relative_to(folder).as_posix()
    raise WenError(f"{table}: no such table; correct the path")


def _classes(found: Mapping[str, int], about: About, numbered: tuple[str, str], column: str | None) -> list[str]:
    """Return the negative and the positive class; ``numbered`` are the names of labels 0 and 1.

    ``column`` is the column of the table that has the labels.
    """
    counts = [f"{name} ({count:,})" for name, count in found.items()]
    more = f" and {len(counts) - NAMED:,} more" if len(counts) > NAMED else ""
    listed = ", ".join(counts[:NAMED]) + more
    if not found:
        raise WenError(
            "the images have no classes; put the images of each class into a folder named after it, or provide a "
            "table with a column label (make study DATA=... TABLE=cells.csv)"
        )
    if len(found) == 1:
        raise WenError(f"all images are of one class, {listed}; images of two classes are needed")
    if about.classes:
        return _given(found, about.classes, listed)
    if len(found) > 2:
        raise WenError(
            f"the images are of {len(found)} classes{f' (column {column})' if column else ''}: {listed}. A study "
            "compares two: name the negative and the positive one (make study ... CLASSES='NEGATIVE POSITIVE'; wen "
            f"study ... --classes NEGATIVE POSITIVE){'' if column else OTHERWISE}"
        )
    if unknown := [name for name in found if people.is_unknown(name) and any(map(str.isalnum, name))]:
        raise WenError(
            f"the images are of {listed}, and {unknown[0]} names no class; leave these images out or give them their "
            "class. If it is a class, name both (make study ... CLASSES='NEGATIVE POSITIVE'; wen study ... --classes "
            "NEGATIVE POSITIVE)"
        )
    if about.positive is not None:
        places = [name for name in found if normal(name) == normal(about.positive)]
        if not places and set(found) != {"0", "1"}:
            raise WenError(f"--positive {about.positive}: no such class; the images are of {listed}")
        if places:
            return [name for name in found if name != places[0]] + places
    if set(found) == {"0", "1"}:
        return [numbered[0], about.positive or numbered[1]]
    positive = positive_of(found)
    if positive is None:
        raise WenError(
            f"the classes are {listed}, and neither name shows which is positive; name the positive one: make study "
            f"... POSITIVE={shlex.quote(next(iter(found)))} (wen study ... --positive NAME)"
            f"{'' if column else OTHERWISE}"
        )
    return [name for name in found if name != positive] + [positive]


def _given(found: Mapping[str, int], classes: Sequence[str], listed: str) -> list[str]:
    if normal(classes[0]) == normal(classes[1]):
        raise WenError(f"--classes: {classes[0]} is named twice; name the negative and the positive class")
    if set(found) != {"0", "1"}:
        for name in classes:
            if normal(name) not in map(normal, found):
                raise WenError(f"--classes: no image is of class {name}; the images are of {listed}")
    return list(classes)


def _name_columns(folder: Path, table: str, about: About) -> None:
    """Print which columns of the table are used."""
    columns = cell_table.rows_of(folder / table, Problems())[1]
    if about.subject and "subject" in columns:
        raise WenError(
            f"--subject {about.subject}: {table} has the subjects in its column {columns['subject']}, too; leave the "
            "pattern out, or rename the column"
        )
    print(f"{table}: " + ", ".join(f"{role} from its column {column}" for role, column in columns.items()))
    content = csv_file.read(folder / table)
    if csv_file.is_windows_1252(folder / table):
        values = [value for column in columns.values() for value in dict.fromkeys(content.values(column))]
        names = [value for value in [*content.columns, *values] if not value.isascii()]
        print(
            f"{table}: read as Windows-1252, because it is not UTF-8{f': {some(names)}' if names else ''}. If a name "
            "is wrong, save the table as CSV UTF-8"
        )
    doubtful.warn_of_roles_and_ids(table, content, columns, about.subject)
    for role in columns:
        used, *others = [(column, _values(content, column)) for column in cell_table.candidates(content, role)]
        if others and role != "path":
            listed = ", ".join(f"{column} ({values:,})" for column, values in others)
            print(
                f"{table}: its column {used[0]} has {used[1]:,} different values; other columns that could hold the "
                f"{role} are not used: {listed}"
            )


def _values(content: csv_file.Table, column: str) -> int:
    """Count the different values in a column."""
    return len({normal(value) for value in content.values(column) if value})


def _name_tables(folder: Path, names: Sequence[str]) -> None:
    """Print which tables in the folder list its images but are not used."""
    known = {Path(name).name.casefold() for name in names} | {Path(name).stem.casefold() for name in names}
    found = []
    for path in sorted(folder.rglob("*.[cC][sS][vV]")):
        try:
            rows, columns = cell_table.rows_of(path, Problems())
        except (WenError, OSError):
            continue
        if any(Path(row.path.replace("\\", "/")).name.casefold() in known for row in rows):
            found.append((str(path.relative_to(folder)), ", ".join(columns.values())))
    if len(found) == 1:
        ((name, used),) = found
        print(f"{name} lists images ({used}) but is not used; to use it, set TABLE={shlex.quote(name)}")
    elif found:
        print(
            f"tables that list images but are not used ({len(found):,}): "
            f"{some([f'{name} ({used})' for name, used in found])}; to use them, write their rows into one CSV, with "
            "the path of each image, and set TABLE to it"
        )
