"""Put a table into docs/RELIABILITY.md."""

from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs/RELIABILITY.md"


def write(name: str, command: str, table: list[str]) -> None:
    """Replace the text between ``<!-- name -->`` and ``<!-- end of name -->``."""
    text = PAGE.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    head, rest = text.split(begin)
    body = "\n".join(["", command, "", *table, ""])
    PAGE.write_text(head + begin + body + "\n" + end + rest.split(end)[1], encoding="utf-8")
