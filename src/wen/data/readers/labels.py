"""Match folder names and labels to classes, and guess which of two classes is the positive one."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

POSITIVE = re.compile(
    r"1|yes|true|all|aml|cll|cml|[abt]ll|pos|(leuk(?!o[csz][iy]t)|blast|malign|tumou?r|cancer|positi[vf]|patholog|abnormal|"
    r"diseas|sick|infect|parasit|ganas|sakit|blas).*"
)
NEGATIVE = re.compile(
    r"0|no|without|free|adjacent|tidak|bukan|tanpa|bebas|false|hem|neg|"
    r"(normal|health|benign|negati[vf]|control|uninfect|unaffect|sehat|jinak|kontrol|non(?!hodgkin)|not(?!ch)).*"
)


def normal(text: str) -> str:
    """Normalise a name: ignore case, Unicode form and separators (blanks, hyphens, underscores).

    1.0 and 1,0 are read as 1. The sign of a number is kept: -1 is not 1. The Turkish i and dotless i are one letter,
    because SAĞLIKLI and Sağlıklı, or LÖSEMİ and lösemi, differ in case alone. A name of separators alone,
    such as - beside +, stays as it is, because an empty name is that of an unknown class.
    """
    text = unicodedata.normalize("NFKC", text).casefold().replace("i\u0307", "i").replace("\u0131", "i")
    words = " ".join(re.sub(r"[\s_]+|-(?!\d+([.,]0+)?\s*$)|(?<=\S)-", " ", text).split())
    return re.sub(r"^(-?[0-9]+)[.,]0+$", r"\1", words or text.strip())


def label_of(text: str, classes: Sequence[str]) -> int | None:
    """Return the index of the class that a label names, by its name or as 0 or 1; None if it names neither."""
    names, value = [normal(name) for name in classes], normal(text)
    if value in names:
        return names.index(value)
    return int(value) if value in ("0", "1") and not {"0", "1"} & set(names) else None


def positive_of(names: Iterable[str]) -> str | None:
    """Guess the positive one of two classes by its name; None if the names do not show it.

    Of other numbers than 0 and 1, as in batch 1 and batch 2, either may be meant.
    """
    names = list(names)
    one, other = (normal(name).replace("non hodgkin", "nonhodgkin").split() for name in names)
    if not set(filter(str.isdecimal, [*one, *other])) <= {"0", "1"}:
        one, other = ([word for word in words if not word.isdecimal()] for words in (one, other))
    for positive, negative, name in ((one, other, names[0]), (other, one, names[1])):
        if _means(positive, POSITIVE) and not _means(negative, POSITIVE):
            return name
        if _means(negative, NEGATIVE) and not _means(positive, NEGATIVE):
            return name
    return None


def _means(name: Sequence[str], meaning: re.Pattern[str]) -> bool:
    if meaning is POSITIVE and any(NEGATIVE.fullmatch(word) for word in name):
        return False
    return any(meaning.fullmatch(word) for word in name)
