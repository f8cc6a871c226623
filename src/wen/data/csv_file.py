"""Read CSV files as spreadsheets, databases and pandas export them."""

import csv
import io
import re
import textwrap
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from wen.errors import WenError

SEPARATORS = ",;\t|"
WINDOWS_1252 = "cp1252"
SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""First bytes of spreadsheet files, which may have the ending .csv."""
END = "end"
"""A line after the last one, which is part of a row only if a quotation mark is never closed."""
LONGEST = 300
"""Maximum number of characters of the list of columns in a message."""


@dataclass(frozen=True)
class Table:
    """The named columns and the rows of a CSV."""

    columns: list[str]
    rows: list[tuple[int, list[str]]]
    """Line number, counted from 1, and stripped values of each row."""
    uneven: list[int]
    """Lines whose number of values differs from the header; they are not among the rows."""

    @property
    def named(self) -> str:
        """The names of the columns for a message, shortened to `LONGEST` characters."""
        return textwrap.shorten(", ".join(filter(None, self.columns)), LONGEST, placeholder=" ...")

    def values(self, column: str) -> list[str]:
        place = self.columns.index(column)
        return [row[place] for _, row in self.rows]


def read(path: Path) -> Table:
    """Read a CSV with a header, see `parsed`."""
    try:
        return parsed(path.read_bytes(), path)
    except OSError as error:
        raise WenError(f"{path}: {error.strerror}") from None


def parsed(data: bytes, name: Path) -> Table:
    """Parse the bytes of a CSV with a header; ``name`` is the file's name in messages.

    The separator is the most frequent one of comma, semicolon, tab and bar in the header. The encoding is UTF-8, UTF-16
    or else Windows-1252. Blank rows and additional empty values at the end of a row are ignored.

    Raises
    ------
    WenError
        If it is not a CSV, is empty, or has two columns with the same name.
    """
    try:
        header, *lines = _lines(data.decode(_encoding(data)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise WenError(f"{name}: not a valid CSV ({error})") from None
    except ValueError:
        raise WenError(f"{name}: empty; expected a header and rows") from None
    columns = [" ".join(column.split()) for column in header[1]]
    named = [column for column in columns if column]
    if twice := sorted({column for column in named if named.count(column) > 1}):
        raise WenError(f"{name}: several columns are named {', '.join(twice)}; rename or remove the others")
    rows, uneven = [], []
    for line, values in lines:
        kept = values[: len(columns)] + [""] * (len(columns) - len(values))
        if any(values[len(columns) :]) or len(values) < len(columns):
            uneven.append(line)
        else:
            rows.append((line, kept))
    return Table(columns, rows, uneven)


def _encoding(data: bytes) -> str:
    """Name the encoding of a table, which is Windows-1252 if it is no other."""
    if data.startswith(SPREADSHEETS):
        raise csv.Error("a spreadsheet; save the sheet as CSV")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    if b"\0" in data:  # UTF-16 without a mark: the other byte of an ASCII character is 0
        if not data.strip(b"\0"):
            raise csv.Error("nothing but zeros")
        if 4 * data.count(b"\0") < len(data):
            raise csv.Error(f"a NUL byte in line {data[: data.index(0)].count(10) + 1}; save the table again")
        return "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
    for encoding in ("utf-8-sig", WINDOWS_1252):
        with suppress(UnicodeDecodeError):
            data.decode(encoding)
            return encoding
    raise csv.Error("in none of the encodings UTF-8, UTF-16 and Windows-1252; save it as CSV UTF-8")


def is_windows_1252(path: Path) -> bool:
    """Whether a CSV is read as Windows-1252, which other encodings of eight bits are easily taken for."""
    return _encoding(path.read_bytes()) == WINDOWS_1252


def _lines(text: str) -> list[tuple[int, list[str]]]:
    """The rows that are not blank, with their last lines; a quoted value may contain line ends."""
    lines = list(io.StringIO(text, newline=None))
    first = next((number for number, line in enumerate(lines) if line.strip()), 0)
    if named := re.fullmatch(r'"?sep=(.)"?', "".join(lines[first : first + 1]).strip(), re.IGNORECASE):
        lines[first], separator = "\n", named[1]  # Excel's own line above the header
    else:
        separator = max(SEPARATORS, key=_header(lines[first:]).count)
    reader = csv.reader([*lines, END], delimiter=separator, strict=False)
    found, start = [], 1
    for row in reader:
        values = [re.sub(r'^="(.*)"$', r"\1", value.strip()) for value in row]  # ="007", which Excel shows as 007
        if reader.line_num > len(lines):
            if values != [END]:
                raise csv.Error(f"the quotation mark in line {start} is never closed")
        elif any(values):
            found.append((reader.line_num, values))
        start = reader.line_num + 1
    return found


def _header(lines: Sequence[str]) -> str:
    """The header, which may have line ends in quotation marks, without its quoted values."""
    header = ""
    for line in lines:
        header += line
        if header.count('"') % 2 == 0:
            break
    return re.sub(r'"[^"]*"', "", header)
