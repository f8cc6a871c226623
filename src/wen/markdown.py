"""Escape names in Markdown; a name can contain any printable character."""

import re


def plain(name: str) -> str:
    """Escape what Markdown would interpret as emphasis, a link, a table cell, a formula or HTML."""
    return re.sub(r"[\\`*_\[\]<>|#$~&]", r"\\\g<0>", name)
