"""A progress bar over epochs: loss and accuracy in training | validation, and the time left."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def epoch_bar(title: str, epochs: int) -> Iterator[Callable[[str], None]]:
    """Show a bar of ``epochs`` steps; call what is yielded with each finished epoch's figures."""
    columns = (TextColumn(title), BarColumn(8), MofNCompleteColumn(), TextColumn("{task.description}"),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns) as progress:
        bar = progress.add_task("", total=epochs)
        yield lambda figures: progress.update(bar, advance=1, description=figures)
