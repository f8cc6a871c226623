"""The forms in which `wen classify` writes its rows: a table for people, CSV, JSON lines and Parquet for programs."""

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from wen.errors import WenError
from wen.files import atomic
from wen.names import shown

Row = dict[str, Any]
Write = Callable[[Row], object]
ENDINGS = {"csv": "csv", "jsonl": "jsonl", "parquet": "parquet", "txt": "table"}
"""The form for each ending of an output's name."""
GROUP = 4096
"""Rows of a Parquet file that memory holds."""


def form_of(form: str | None, output: Path | None) -> str:
    """Choose the form: the requested one, or that of the output's ending, or a table.

    Raises
    ------
    WenError
        If no form was requested and the ending is not one of `ENDINGS`; or Parquet has no output, or no library.
    """
    if output and not form:
        ending = output.suffix.lower().removeprefix(".")
        if ending not in ENDINGS:
            known = ", ".join(f".{name}" for name in ENDINGS)
            raise WenError(
                f"--output {shown(output)}: unknown ending; use {known}, or give --format. Spreadsheet programs open "
                ".csv"
            )
        form = ENDINGS[ending]
    if form == "parquet":
        _check_parquet(output)
    return form or "table"


def _check_parquet(output: Path | None) -> None:
    if not output:
        raise WenError("--format parquet: a binary format; name the file with --output FILE")
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise WenError(
            "pyarrow, which Parquet needs, is not installed here: pip install -c constraints.txt -e '.[parquet]'"
        ) from None


@contextmanager
def rows(form: str, output: Path | None, about: Mapping[str, str | float]) -> Iterator[Write]:
    r"""Open the output, or standard output, and yield the function that writes one row.

    A row begins with a name, of a file or a person, and holds ``called``; all rows have the same keys. ``about`` (the
    classifier, the study, the threshold) is in all forms: in a table's first line, above the names of its columns, and
    in each row of the others, behind ``called``. None is an empty value.

    A table shows names escaped, see `wen.names.shown`, and so does Parquet if a name is not UTF-8. The others write
    them exactly:

    - CSV holds the name's bytes, quoted where a name has more than letters, digits and ``._-/``, so that a line end in
      it does not begin a row; a name that does not begin with one of these is written as ``./NAME``, which is the same
      file, so that no spreadsheet takes it for a formula.
    - JSON escapes each byte that is not UTF-8 as a lone surrogate, ``\udcff`` for 0xFF, as Python does:
      ``os.fsencode(json.loads(line)["file"])`` gives the bytes.
    """
    if form == "parquet" and output:
        with atomic(output) as partial, _parquet(partial, about) as write:
            yield write
        return
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


def _described(row: Row, about: Mapping[str, str | float]) -> Row:
    """A row with what it is about behind ``called``."""
    keys = list(row)
    behind = keys.index("called") + 1
    return {key: row[key] for key in keys[:behind]} | dict(about) | {key: row[key] for key in keys[behind:]}


def _table(stream: TextIO, about: Mapping[str, str | float]) -> Write:
    first = [f"# {', '.join(f'{key} {value}' for key, value in about.items())}\n"]

    def write(row: Row) -> None:
        (kind, name), *others = row.items()
        if first:
            columns = "  ".join([*(key for key, _ in others if key != "warning"), kind])
            stream.write(f"{first.pop()}# {columns}\n")
        warning = f"  ({row['warning']})" if row.get("warning") else ""
        values = [_short(value) for key, value in others if key != "warning"]
        stream.write("  ".join([*values, shown(name)]) + f"{warning}\n")

    return write


def _short(value: str | float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _csv(stream: TextIO, about: Mapping[str, str | float]) -> Write:
    plain = csv.writer(stream, lineterminator="\n")
    quoted = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    header: list[str] = []

    def write(row: Row) -> None:
        name, *values = _described(row, about).values()
        if not header:
            header.extend(_described(row, about))
            plain.writerow(header)
        writer = plain if re.fullmatch(r"[\w./-]+", name, re.ASCII) else quoted
        writer.writerow([_no_formula(name), *values])

    return write


def csv_bytes(rows: Iterable[Row], about: Mapping[str, str | float]) -> bytes:
    """Rows as a CSV, as `rows` writes it."""
    stream = io.StringIO(newline="")
    write = _csv(stream, about)
    for row in rows:
        write(row)
    return stream.getvalue().encode("utf-8", "surrogateescape")


def _no_formula(name: str) -> str:
    return name if re.match(r"[\w./]", name, re.ASCII) else f"./{name}"


def _jsonl(stream: TextIO, about: Mapping[str, str | float]) -> Write:
    def write(row: Row) -> None:
        stream.write(json.dumps(_described(row, about)) + "\n")

    return write


@contextmanager
def _parquet(path: Path, about: Mapping[str, str | float]) -> Iterator[Write]:
    import pyarrow
    from pyarrow import parquet

    kinds = {str: pyarrow.string(), int: pyarrow.int64()}
    held: list[Row] = []
    writers: list[Any] = []

    def flush() -> None:
        if not writers:
            fields = [
                (key, kinds.get(type(value), pyarrow.float64())) for key, value in (held[0] if held else {}).items()
            ]
            writers.append(parquet.ParquetWriter(path, pyarrow.schema(fields)))
        writers[0].write_table(pyarrow.Table.from_pylist(held, schema=writers[0].schema))
        held.clear()

    def write(row: Row) -> None:
        key, name = next(iter(row.items()))
        held.append(_described(row | {key: name if name.isascii() else _text(name)}, about))
        if len(held) == GROUP:
            flush()

    try:
        yield write
        if held or not writers:
            flush()
    finally:
        for writer in writers:
            writer.close()


def _text(name: str) -> str:
    """A name as text: if a byte of it is not UTF-8, escaped."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return shown(name)
    return name
