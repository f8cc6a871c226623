"""What is wrong with many files: each cause once, with how many files have it and a few of their names."""

from collections import defaultdict

from wen.data.folder import some


class Problems:
    """Causes, and the files or rows that have them."""

    def __init__(self) -> None:
        self._found: dict[str, list[tuple[str, str]]] = defaultdict(list)

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, cause: str, name: object, detail: str = "") -> None:
        """Note that a file or row has a problem.

        Parameters
        ----------
        cause : str
            Names no single file, so that many can share it.
        name : object
            Of the file or row.
        detail : str
            What was found of it alone, such as the size of an image.
        """
        self._found[cause].append((str(name), detail))

    def lines(self) -> list[str]:
        """A line for each cause, in the order in which they were found."""
        return [_line(cause, found) for cause, found in self._found.items()]


def _line(cause: str, found: list[tuple[str, str]]) -> str:
    if len(found) == 1:
        ((name, detail),) = found
        return f"{name}: {detail}, {cause}" if detail else f"{name}: {cause}"
    return f"{len(found):,} files or rows: {cause}: {some([f'{n} ({d})' if d else n for n, d in found])}"
