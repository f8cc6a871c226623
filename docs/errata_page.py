"""Write the tables of docs/ERRATA.md and docs/ERRATA.id.md, as in the report: ``python docs/errata_page.py``."""

from pathlib import Path

from wen.report.language import listed

PAGES = {"en": "ERRATA.md", "id": "ERRATA.id.md"}
COLUMNS = ("place", "page", "says", "meant", "decision")
"""Where in the thesis, on which page the section begins, what it says, what is meant, and what this study does."""
RULE = "|---|---|---|---|---|\n"


def page(text: str, language: str) -> str:
    """Replace the rows of the table of a page by the errata."""
    head, rule, _ = text.partition(RULE)
    rows = ["| " + " | ".join(str(entry[key]) for key in COLUMNS) + " |\n" for entry in listed("errata.yaml", language)]
    return head + rule + "".join(rows)


if __name__ == "__main__":
    for language, name in PAGES.items():
        path = Path(__file__).with_name(name)
        path.write_text(page(path.read_text(encoding="utf-8"), language), encoding="utf-8", newline="\n")
