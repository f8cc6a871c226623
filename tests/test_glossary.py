"""docs/GLOSSARY.md: each word is one that the docs and the report use, in both languages, and stands once."""

import re

import pytest
from conftest import PROJECT

from wen.report.language import catalogue

ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split("|"))
    for line in (PROJECT / "docs/GLOSSARY.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| English")
]
TEXTS = {language: " ".join(text[language] for text in catalogue().values()).lower() for language in ("en", "id")}
PAGES = [
    PROJECT / "README.md", *(path for path in (PROJECT / "docs").glob("*.md") if path.name != "GLOSSARY.md"),
]  # fmt: skip
DOCS = " ".join(path.read_text(encoding="utf-8") for path in PAGES)
INDONESIAN = " ".join(path.read_text(encoding="utf-8").lower() for path in PAGES if path.name.endswith(".id.md"))

PARAMS = (PROJECT / "params.yaml").read_text(encoding="utf-8")


def words(cell: str) -> list[str]:
    return [word.lower() for word in cell.split(", ")]


def test_every_term_is_listed_once() -> None:
    english = [word for row in ROWS for word in words(row[0])]
    assert len(set(english)) == len(english)
    assert all(len(row) == 4 and all(row) for row in ROWS)


@pytest.mark.parametrize(("english", "indonesian", "where"), [(row[0], row[1], row[3]) for row in ROWS])
def test_docs_and_report_use_the_word_and_name_its_place(english: str, indonesian: str, where: str) -> None:
    for word in words(english):
        assert word in f"{DOCS} {TEXTS['en']}".lower(), word
    for word in words(indonesian):
        assert word in f"{TEXTS['id']} {INDONESIAN}", word
    for place in re.findall(r"`([^`]+)`|\b((?:data|metrics|report)/[\w./-]*)", where):
        name = place[0].split(".")[0] or place[1]
        assert name in DOCS or name in PARAMS, place
