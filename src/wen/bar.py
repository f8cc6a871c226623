"""A bar that shows how far a loop has come."""

from collections.abc import Iterable
from typing import TypeVar

from rich import progress
from rich.console import Console

Item = TypeVar("Item")


def track(items: Iterable[Item], title: str, total: int | None = None) -> Iterable[Item]:
    """Pass on items, with a bar on standard error while they last; without one where that is no terminal."""
    console = Console(stderr=True)
    return progress.track(items, title, total, console=console, transient=True, disable=not console.is_terminal)
