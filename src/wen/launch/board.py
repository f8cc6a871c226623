"""Live table of the study's stages. Without a terminal, one line is printed per change of state."""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

STATES = {"running": "cyan", "failed": "bold red", "waiting": "dim", "done": "green", "cached": "green dim"}
"""Styles of the states, in the order of the table."""


@dataclass
class Row:
    """Row of one stage, or of one model with its training and prediction."""

    state: str = "waiting"
    where: str = ""
    """Node and device."""
    epoch: str = ""
    """Last completed epoch: the training stage and the number of the epoch."""
    started: float = 0.0
    """Monotonic time at which the row started to run, in s."""


class Board:
    """Live table of stages and models; a context manager that shows it.

    Parameters
    ----------
    names : iterable of str
        Names of the rows.
    epochs : dict of str to int
        Maximum number of epochs of each training stage.
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
        """Set the state of a row; names without a row are ignored."""
        row = self.rows.get(name)
        if row is None:
            return
        changed = (row.state, row.where) != (state, where)
        started = time.monotonic() if state == "running" and row.state != "running" else row.started
        self.rows[name] = Row(state, where, epoch, started)
        if changed and not self.console.is_terminal:
            print(f"{name}: {state} {where}".rstrip(), flush=True)

    def counts(self) -> str:
        """Return the number of rows in each state, as text."""
        number = Counter(row.state for row in self.rows.values())
        return ", ".join(f"{number[state]} {state}" for state in STATES if number[state])

    def _table(self) -> Table:
        table = Table("stage", "state", "where", "epoch", "time", "left, about", title=self.counts(), box=None)
        order = list(STATES)
        for name, row in sorted(self.rows.items(), key=lambda item: order.index(item[1].state)):
            elapsed = time.monotonic() - row.started
            is_running = row.state == "running"
            times = (_clock(elapsed), _clock(self._seconds_left(row.epoch, elapsed))) if is_running else ("", "")
            table.add_row(name, row.state, row.where, self._format_epoch(row.epoch), *times, style=STATES[row.state])
        return table

    def _format_epoch(self, epoch: str) -> str:
        stage, _, number = epoch.partition(" ")
        return f"{stage} {number}/{self.epochs[stage]}" if number else ""

    def _seconds_left(self, epoch: str, elapsed: float) -> float | None:
        """Estimate the seconds until the last epoch of both stages from the mean time per epoch, without early
        stopping."""
        stage, _, number = epoch.partition(" ")
        if not number:
            return None
        earlier = sum(list(self.epochs.values())[: list(self.epochs).index(stage)])
        completed = earlier + int(number)
        return elapsed / completed * (sum(self.epochs.values()) - completed)


def _clock(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds // 60:.0f}:{seconds % 60:02.0f}"
