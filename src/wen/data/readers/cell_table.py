"""Read a table of images with their paths, labels and subjects.

Columns that the table lacks may follow from the paths: labels from class folders, subjects from a pattern.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from wen.data import csv_file, folder, people
from wen.data.cell import Cell
from wen.data.problems import Problems
from wen.data.readers import class_folders, images_in, other_labels, other_paths
from wen.data.readers.class_folders import SOURCE
from wen.data.readers.labels import label_of, normal, positive_of
from wen.data.readers.listing import Listing
from wen.data.readers.search import Search
from wen.errors import WenError

COLUMNS = {
    "path": ("path", "file", "filename", "file name", "filepath", "file path", "image", "image path", "image name",
             "image file", "image id", "imageid", "img", "name", "new names", "id", "citra", "berkas", "gambar",
             "nama file", "nama berkas", "nama citra", "nama gambar"),
    "label": ("label", "labels", "class", "class name", "classname", "class label", "diagnosis", "category", "target",
              "y", "type", "cell type", "kelas", "diagnosa"),
    "subject": ("subject", "subject id", "subjectid", "subject no", "patient", "patient id", "patientid", "patients",
                "patient no", "patient number", "patient name", "person", "person id", "donor", "donor id", "case",
                "case id", "case no", "case number", "pid", "subjek", "pasien", "id pasien", "nomor pasien",
                "no pasien", "no rm", "nomor rm", "no rekam medis", "nomor rekam medis"),
}  # fmt: skip
"""Accepted names of each column, in order of preference; case, blanks, hyphens, underscores and dots are ignored."""


@dataclass(frozen=True)
class Row:
    """A row of the table: its line number and its values, empty where the table has no such column."""

    line: int
    path: str
    label: str
    subject: str


def read(root: Path, table: Path, classes: Sequence[str], subject: str | None) -> Listing:
    """List the cells that a table names under ``root``, without opening an image.

    Parameters
    ----------
    root : Path
        Folder of the images.
    table : Path
        The CSV, see `wen.data.csv_file`.
    classes : sequence of str
        Names of the negative and the positive class.
    subject : str, optional
        Regular expression whose group in an image's path is its subject, where the table has no column of subjects.
    """
    problems = Problems()
    found = images_in.find(root, problems, known=[table])
    rows, columns = rows_of(table, problems)
    names, content = list(found.images), csv_file.read(table)
    if other_paths.are_folders([row.path for row in rows], names):
        cause = f"the name of a folder, not of an image. {other_paths.PEOPLES_FOLDERS}"
        problems.add(cause, f"{table.name}, {rows[0].path}")
        rows = []
    named = _named(rows, names, table, problems)
    other_paths.compare(content, columns["path"], names, problems)
    if "label" in columns:
        label, other = _labels(named, classes, table, problems)
        other_labels.compare(content, columns["label"], candidates(content, "label")[1:], classes, problems)
        _refuse_contradictions(named, label, classes, table, problems)
        _refuse_reversed(label, classes, table, problems)
    else:
        label, other = class_folders.classify(named, classes, problems)
    written = {name: named[name].subject for name in label}
    if "subject" not in columns:
        written = class_folders.subjects(label, subject, problems)
    elif empty := [name for name, text in written.items() if not text]:
        for name in empty:
            place = f"{name} (line {named[name].line})"
            problems.add(f"no subject in {table.name}; fill in the column {columns['subject']} or remove it", place)
    person = people.unite(written)
    cells = [Cell(name, found.images[name], label[name], person[name], SOURCE) for name in sorted(label)]
    other += [(f"images not listed in {table.name}", name) for name in found.images if name not in named]
    return Listing(
        cells=cells,
        problems=found.unlisted + problems.lines(),
        not_read=folder.tally(found.not_read + (other if not problems else [])),
        people=people.summary(cells, written),
        formats=images_in.FORMATS,
    )


def rows_of(table: Path, problems: Problems) -> tuple[list[Row], dict[str, str]]:
    """Read the rows, and determine the role of each column.

    Raises
    ------
    WenError
        If the file is not a CSV with a header, or no column names the images.
    """
    content = csv_file.read(table)
    columns = {role: found[0] for role in COLUMNS if (found := candidates(content, role))}
    if "path" not in columns:
        raise WenError(
            f"{table}: no column names the images (columns: {content.named}). A table has its header in "
            "the first line and a row for each image: name the column of their paths path, that of the class label, "
            f"and that of the person subject. {other_paths.PEOPLES_FOLDERS}"
        )
    for line in content.uneven:
        problems.add(
            f"the number of values differs from the {len(content.columns)} columns in the header of {table.name}",
            f"line {line}",
        )
    places = [content.columns.index(columns[role]) if role in columns else None for role in COLUMNS]
    if not content.rows and not content.uneven:
        raise WenError(f"{table}: a header and no rows; write a row for each image")
    rows = []
    for line, values in content.rows:
        row = Row(line, *("" if k is None else values[k] for k in places))
        if "\n" in row.path + row.label + row.subject:
            problems.add(f"a line end inside a value in {table.name}; is a quotation mark missing?", f"line {line}")
        else:
            rows.append(replace(row, subject="") if people.is_unknown(row.subject) else row)
    return rows, columns


def candidates(content: csv_file.Table, role: str) -> list[str]:
    """List the columns whose names indicate paths, labels or subjects; the first one is used."""
    names = {column: normal(column.replace(".", " ")) for column in content.columns}
    return [column for name in COLUMNS[role] for column in names if names[column] == name]


def _named(rows: Sequence[Row], images: Sequence[str], table: Path, problems: Problems) -> dict[str, Row]:
    """Find the image of each row; two rows that name the same image are a problem."""
    search = Search(images, [row.path for row in rows])
    named: dict[str, Row] = {}
    for row in rows:
        place = f"{row.path} (line {row.line})"
        if not row.path:
            problems.add(f"no image name in {table.name}", f"line {row.line}")
            continue
        candidates = search(row.path)
        if not candidates:
            problems.add(f"listed in {table.name}, but no such image exists; add it or remove the row", place)
        elif len(candidates) > 1:
            problems.add(
                f"listed in {table.name} without its folder, and several images have this name; add the folder", place
            )
        elif candidates[0] in named:
            first = named[candidates[0]]
            what = "label" if normal(first.label) != normal(row.label) else "row"
            problems.add(f"has a second {what} in {table.name}; keep one", place)
        else:
            named[candidates[0]] = row
    return named


def _labels(
    named: dict[str, Row], classes: Sequence[str], table: Path, problems: Problems
) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return the label of each image, and the images of other classes, like `class_folders.classify`."""
    labels, other = {}, []
    for name, row in named.items():
        label = label_of(row.label, classes)
        if label is not None:
            labels[name] = label
        elif row.label:
            other.append((f"images of other classes than {' and '.join(classes)}", f"{name} ({row.label})"))
        else:
            problems.add(f"no label in {table.name}; the classes are {' and '.join(classes)}", name)
    return labels, other


def _refuse_contradictions(
    named: dict[str, Row], label: dict[str, int], classes: Sequence[str], table: Path, problems: Problems
) -> None:
    """Refuse images whose label in the table differs from the class folder that contains them."""
    folders = class_folders.labels(label, classes)
    for name, value in label.items():
        meant = {folders[part] for part in PurePosixPath(name).parts[:-1] if part in folders}
        if meant and value not in meant:
            problems.add(
                f"its label in {table.name} is not the class of its folder; correct the label or move the image, or "
                f"rename the folders {' and '.join(sorted(folders))} if they do not show the class",
                f"{name} (line {named[name].line})",
                named[name].label,
            )


def _refuse_reversed(label: dict[str, int], classes: Sequence[str], table: Path, problems: Problems) -> None:
    """Refuse labels of which all are in reverse of folders whose names show the positive class, as blast and normal.

    Programs that number folders by the alphabet write 0 for blast and 1 for normal.
    """
    if class_folders.labels(label, classes):  # compared image by image
        return
    for level in zip(*(PurePosixPath(name).parts[:-1] for name in label), strict=False):
        pairs = set(zip(map(normal, level), label.values(), strict=True))
        names = {name for name, _ in pairs}
        if len(names) == len(pairs) == 2 and (positive := positive_of(sorted(names))) and (positive, 0) in pairs:
            problems.add(
                f"all images in folders named {positive} have the label of {classes[0]}, the negative class, and all "
                f"others that of {classes[1]}; exchange the labels, or rename their column, so that the folders give "
                "the classes",
                table.name,
            )


def found_classes(table: Path, images: Sequence[str], wanted: Sequence[str]) -> dict[str, int]:
    """Count the rows of each label of a table; those of each class folder if it has no labels.

    Names that mean the same, as Blast and blast, or 1 and 1.0, are counted together.
    """
    rows, columns = rows_of(table, Problems())
    if "label" not in columns:
        return class_folders.found_classes(images, wanted)
    counts: dict[str, int] = defaultdict(int)
    first: dict[str, str] = {}
    for row in rows:
        if row.label:
            name = normal(row.label) if normal(row.label) in ("0", "1") else row.label
            counts[first.setdefault(normal(row.label), name)] += 1
    return {name: counts[name] for name in sorted(counts)}
