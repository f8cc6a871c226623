"""A progress bar for loops."""

from collections.abc import Iterable
from typing import TypeVar

from rich import progress
from rich.console import Console

Item = TypeVar("Item")


def track(items: Iterable[Item], title: str, total: int | None = None) -> Iterable[Item]:
    """Yield the items, with a progress bar on standard error if that is a terminal."""
    console = Console(stderr=True)
    return progress.track(items, title, total, console=console, transient=True, disable=not console.is_terminal)
