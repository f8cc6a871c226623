"""Search settings with Optuna. Each trial has a seed, and a journal lets an interrupted search resume."""

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from wen.errors import WenError
from wen.files import write_text
from wen.systems.fold import Training

if TYPE_CHECKING:
    import optuna

Values = dict[str, Any]
"""Settings by name."""
STARTUP = 5
"""Random trials before the Gaussian process."""
POPULATION = 10
"""Trials per generation of the genetic algorithm."""


@dataclass(frozen=True)
class FloatRange:
    """A range of numbers, on a logarithmic scale if ``log``."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Choice:
    """A list of alternative values."""

    values: tuple[Any, ...]


Space = Mapping[str, FloatRange | Choice]


@dataclass(frozen=True)
class SearchResult:
    """Result of a search."""

    best: Values
    """Settings with the highest score."""
    history: list[Values]
    """For each trial, its number ``trial`` from 1, its ``score`` and its settings."""


def search(
    training: Training, name: str, space: Space, score: Callable[[Values], float], trials: int, sampler: str
) -> SearchResult:
    """Search for the settings with the highest score.

    Parameters
    ----------
    training : Training
        Training images of the fold; the score must use no others.
    name : str
        Name of the search, unique within its system and fold.
    space : dict of str to FloatRange or Choice
    score : callable
        Returns the score of settings, from 0 to 1; 0 also stands for a training that diverged.
    trials : int
        Number of settings to try.
    sampler : str
        Name of the search algorithm, one of `SAMPLERS`.

    Raises
    ------
    WenError
        If every trial diverged.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    journal = _Journal(training.journal(name, [sampler, trials, repr(space)]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = journal.study()
        distributions = {key: _distribution(values) for key, values in space.items()}
        for number in range(len(study.trials), trials):
            # A new sampler for each trial makes its draws independent of interruptions.
            study.sampler = SAMPLERS[sampler](training.seed(number, what=f"search {sampler}"))
            trial = study.ask(distributions)
            study.tell(trial, score(trial.params))
            journal.mark_end()
    history = [{"trial": trial.number + 1, "score": trial.value, **trial.params} for trial in study.trials]
    best = max(study.trials, key=lambda trial: (trial.value, -trial.number))
    if not best.value:
        raise WenError(
            f"system {training.system}, fold {training.fold}: every trial of its search diverged; allow more trials "
            "in params.yaml, or remove the system there"
        )
    return SearchResult(dict(best.params), history)


class _Journal:
    """Journal file of a search. On resuming, it is truncated to the end of the last completed trial."""

    def __init__(self, path: Path) -> None:
        self.path, self.end = path, path.with_suffix(".end")

    def study(self) -> "optuna.Study":
        """Open the study in its state after the last completed trial."""
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        self.path.parent.mkdir(parents=True, exist_ok=True)
        end = self.end.read_text(encoding="utf-8", errors="replace") if self.end.is_file() else ""
        if self.path.is_file() and end.isdigit() and self.path.stat().st_size >= int(end):
            os.truncate(self.path, int(end))
        else:
            self.path.unlink(missing_ok=True)
        backend = JournalFileBackend(str(self.path), cast(Any, _NoLock()))
        try:
            storage = JournalStorage(backend)
            return optuna.create_study(storage=storage, study_name="search", direction="maximize", load_if_exists=True)
        except Exception:  # Optuna raises many types for a damaged journal
            if not end:
                raise
            self.end.unlink()
            return self.study()

    def mark_end(self) -> None:
        """Record the size of the journal after a completed trial."""
        write_text(self.end, str(self.path.stat().st_size))


class _NoLock:
    """Replaces Optuna's lock file, which a killed process would leave behind. Only one process writes a journal."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def _distribution(values: FloatRange | Choice) -> "optuna.distributions.BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if isinstance(values, Choice):
        return CategoricalDistribution(values.values)
    return FloatDistribution(values.low, values.high, log=values.log)


def _gp(seed: int) -> "optuna.samplers.BaseSampler":
    from optuna.samplers import GPSampler, RandomSampler

    return GPSampler(
        seed=seed, independent_sampler=RandomSampler(seed), n_startup_trials=STARTUP, deterministic_objective=True
    )


def _genetic(seed: int) -> "optuna.samplers.BaseSampler":
    from optuna.samplers import NSGAIISampler

    return NSGAIISampler(population_size=POPULATION, seed=seed)


def _random(seed: int) -> "optuna.samplers.BaseSampler":
    from optuna.samplers import RandomSampler

    return RandomSampler(seed)


SAMPLERS: dict[str, Callable[[int], "optuna.samplers.BaseSampler"]] = {
    "gp": _gp, "genetic": _genetic, "random": _random
}  # fmt: skip
"""Bayesian optimisation with a Gaussian process, the elitist genetic algorithm NSGA-II, and random search."""
