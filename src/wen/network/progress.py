"""Progress bar of a training: the model's number, its epochs, their metrics and the remaining time."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from wen.config.member import Member
from wen.config.params import Params
from wen.config.paths import Paths
from wen.errors import Message
from wen.times import spent


@dataclass(frozen=True)
class Position:
    """Position of a model among the models of the study."""

    title: Message
    """For example ``model 3 of 15 (LR 0.001, fold 2)``."""
    remaining: int = 0
    """Number of models after this one."""
    mean_seconds: float | None = None
    """Mean training time of the models before this one, in s; None if there are none."""
    started: float = field(default_factory=time.monotonic)

    def time_left(self, stage_seconds: float) -> Message:
        """Format the remaining time, for example ``0:12 left, all models 12:30``.

        Parameters
        ----------
        stage_seconds : float
            Estimated time until the end of the current stage, in s.
        """
        if self.mean_seconds is None:
            return f"{_clock(stage_seconds)} left"
        model_seconds = max(stage_seconds, self.mean_seconds - (time.monotonic() - self.started))
        return f"{_clock(stage_seconds)} left, all models {_clock(model_seconds + self.remaining * self.mean_seconds)}"


def position_of(member: Member, params: Params, paths: Paths) -> Position:
    """Find a model's position in the training order of `dvc repro`, which starts with params.yaml's ``lr``."""
    recipes = dict.fromkeys([str(params.lr), *params.rates])
    order = [model for recipe in recipes for model in params.members(recipe)]
    index = order.index(member)
    seconds = spent(paths).get("train-fold", [])[-index:] if index else []
    title = f"model {index + 1} of {len(order)} (LR {member.recipe}, fold {member.fold})"
    return Position(title, len(order) - index - 1, sum(seconds) / len(seconds) if seconds else None)


def format_metrics(row: dict[str, float], best: float | None) -> Message:
    """Format the metrics of an epoch, and the best validation accuracy so far."""
    return (
        f"training loss {row['loss/train']:.3f}, accuracy {row['accuracy/train']:.3f}; "
        f"validation loss {row['loss/validation']:.3f}, accuracy {row['accuracy/validation']:.3f}"
        + ("" if best is None else f"\nbest validation accuracy so far: {best:.3f}")
    )


class _Epochs(Progress):
    """A title, a progress bar, and the metrics of the last epoch below it."""

    title = metrics = ""

    def get_renderables(self) -> Iterator[RenderableType]:
        yield Text(self.title)
        yield from super().get_renderables()
        if self.metrics:
            yield Text(self.metrics)


@contextmanager
def epoch_bar(
    position: Position, stage: str, epochs: int, done: int = 0, console: Console | None = None
) -> Iterator[Callable[[str], None]]:
    """Show a progress bar of ``epochs`` epochs, of which ``done`` are completed, for the duration of a block.

    Nothing is shown if the output is not a terminal.

    Yields
    ------
    callable
        Call it after each epoch with the epoch's metrics as text.
    """
    console = console or Console(stderr=True)
    columns = (TextColumn(stage), BarColumn(12), MofNCompleteColumn(), TextColumn("{task.description}"))
    started, completed = time.monotonic(), 0
    with _Epochs(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        bar.title = position.title
        task = bar.add_task("", total=epochs, completed=done)

        def advance(metrics: str) -> None:
            nonlocal completed
            completed += 1
            seconds_left = (time.monotonic() - started) / completed * (epochs - done - completed)
            bar.metrics = metrics
            bar.update(task, advance=1, description=position.time_left(seconds_left))

        yield advance


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
