"""Compare the column of labels with any other column of a table that may hold labels, too."""

from collections.abc import Sequence

from wen.data.csv_file import Table
from wen.data.problems import Problems
from wen.data.readers.labels import label_of, normal, positive_of


def compare(content: Table, chosen: str, others: Sequence[str], classes: Sequence[str], problems: Problems) -> None:
    """Report the rows in which another column has the other class.

    A column of other words is compared only if it has two values and they show which of them is positive.

    Parameters
    ----------
    content : Table
    chosen : str
        The column from which the labels are read.
    others : sequence of str
        Further columns whose name says that they hold labels.
    classes : sequence of str
        Names of the negative and the positive class.
    problems : Problems
    """
    for other in others:
        lines = [line for line, _ in content.rows]
        pairs = zip(lines, content.values(chosen), content.values(other), strict=True)
        filled = [(line, one, two) for line, one, two in pairs if one and two]
        meant = _meant([(one, two) for _, one, two in filled], classes)
        for line, one, two in filled:
            label, second = label_of(one, classes), meant.get(normal(two))
            if label is not None and second is not None and label != second:
                problems.add(
                    f"its columns {chosen} and {other} name different classes; correct them, or rename or remove the "
                    "column that does not name the class",
                    f"line {line}",
                    f"{one} and {two}",
                )


def _meant(pairs: Sequence[tuple[str, str]], classes: Sequence[str]) -> dict[str, int]:
    """The class that each value of the other column means."""
    values = sorted({normal(two) for _, two in pairs})
    named = {value: label for value in values if (label := label_of(value, classes)) is not None}
    positive = positive_of(values) if len(values) == 2 and not named else None
    return named if positive is None else {value: int(value == positive) for value in values}
