"""The building blocks of a chapter, independent of its file format."""

from dataclasses import dataclass

from wen.report.tables import Table

WIDTH = 14.0
"""Width of the text on a thesis' page, in cm: A4 less margins of 4 and 3 cm."""
REFERENCE = r"\[(tab|fig):([\w-]+)\]"
"""A reference in running text to a table or a figure, by its name."""


@dataclass(frozen=True)
class Heading:
    text: str


@dataclass(frozen=True)
class Paragraph:
    """Running text; ``[tab:single]`` and ``[fig:roc]`` in it refer to a table and a figure."""

    text: str


@dataclass(frozen=True)
class Note:
    """A note to the author about what to write."""

    text: str


@dataclass(frozen=True)
class Placed:
    """A table or a figure at its place in the text, with its width in cm."""

    kind: str
    """``tab`` or ``fig``."""
    name: str
    caption: str
    table: Table | None = None
    """None for a figure."""
    width: float = WIDTH
    height: float = 0.0
    """Height of a figure, in cm."""

    @property
    def mark(self) -> str:
        """The bookmark that Word's cross-references point to."""
        return f"{self.kind}_{self.name}"


Block = Heading | Paragraph | Note | Placed
