"""The forms of output: exact for programs, safe for people and spreadsheets."""

import csv
import io
import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from wen.errors import WenError
from wen.rows import GROUP, form_of, rows

ABOUT = {"classifier": "inter 0.001 kappa", "study": "0123456789ab"}


def write(path: Path, form: str, names: list[str]) -> bytes:
    with rows(form, path, ABOUT) as row:
        for name in names:
            row({"file": name, "probability": 0.75, "called": "ALL", "0.001-0": 0.5})
    return path.read_bytes()


def test_every_output_format_names_the_classifier_and_the_study(tmp_path: Path) -> None:
    table = write(tmp_path / "1", "table", ["a.bmp", "b.bmp"]).decode().splitlines()
    assert table == [
        "# classifier inter 0.001 kappa, study 0123456789ab",
        "# probability  called  0.001-0  file",
        "0.7500  ALL  0.5000  a.bmp",
        "0.7500  ALL  0.5000  b.bmp",
    ]
    parsed = list(csv.DictReader(io.StringIO(write(tmp_path / "2", "csv", ["a.bmp", "b.bmp"]).decode())))
    lines = write(tmp_path / "3", "jsonl", ["a.bmp", "b.bmp"]).decode().splitlines()
    for row in [*parsed, *map(json.loads, lines)]:
        assert list(row) == ["file", "probability", "called", "classifier", "study", "0.001-0"]
        assert ABOUT.items() <= row.items()


NAME = st.binary(min_size=1, max_size=20).filter(lambda name: b"\0" not in name)
SLOW = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@SLOW
@given(st.lists(NAME, min_size=1, max_size=5))
def test_csv_gives_each_name_back_to_the_byte_and_forges_no_row(tmp_path: Path, names: list[bytes]) -> None:
    content = write(tmp_path / "x.csv", "csv", [os.fsdecode(name) for name in names])
    stream = io.StringIO(content.decode("utf-8", "surrogateescape"), newline="")
    header, *found = csv.reader(stream)
    assert header[0] == "file"
    assert [os.path.normpath(os.fsencode(row[0])) for row in found] == [os.path.normpath(name) for name in names]
    assert all(row[1:] == ["0.75", "ALL", *ABOUT.values(), "0.5"] for row in found)


@SLOW
@given(st.lists(NAME, min_size=1, max_size=5))
def test_json_lines_give_each_name_back_to_the_byte_in_plain_ascii(tmp_path: Path, names: list[bytes]) -> None:
    content = write(tmp_path / "x.jsonl", "jsonl", [os.fsdecode(name) for name in names])
    lines = content.decode("ascii").splitlines()
    assert [os.fsencode(json.loads(line)["file"]) for line in lines] == names


@SLOW
@given(st.lists(NAME, min_size=1, max_size=5))
def test_a_table_has_a_printable_line_a_name(tmp_path: Path, names: list[bytes]) -> None:
    content = write(tmp_path / "x.txt", "table", [os.fsdecode(name) for name in names]).decode()
    lines = content.removesuffix("\n").split("\n")
    assert len(lines) == len(names) + 2
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    "name", ["=1+1.bmp", "+1.bmp", "-1.bmp", "@SUM(1).bmp", "\t=1.bmp", "\r=1.bmp", "\uff1d1.bmp", " =1"]
)
def test_no_cell_of_a_csv_starts_a_formula_and_the_path_is_the_same_file(tmp_path: Path, name: str) -> None:
    content = write(tmp_path / "x.csv", "csv", [name]).decode()
    cell = list(csv.reader(io.StringIO(content, newline="")))[1][0]
    assert cell == f"./{name}"
    (tmp_path / name).touch()
    assert (tmp_path / cell).samefile(tmp_path / name)


@pytest.mark.parametrize(
    ("subject", "cell"),
    [("=1+1", "'=1+1"), ("-3", "'-3"), ("\u00c5sa", "\u00c5sa"), ("\u4e00", "\u4e00"), ("P-3", "P-3")],
)
def test_a_subject_keeps_its_name_unless_it_starts_a_formula(tmp_path: Path, subject: str, cell: str) -> None:
    with rows("csv", tmp_path / "x.csv", ABOUT) as row:
        row({"subject": subject, "mean": 0.75, "called": "ALL"})
    content = (tmp_path / "x.csv").read_text(encoding="utf-8")
    assert list(csv.reader(io.StringIO(content, newline="")))[1][0] == cell


def test_a_cell_that_another_separator_would_divide_is_quoted(tmp_path: Path) -> None:
    assert b'"a;=1+1.bmp",0.75' in write(tmp_path / "x.csv", "csv", ["a;=1+1.bmp"])


def test_standard_output_gets_the_same_bytes_whatever_wraps_it(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    class Stripped(io.TextIOWrapper):  # as DVC's colorama does
        def write(self, text: str) -> int:
            return super().write(text.replace("\x1b[31m", ""))

    with open(os.dup(1), "wb", buffering=0) as raw, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", Stripped(io.BufferedWriter(raw), "ascii"))
        with rows("csv", None, ABOUT) as row:
            row({"file": os.fsdecode(b"\x1b[31m\xff.bmp"), "probability": 0.75, "called": "ALL"})
    assert b'"./\x1b[31m\xff.bmp",0.75,"ALL"' in capfdbinary.readouterr().out


@pytest.mark.parametrize(
    ("form", "output", "expected"),
    [
        (None, None, "table"), ("csv", None, "csv"), (None, "r.csv", "csv"), (None, "r.CSV", "csv"),
        (None, "r.jsonl", "jsonl"), (None, "r.txt", "table"), ("csv", "r.dat", "csv"),
        ("csv", "r.txt", "csv"),
    ],
)  # fmt: skip
def test_the_form_is_as_asked_or_as_the_output_ends(form: str | None, output: str | None, expected: str) -> None:
    assert form_of(form, Path(output) if output else None) == expected


@pytest.mark.parametrize("output", ["r.xlsx", "r", "r.json", "r.csv.gz"])
def test_an_ending_that_stands_for_no_form_is_refused(output: str) -> None:
    with pytest.raises(WenError, match=r"unknown ending; use \.csv, \.jsonl, \.parquet, \.txt, or give --format"):
        form_of(None, Path(output))


@pytest.mark.parametrize(("form", "output"), [("parquet", "r.csv"), ("csv", "r.jsonl"), ("parquet", "r.txt")])
def test_a_form_that_the_ending_contradicts_is_refused(form: str, output: str) -> None:
    with pytest.raises(WenError, match=rf"--format {form}: {output} would not hold what its ending says"):
        form_of(form, Path(output))


def test_parquet_holds_the_rows_of_json_lines(tmp_path: Path) -> None:
    values = [
        {"file": name, "probability": place / 10, "called": "ALL", "spread": None, "cells": place, "warning": "black"}
        for place, name in enumerate(["a.bmp", "caf\u00e9.bmp", os.fsdecode(b"\xff.bmp")])
    ]
    for ending in ("jsonl", "parquet"):
        with rows(ending, tmp_path / f"x.{ending}", ABOUT | {"threshold": 0.5}) as row:
            for value in values:
                row(value)
    lines = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    lines[2]["file"] = r"\xff.bmp"
    assert parquet.read_table(tmp_path / "x.parquet").to_pylist() == lines


def test_of_many_rows_parquet_holds_groups_and_of_none_a_file(tmp_path: Path) -> None:
    for number in (0, GROUP + 1):
        with rows("parquet", tmp_path / f"{number}.parquet", ABOUT) as row:
            for place in range(number):
                row({"file": str(place), "called": "ALL"})
        found = parquet.ParquetFile(tmp_path / f"{number}.parquet")
        assert (found.metadata.num_rows, found.num_row_groups) == (number, 2 if number else 1)


def test_where_pyarrow_is_not_installed_a_sentence_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(WenError, match=r"pyarrow, which Parquet needs, .*\[parquet\]"):
        form_of(None, Path("cells.parquet"))


def test_a_warning_ends_the_line_of_a_table_and_what_is_not_known_is_a_dash(tmp_path: Path) -> None:
    with rows("table", tmp_path / "x.txt", ABOUT) as row:
        row({"file": "a.bmp", "probability": 0.75, "called": "ALL", "spread": None, "warning": "black"})
    assert (tmp_path / "x.txt").read_text().splitlines()[2] == "0.7500  ALL  -  a.bmp  (black)"
