"""A live table of the study's stages; where there is no terminal, a line for each change."""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

STATES = {"running": "cyan", "failed": "bold red", "waiting": "dim", "done": "green", "cached": "green dim"}
"""In the order of the table: what needs a look comes first."""


@dataclass
class Row:
    """One stage, or one model with its two."""

    state: str = "waiting"
    where: str = ""
    epoch: str = ""
    """Last finished epoch: the stage of training and its number."""
    since: float = 0.0


class Board:
    """The table.

    Parameters
    ----------
    names : iterable of str
        Of the rows.
    epochs : dict of str to int
        How many epochs each stage of training has, at most.
    """

    def __init__(self, names: Iterable[str], epochs: dict[str, int]) -> None:
        self.rows = {name: Row() for name in names}
        self.epochs = epochs
        self.console = Console()
        self.live = Live(console=self.console, get_renderable=self._table, refresh_per_second=2)

    def __enter__(self) -> "Board":
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.live.stop()

    def set(self, name: str, state: str, where: str = "", epoch: str = "") -> None:
        """Put a row into a state; names that are no row are left out."""
        row = self.rows.get(name)
        if row is None:
            return
        changed = (row.state, row.where) != (state, where)
        begun = time.monotonic() if state == "running" and row.state != "running" else row.since
        self.rows[name] = Row(state, where, epoch, begun)
        if changed and not self.console.is_terminal:
            print(f"{name}: {state} {where}".rstrip(), flush=True)

    def counts(self) -> str:
        """How many rows are in each state, in words."""
        number = Counter(row.state for row in self.rows.values())
        return ", ".join(f"{number[state]} {state}" for state in STATES if number[state])

    def _table(self) -> Table:
        table = Table("stage", "state", "where", "epoch", "time", "left, about", title=self.counts(), box=None)
        order = list(STATES)
        for name, row in sorted(self.rows.items(), key=lambda item: order.index(item[1].state)):
            spent = time.monotonic() - row.since
            timed = (_clock(spent), _clock(self._left(row.epoch, spent))) if row.state == "running" else ("", "")
            table.add_row(name, row.state, row.where, self._of(row.epoch), *timed, style=STATES[row.state])
        return table

    def _of(self, epoch: str) -> str:
        stage, _, number = epoch.partition(" ")
        return f"{stage} {number}/{self.epochs[stage]}" if number else ""

    def _left(self, epoch: str, spent: float) -> float | None:
        """Seconds until the last epoch of both stages, at the mean pace until now; stopping early ends sooner."""
        stage, _, number = epoch.partition(" ")
        if not number:
            return None
        before = sum(list(self.epochs.values())[: list(self.epochs).index(stage)])
        done = before + int(number)
        return spent / done * (sum(self.epochs.values()) - done)


def _clock(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds // 60:.0f}:{seconds % 60:02.0f}"
