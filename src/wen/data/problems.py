"""Problems with many files: each cause is reported once, with the number of files and a few of their names."""

from collections import defaultdict

from wen.data.folder import some


class Problems:
    """Problems of files or rows, grouped by their cause."""

    def __init__(self) -> None:
        self._by_cause: dict[str, list[tuple[str, str]]] = defaultdict(list)

    def __bool__(self) -> bool:
        return bool(self._by_cause)

    def add(self, cause: str, name: object, detail: str = "") -> None:
        """Record a problem of a file or row.

        Parameters
        ----------
        cause : str
            The problem without the name of the file, so that files with the same cause are grouped.
        name : object
            The file or row.
        detail : str
            A fact about this file or row only, such as the size of an image.
        """
        self._by_cause[cause].append((str(name), detail))

    def lines(self) -> list[str]:
        """Report each cause in a line, in the order in which they were found."""
        return [_line(cause, places) for cause, places in self._by_cause.items()]


def _line(cause: str, places: list[tuple[str, str]]) -> str:
    if len(places) == 1:
        ((name, detail),) = places
        return f"{name}: {detail}, {cause}" if detail else f"{name}: {cause}"
    return f"{len(places):,} files or rows: {cause}: {some([f'{n} ({d})' if d else n for n, d in places])}"
