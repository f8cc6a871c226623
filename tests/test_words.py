"""Names and words that code, tests, benchmarks and pages avoid, and what to write instead."""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import PROJECT

NAMES = {
    "data2": "the field's term",
    "helper": "what it does",
    "helpers": "what they do",
    "mend": "correct or repair",
    "mine": "the field's term",
    "ours": "the field's term",
    "own": "the field's term: member, row, path",
    "said": "the field's term: text, message, meaning",
    "told": "the field's term: reported, known",
    "util": "what it does",
    "utils": "what they do",
    "whole": "complete or full",
}
WORDS = {
    r"\banew\b": "again",
    r"\bmend(s|ed|ing)?\b": "correct, fix or repair",
    r"\bnobody\b|\bno one\b": "unknown, untested, or a passive",
    r"\bours\b": "the study's",
    r"\bsaid\b": "stated, reported or called",
    r"\btold\b": "known, reported, or who reports it",
    r"\bwhole\b": "complete, full, all or undivided",
    r"\bas the .* (has|have) it\b": "as in ...",
}
FOLDERS = ("src", "tests", "bench", "chaos", "docs")
ROOT = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile")
LISTS = ("tests/test_words.py", "tests/test_messages.py", "docs/MUTANTS.md")
"""Files that list these words, or quote code."""
SUFFIXES = (".py", ".md", ".yaml", ".html", ".css", ".js", ".xml", "")

FILES = {
    name: (PROJECT / name).read_text(encoding="utf-8")
    for name in subprocess.run(
        ["git", "ls-files", *FOLDERS, *ROOT], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    if name not in LISTS and Path(name).suffix in SUFFIXES and (PROJECT / name).is_file()
}


def defined(name: str) -> Iterator[str]:
    """Yield the names that a Python file defines: its own, functions, classes, parameters, variables, attributes."""
    yield Path(name).stem
    for node in ast.walk(ast.parse(FILES[name])):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr


def prose(name: str) -> Iterator[str]:
    """Yield a page, or the comments, docstrings and function names of a Python file."""
    if not name.endswith(".py"):
        yield FILES[name]
        return
    for node in ast.walk(ast.parse(FILES[name])):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value
        if isinstance(node, ast.FunctionDef):
            yield node.name.replace("_", " ")
    for token in tokenize.generate_tokens(io.StringIO(FILES[name]).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def containing(word: str) -> list[str]:
    """List the files that contain a word anywhere, the only ones that need to be parsed."""
    return [name for name, text in FILES.items() if re.search(word, text.replace("_", " "), re.IGNORECASE)]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_named(name: str) -> None:
    found = [
        f"{file}: {known}"
        for file in containing(rf"\b{name}\b")
        if file.endswith(".py")
        for known in defined(file)
        if known.strip("_").lower() == name
    ]
    assert not found, f"write {NAMES[name]}"


@pytest.mark.parametrize("word", WORDS)
def test_no_comment_docstring_test_or_page_uses(word: str) -> None:
    found = [
        f"{file}: ...{text[max(match.start() - 40, 0) : match.end() + 40]}..."
        for file in containing(word)
        for text in prose(file)
        for match in re.finditer(word, text, re.IGNORECASE)
    ]
    assert not found, f"write {WORDS[word]}"
