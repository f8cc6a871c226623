"""Numbers that are seen wherever they are printed: between ⟦ and ⟧."""

import re
from typing import Any

import numpy as np

MARKED = re.compile("⟦([^⟦⟧]*)⟧")
NUMBER = re.compile(r"\d(?:[\d.,]*\d)?")


class _Printed:
    def __format__(self, spec: str) -> str:
        return f"⟦{self._bare().__format__(spec)}⟧"

    def __str__(self) -> str:
        return f"⟦{self._bare()}⟧"

    def _bare(self) -> Any:
        return float(self) if isinstance(self, float) else int(self)  # type: ignore[call-overload]


def _keeping(name: str) -> Any:
    def method(self: Any, *others: Any) -> Any:
        bare = [other._bare() if isinstance(other, _Printed) else other for other in others]
        found = getattr(self._bare(), name)(*bare)
        return found if found is NotImplemented else marked(found)

    return method


_ARITHMETIC = {
    f"__{name}__": _keeping(f"__{name}__")
    for name in ("neg", "add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv")
}
MarkedFloat = type("MarkedFloat", (_Printed, float), _ARITHMETIC)
MarkedInt = type("MarkedInt", (_Printed, int), _ARITHMETIC)


def marked(value: Any) -> Any:
    """The same, with every number marked."""
    if isinstance(value, dict):
        return {key: marked(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [marked(item) for item in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return MarkedInt(value)
    return MarkedFloat(value) if isinstance(value, float | np.floating) else value


def unmarked(text: str) -> str:
    """The text with the marks taken off."""
    return MARKED.sub(r"\1", text)


def unaccounted(text: str, declared: set[str]) -> list[str]:
    """Sentences with a number that is neither marked nor declared, of the visible text of HTML."""
    visible = re.sub(r"<(script|style).*?</\1>|<[^>]*>", "\n", text, flags=re.DOTALL)
    return [
        MARKED.sub(r"\1", sentence).strip()
        for sentence in visible.split("\n")
        if set(NUMBER.findall(MARKED.sub("", sentence))) - declared
    ]
