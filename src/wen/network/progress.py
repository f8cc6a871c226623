"""What a person sees of a training: which model of how many, its epochs, what they measured, and the time left."""

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
class Place:
    """Where a model stands among those of the study."""

    title: Message
    """E.g. ``model 3 of 15 (LR 0.001, fold 2)``."""
    left: int = 0
    """How many models come after it."""
    each: float | None = None
    """Mean seconds of those before it; None if there is none."""
    begun: float = field(default_factory=time.monotonic)

    def time_left(self, stage: float) -> Message:
        """E.g. ``0:12 left, all models 12:30``, from the seconds left for this stage of training."""
        if self.each is None:
            return f"{_clock(stage)} left"
        now = max(stage, self.each - (time.monotonic() - self.begun))
        return f"{_clock(stage)} left, all models {_clock(now + self.left * self.each)}"


def place(params: Params, paths: Paths, member: Member) -> Place:
    """Count the models in the order in which `dvc repro` trains them: the learning rate in focus first."""
    recipes = dict.fromkeys([str(params.lr), *params.rates])
    order = [model for recipe in recipes for model in params.members(recipe)]
    before = order.index(member)
    seconds = spent(paths).get("train-fold", [])[-before:] if before else []
    title = f"model {before + 1} of {len(order)} (LR {member.recipe}, fold {member.fold})"
    return Place(title, len(order) - before - 1, sum(seconds) / len(seconds) if seconds else None)


def reading(row: dict[str, float], best: float | None) -> Message:
    """Say what an epoch measured, each number with what it was measured on, and the best accuracy so far."""
    return (
        f"training loss {row['loss/train']:.3f}, accuracy {row['accuracy/train']:.3f}; "
        f"validation loss {row['loss/validation']:.3f}, accuracy {row['accuracy/validation']:.3f}"
        + ("" if best is None else f"\nbest validation accuracy so far: {best:.3f}")
    )


class _Epochs(Progress):
    """A title, a bar, and below it what the last epoch measured."""

    title = figures = ""

    def get_renderables(self) -> Iterator[RenderableType]:
        yield Text(self.title)
        yield from super().get_renderables()
        if self.figures:
            yield Text(self.figures)


@contextmanager
def epoch_bar(
    where: Place, stage: str, epochs: int, done: int = 0, console: Console | None = None
) -> Iterator[Callable[[str], None]]:
    """Show a bar of ``epochs`` steps, ``done`` of them finished; call what is yielded with each epoch's figures.

    It disappears when the stage is over, and is not shown at all where there is no terminal.
    """
    console = console or Console(stderr=True)
    columns = (TextColumn(stage), BarColumn(12), MofNCompleteColumn(), TextColumn("{task.description}"))
    begun, ran = time.monotonic(), 0
    with _Epochs(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        bar.title = where.title
        task = bar.add_task("", total=epochs, completed=done)

        def advance(figures: str) -> None:
            nonlocal ran
            ran += 1
            left = (time.monotonic() - begun) / ran * (epochs - done - ran)
            bar.figures = figures
            bar.update(task, advance=1, description=where.time_left(left))

        yield advance


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
