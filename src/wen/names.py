"""Escape file names for a terminal: a name can contain any byte except ``/`` and NUL."""

import os
import unicodedata

JOINERS = "\u200c\u200d"
"""Zero-width non-joiner and joiner, which are letters' parts in Persian and Indic words."""


def is_text(name: str) -> bool:
    """Whether a name consists of letters, signs and blanks of any script.

    Control characters, marks of direction, line ends and bytes that are not UTF-8 are no text.
    """
    return all(one.isprintable() or one in JOINERS or unicodedata.category(one) == "Zs" for one in name)


def shown(name: str | os.PathLike[str]) -> str:
    r"""Escape what is not printable in a name, so that it can neither forge a line nor control a terminal.

    A printable name is not changed. In any other, control characters and bytes that are not UTF-8 become ``\x1b``,
    invisible or directional characters ``\u202e``, line ends ``\n``, and a backslash is doubled.

    Parameters
    ----------
    name : str or path
        As the system returns it: bytes that are not UTF-8 are surrogates (PEP 383).

    Returns
    -------
    str
    """
    text = os.fspath(name)
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if character == "\\" or code < 0x80:
        return character if character.isprintable() and character != "\\" else ascii(character)[1:-1]
    if character.isprintable():
        return character
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
