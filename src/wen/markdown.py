"""Names in Markdown, where a name can hold any printable character."""

import re


def plain(name: str) -> str:
    """Escape what Markdown would take for emphasis, a link, a cell of a table, a formula or HTML."""
    return re.sub(r"[\\`*_\[\]<>|#$~&]", r"\\\g<0>", name)
