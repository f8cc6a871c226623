"""Write the rows of `wen classify` as a readable table, CSV, JSON lines or Parquet."""

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
"""Format by the suffix of the output's name."""
GROUP = 4096
"""Rows per row group of a Parquet file; memory holds one group."""


def form_of(form: str | None, output: Path | None) -> str:
    """Choose the format: the requested one, or that of the output's suffix, or a table.

    Raises
    ------
    WenError
        If no format was requested and the suffix is not one of `ENDINGS`, if it is that of another format (any text
        may be in a .txt), or if Parquet has no output file or pyarrow is not installed.
    """
    ending = output.suffix.lower().removeprefix(".") if output else ""
    if output and not form:
        if ending not in ENDINGS:
            known = ", ".join(f".{name}" for name in ENDINGS)
            raise WenError(
                f"--output {shown(output)}: unknown ending; use {known}, or give --format. Spreadsheet programs open "
                ".csv"
            )
        form = ENDINGS[ending]
    if form and ENDINGS.get(ending, form) != form and (ending != "txt" or form == "parquet"):
        raise WenError(
            f"--format {form}: {shown(str(output))} would not hold what its ending says; name another file, or leave "
            "--format out"
        )
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
    r"""Open the output file, or standard output, and yield a function that writes one row.

    The first value of a row is the name of a file or a subject. All rows have the same keys, among them ``called``.
    ``about`` (the classifier, the study, the threshold) is written in the first line of a table, and in the other
    formats as columns after ``called``. None is written as an empty value.

    A table shows escaped names, see `wen.names.shown`; so does Parquet if a name is not UTF-8. The other formats
    preserve names exactly:

    - CSV holds the bytes of the name. A name with characters other than letters, digits and ``._-/`` is quoted, so that
      a line end in it does not start a row. A name that does not start with a letter, a digit or one of ``._/`` is
      written so that spreadsheets do not interpret it as a formula: of a file as ``./NAME``, which denotes the same
      file, of a subject as ``'NAME``.
    - JSON escapes each byte that is not UTF-8 as a lone surrogate, such as ``\udcff`` for 0xFF, as Python does:
      ``os.fsencode(json.loads(line)["file"])`` returns the bytes.
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
    # not sys.stdout, from which colorama, imported by DVC, strips escape sequences
    sys.stdout.flush()
    encoding = sys.stdout.encoding if errors == "backslashreplace" else "utf-8"
    stream = io.TextIOWrapper(sys.stdout.buffer, encoding, errors, newline="", line_buffering=sys.stdout.isatty())
    try:
        yield stream
        stream.flush()
    finally:
        stream.detach()


def _with_about(row: Row, about: Mapping[str, str | float]) -> Row:
    """Insert ``about`` into a row after ``called``."""
    keys = list(row)
    split = keys.index("called") + 1
    return {key: row[key] for key in keys[:split]} | dict(about) | {key: row[key] for key in keys[split:]}


def _table(stream: TextIO, about: Mapping[str, str | float]) -> Write:
    header = [f"# {', '.join(f'{key} {value}' for key, value in about.items())}\n"]

    def write(row: Row) -> None:
        (kind, name), *others = row.items()
        if header:
            columns = "  ".join([*(key for key, _ in others if key != "warning"), kind])
            stream.write(f"{header.pop()}# {columns}\n")
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
        (kind, name), *others = _with_about(row, about).items()
        if not header:
            header.extend(_with_about(row, about))
            plain.writerow(header)
        writer = plain if re.fullmatch(r"[\w./-]+", name, re.ASCII) else quoted
        writer.writerow([_no_formula(kind, name), *(value for _, value in others)])

    return write


def csv_bytes(rows: Iterable[Row], about: Mapping[str, str | float]) -> bytes:
    """Return rows as CSV, in the format of `rows`."""
    stream = io.StringIO(newline="")
    write = _csv(stream, about)
    for row in rows:
        write(row)
    return stream.getvalue().encode("utf-8", "surrogateescape")


def _no_formula(kind: str, name: str) -> str:
    if name[:1].isalnum() or name[:1] in ("_", ".", "/"):
        return name
    return f"./{name}" if kind == "file" else f"'{name}"


def _jsonl(stream: TextIO, about: Mapping[str, str | float]) -> Write:
    def write(row: Row) -> None:
        stream.write(json.dumps(_with_about(row, about)) + "\n")

    return write


@contextmanager
def _parquet(path: Path, about: Mapping[str, str | float]) -> Iterator[Write]:
    import pyarrow
    from pyarrow import parquet

    kinds = {str: pyarrow.string(), int: pyarrow.int64()}
    group: list[Row] = []
    writers: list[Any] = []

    def flush() -> None:
        if not writers:
            fields = [
                (key, kinds.get(type(value), pyarrow.float64())) for key, value in (group[0] if group else {}).items()
            ]
            writers.append(parquet.ParquetWriter(path, pyarrow.schema(fields)))
        writers[0].write_table(pyarrow.Table.from_pylist(group, schema=writers[0].schema))
        group.clear()

    def write(row: Row) -> None:
        key, name = next(iter(row.items()))
        group.append(_with_about(row | {key: name if name.isascii() else _text(name)}, about))
        if len(group) == GROUP:
            flush()

    try:
        yield write
        if group or not writers:
            flush()
    finally:
        for writer in writers:
            writer.close()


def _text(name: str) -> str:
    """Return a name as valid Unicode; escape it if it is not UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return shown(name)
    return name
