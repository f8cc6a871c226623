"""Check that the column of paths of a table names its images, and not its rows, its people or their folders."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from wen.data.csv_file import Table
from wen.data.images import ENDINGS
from wen.data.problems import Problems
from wen.data.readers.labels import normal
from wen.data.readers.search import Search, unpadded
from wen.errors import Message

PEOPLES_FOLDERS: Message = (
    "If the table has a row for each person and the images are in folders of people, leave the table out, put the "
    "folder of each person into a folder of the person's class, and set SUBJECT='([^/]+)/[^/]+$' (wen study ... "
    "--subject '([^/]+)/[^/]+$'), so that the folder of an image is its subject"
)
"""What to do instead of naming people's folders in a table."""


def are_folders(written: Sequence[str], images: Sequence[str]) -> bool:
    """Whether all paths of a table are names of folders, and do not all name images inside these.

    The numbers of people in a column id may also find images of these numbers, in the folders of other people.
    """
    folders = [{unpadded(part.casefold()) for part in PurePosixPath(name).parts[:-1]} for name in images]
    keys = {text: unpadded(text.casefold()) for text in written}
    if not written or not set(keys.values()) <= set[str]().union(*folders):
        return False
    inside, search = dict(zip(images, folders, strict=True)), Search(images, written)
    return not all(any(key in inside[name] for name in search(text)) for text, key in keys.items())


def compare(content: Table, chosen: str, images: Sequence[str], problems: Problems) -> None:
    """Report the rows in which another column has the file name of another image.

    Numbers, as in a column id, find images, too, but may only count the rows.

    Parameters
    ----------
    content : Table
    chosen : str
        The column from which the paths are read. If its name says that it holds them, or if its values have the endings
        of files, no other column is compared: it may name masks.
    images : sequence of str
        The images by their paths.
    problems : Problems
    """
    written = content.values(chosen)
    if "file" in normal(chosen) or normal(chosen) == "path" or any(map(_is_file, written)):
        return
    search = Search(images, written)
    for other in filter(None, content.columns):
        values = content.values(other)
        search_other = Search(images, values) if any(map(_is_file, values)) else None
        for (line, _), one, two in zip(content.rows, written, values, strict=True):
            found = search_other(two) if search_other and _is_file(two) else []
            if found and (first := search(one)) and set(first).isdisjoint(found):
                problems.add(
                    f"its columns {chosen} and {other} name different images; rename the images' column to path",
                    f"line {line}",
                    f"{first[0]} and {found[0]}",
                )


def _is_file(text: str) -> bool:
    return text.lower().endswith(ENDINGS)
