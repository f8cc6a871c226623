"""Typography of running text: minus signs, powers of ten, and Inter-LR on one line.

Names in files keep their plain form, such as 1e-05.
"""

import re

from markupsafe import Markup, escape

POWER = r"\b(\d+(?:[.,]\d+)?)e-(\d+)\b(?!\.\w)"
"""A number such as 1e-05."""
MINUS = r"(?<![\w./])-(?=\d)(?!\d+\.[A-Za-z])"
"""A hyphen that represents a minus sign: not that of 0.001-3, nor that of a file name."""
UNBROKEN = r"\b(?:Inter|Intra)-LR\b"
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_KEPT = r"<(?P<tag>script|style|svg|pre|code|title)\b.*?</(?P=tag)>|<[^>]*>"


def typeset(text: str) -> str:
    """Write 1e-05 as 10⁻⁵, and a hyphen that represents minus as a minus sign."""
    return re.sub(MINUS, "\N{MINUS SIGN}", re.sub(POWER, _power, text))


def code(text: str) -> Markup:
    """Mark up what a text has in backticks as code, for HTML."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def page(html: str) -> str:
    """Typeset the text of a page, without its tags, scripts, code and figures."""
    return re.sub(rf"(?P<kept>{_KEPT})|[^<]+", _part, html, flags=re.DOTALL)


def _part(match: re.Match[str]) -> str:
    if match["kept"]:
        return match[0]
    return re.sub(UNBROKEN, r'<span class="one">\g<0></span>', typeset(match[0]))


def _power(match: re.Match[str]) -> str:
    factor = "" if match[1] == "1" else f"{match[1]} · "
    return f"{factor}10{f'-{int(match[2])}'.translate(SUPERSCRIPT)}"
