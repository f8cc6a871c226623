"""The forms in which `wen classify` writes its rows: a table for people, CSV and JSON lines for programs."""

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from wen.errors import WenError
from wen.files import atomic
from wen.names import shown

Row = dict[str, Any]
Write = Callable[[Row], object]
ENDINGS = {"csv": "csv", "jsonl": "jsonl", "txt": "table"}
"""The form for each ending of an output's name."""


def form_of(form: str | None, output: Path | None) -> str:
    """Choose the form: the requested one, or that of the output's ending, or a table.

    Raises
    ------
    WenError
        If no form was requested and the ending is not one of `ENDINGS`.
    """
    if form or not output:
        return form or "table"
    ending = output.suffix.lower().removeprefix(".")
    if ending not in ENDINGS:
        known = ", ".join(f".{name}" for name in ENDINGS)
        raise WenError(f"--output {shown(output)}: end the name in {known}, or give --format. Spreadsheets open .csv")
    return ENDINGS[ending]


@contextmanager
def rows(form: str, output: Path | None, about: Mapping[str, str]) -> Iterator[Write]:
    r"""Open the output, or standard output, and yield the function that writes one row.

    A row holds ``file``, ``probability``, ``called``, and then any other values. ``about`` (the classifier, the study)
    is in all forms: in a table's first line, in each row of CSV and JSON lines.

    A table shows names escaped, see `wen.names.shown`. The others write them exactly:

    - CSV holds the name's bytes, quoted where a name has more than letters, digits and ``._-/``, so that a line end in
      it does not begin a row; a name that does not begin with one of these is written as ``./NAME``, which is the same
      file, so that no spreadsheet takes it for a formula.
    - JSON escapes each byte that is not UTF-8 as a lone surrogate, ``\udcff`` for 0xFF, as Python does:
      ``os.fsencode(json.loads(line)["file"])`` gives the bytes.
    """
    with _opened(output, "backslashreplace" if form == "table" else "surrogateescape") as stream:
        yield {"table": _table, "csv": _csv, "jsonl": _jsonl}[form](stream, about)


@contextmanager
def _opened(output: Path | None, errors: str) -> Iterator[TextIO]:
    if output:
        with atomic(output) as partial, partial.open("w", encoding="utf-8", errors=errors, newline="") as stream:
            yield stream
        return
    # Not sys.stdout: DVC has colorama strip escape sequences from it.
    sys.stdout.flush()
    encoding = sys.stdout.encoding if errors == "backslashreplace" else "utf-8"
    stream = io.TextIOWrapper(sys.stdout.buffer, encoding, errors, newline="", line_buffering=sys.stdout.isatty())
    try:
        yield stream
        stream.flush()
    finally:
        stream.detach()


def _table(stream: TextIO, about: Mapping[str, str]) -> Write:
    first = [f"# {', '.join(f'{key} {value}' for key, value in about.items())}\n"]

    def write(row: Row) -> None:
        if first:
            stream.write(first.pop())
        file, probability, called, *more = row.values()
        stream.write("  ".join([f"{probability:.4f}", called, *(f"{value:.4f}" for value in more), shown(file)]) + "\n")

    return write


def _csv(stream: TextIO, about: Mapping[str, str]) -> Write:
    plain = csv.writer(stream, lineterminator="\n")
    quoted = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    header: list[str] = []

    def write(row: Row) -> None:
        file, probability, called, *more = row.values()
        if not header:
            header.extend([*list(row)[:3], *about, *list(row)[3:]])
            plain.writerow(header)
        writer = plain if re.fullmatch(r"[\w./-]+", file, re.ASCII) else quoted
        writer.writerow([_no_formula(file), probability, called, *about.values(), *more])

    return write


def _no_formula(file: str) -> str:
    return file if re.match(r"[\w./]", file, re.ASCII) else f"./{file}"


def _jsonl(stream: TextIO, about: Mapping[str, str]) -> Write:
    def write(row: Row) -> None:
        first = {key: row[key] for key in ("file", "probability", "called")}
        stream.write(json.dumps(first | dict(about) | row) + "\n")

    return write
