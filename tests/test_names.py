"""Names of files are printed safely."""

import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wen.names import shown


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cells/1.bmp", "cells/1.bmp"),
        ("sel darah é ä 細胞.bmp", "sel darah é ä 細胞.bmp"),
        ("a\\b.bmp", "a\\b.bmp"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("one\ntwo", "one\\ntwo"),
        ("one\\n\ntwo", "one\\\\n\\ntwo"),
        ("\r\t\x7f", "\\r\\t\\x7f"),
        (os.fsdecode(b"caf\xe9.bmp"), "caf\\xe9.bmp"),
        ("gpj.\u202ebmp", "gpj.\\u202ebmp"),
        ("a\u00a0b", "a\\u00a0b"),
        ("\x9b31m", "\\u009b31m"),
    ],
)
def test_control_and_invisible_characters_in_names_are_escaped(name: str, text: str) -> None:
    assert shown(name) == text


@given(st.binary(max_size=40))
def test_any_bytes_become_one_printable_line_and_no_two_names_the_same(content: bytes) -> None:
    text = shown(os.fsdecode(content))
    assert text.isprintable()
    if text != os.fsdecode(content):
        back = re.sub(
            rb"\\(x..|u....|U........|.)",
            lambda found: _unescaped(found[1].decode()),
            text.encode(),
        )
        assert back == content


def _unescaped(code: str) -> bytes:
    if code[0] in "uU":
        return chr(int(code[1:], 16)).encode()
    if code[0] == "x":
        return bytes([int(code[1:], 16)])
    return {"n": b"\n", "r": b"\r", "t": b"\t", "\\": b"\\"}[code]
