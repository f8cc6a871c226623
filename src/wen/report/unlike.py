"""The reasons why images differ from the others of a study, in the language of the report."""

import re

from wen.report.language import Text

KINDS = ("black", "plain", "size", "area", "colour")


def reason(found: str, t: Text) -> str:
    """Translate a reason of `wen.data.outliers`, which metrics/dataset.json has in English; keep one that is unknown.

    Parameters
    ----------
    found : str
        Such as ``more blue than usual (mean 207, 120 to 168 in the study)``.
    t : Text
    """
    for kind in KINDS:
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(t.catalogue[f"unlike.{kind}"]["en"]))
        if parts := re.fullmatch(pattern, found):
            translated = {
                key: _by_word(part, t) if key in ("word", "measure") else part
                for key, part in parts.groupdict().items()
            }
            return t(f"unlike.{kind}", **translated)
    return found


def _by_word(words: str, t: Text) -> str:
    return " ".join(t(f"unlike.{word}") for word in words.split())
