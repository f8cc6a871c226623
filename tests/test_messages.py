"""Errors, help, comments of the profiles and texts of the report: one style, and one term for one thing."""

import ast
import re
from collections.abc import Iterator
from itertools import chain

import pytest
from conftest import PROJECT
from params_page import comments

from wen.report.language import catalogue

SOURCES = sorted((PROJECT / "src/wen").rglob("*.py"))
ENGLISH = {
    r"\bwhole\b": "complete, full or all",
    r"\bmend(s|ed)?\b": "correct, fix or repair",
    r"\btold\b": "known, or name who reports it",
    r"\banew\b": "again",
    r"\bnobody\b|\bno one\b": "unknown, or untested",
    r"\bas (it is|they are)\b": "unaltered, or original",
    r"\bstand(s|ing)? (for|beside)\b": "represents, or is also shown",
    r"\bhas to\b|\bhave to\b": "must",
    r"\bis of (a|an|the|another)\b": "belongs to, or shows",
    r"\bmisread\b": "misclassified",
    r"\b[Tt]he LRs\b": "the learning rates",
    r"\bfiles alone\b": "files only",
}
INDONESIAN = {
    r"\bpeluang (sel|ALL|HEM|\{positive\})|rata-rata peluang": "probabilitas",
    r"[Kk]epala linear": "head linear",
    r"\bpralatih": "pra-terlatih",
    r"\blearning rate": "Learning Rate",
    r"\bselang \d|\bselang kepercayaan": "interval kepercayaan",
    r"\bkinerja\b": "performa",
    r"\bstudi ini\b": "penelitian ini",
    r"\bantar (subjek|anggota|kelompok|metrik)": "antarsubjek, antaranggota, ... in a word",
    r"\bpoin persen\b": "poin persentase",
}


def text_of(node: ast.expr) -> str:
    """The text of a literal, ``{}`` for each value in it; empty for any other expression."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)  # type: ignore[misc]
    return ""


def arguments(*functions: str) -> Iterator[str]:
    """The texts that some functions are called with, all over the package."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                if name in functions:
                    yield from filter(None, map(text_of, node.args))


def helps() -> Iterator[str]:
    """The help of commands and options."""
    for node in ast.walk(ast.parse((PROJECT / "src/wen/cli.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "help":
            yield text_of(node.value)
        if isinstance(node, ast.FunctionDef) and any("command" in ast.unparse(one) for one in node.decorator_list):
            yield (ast.get_docstring(node) or "").splitlines()[0]


ERRORS = sorted(set(arguments("WenError", "ValueError", "BadParameter")))
HELPS = sorted(set(helps()))
PRINTED = sorted(set(arguments("print", "warn", "Finding", "add", "BadImage")))
PROFILES = sorted((PROJECT / "profiles").glob("*.yaml"))
COMMENTS = sorted(set(chain.from_iterable(comments(path.read_text(encoding="utf-8")).values() for path in PROFILES)))
REPORT = {language: [texts[language] for texts in catalogue().values()] for language in ("en", "id")}


@pytest.mark.parametrize("word", ENGLISH)
def test_english_texts_use_one_term_for_one_thing(word: str) -> None:
    found = [text for text in chain(ERRORS, HELPS, PRINTED, COMMENTS, REPORT["en"]) if re.search(word, text)]
    assert not found, f"write {ENGLISH[word]}"


@pytest.mark.parametrize("word", INDONESIAN)
def test_indonesian_texts_use_one_term_for_one_thing(word: str) -> None:
    found = [text for text in REPORT["id"] if re.search(word, text)]
    assert not found, f"write {INDONESIAN[word]}"


def test_no_text_has_two_blanks_in_a_row() -> None:
    texts = chain(ERRORS, HELPS, COMMENTS, *REPORT.values())
    assert [text for text in texts if re.search(r"[^\n ]  +\S", text)] == []


def test_an_error_ends_without_a_full_stop_as_its_remedy_may_be_a_command() -> None:
    assert [text for text in ERRORS if text.endswith(".")] == []


def test_a_help_text_is_a_sentence_that_ends_with_a_full_stop() -> None:
    assert [text for text in HELPS if not re.match(r"[A-Z].*[.)]$", text.replace("\n", " "))] == []


def test_a_text_of_the_report_ends_alike_in_both_languages() -> None:
    assert [key for key, text in catalogue().items() if text["en"].endswith(".") != text["id"].endswith(".")] == []
