"""A progress bar over epochs: loss and accuracy in training | validation, and the time left."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def epoch_bar(title: str, epochs: int, done: int = 0) -> Iterator[Callable[[str], None]]:
    """Show a bar of ``epochs`` steps, ``done`` of them finished; call what is yielded with each epoch's figures."""
    columns = (TextColumn(title), BarColumn(8), MofNCompleteColumn(), TextColumn("{task.description}"),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns) as progress:
        bar = progress.add_task("", total=epochs, completed=done)
        yield lambda figures: progress.update(bar, advance=1, description=figures)
