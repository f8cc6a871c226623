"""Search of settings by Optuna: seeded trial by trial, and kept in a journal, so that a killed search goes on."""

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
STARTUP = 5
POPULATION = 10


@dataclass(frozen=True)
class Between:
    """A number of a range, on a logarithmic scale if ``log``."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class OneOf:
    """One of a few values."""

    values: tuple[Any, ...]


Space = Mapping[str, Between | OneOf]


@dataclass(frozen=True)
class Found:
    """What a search found."""

    best: Values
    history: list[Values]
    """Of each trial: its ``trial`` from 1, ``score``, and the values."""


def search(
    training: Training, name: str, space: Space, score: Callable[[Values], float], trials: int, sampler: str
) -> Found:
    """Look for the values of the highest score.

    Parameters
    ----------
    training : Training
        Whose images the score is of: no other enters it.
    name : str
        Of the search, within its system and fold.
    space : dict of str to Between or OneOf
    score : callable
        Of some values, from 0, the worst, which also says that their training diverged, to 1.
    trials : int
        How many values to try.
    sampler : str
        One of `SAMPLERS`.

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
            # A sampler of its own for each trial: what it draws depends on the trials before it and on nothing else.
            study.sampler = SAMPLERS[sampler](training.seed(number, what=f"search {sampler}"))
            trial = study.ask(distributions)
            study.tell(trial, score(trial.params))
            journal.mark()
    history = [{"trial": trial.number + 1, "score": trial.value, **trial.params} for trial in study.trials]
    best = max(study.trials, key=lambda trial: (trial.value, -trial.number))
    if not best.value:
        raise WenError(
            f"system {training.system}, fold {training.fold}: every trial of its search diverged; allow more trials "
            "in params.yaml, or remove the system there"
        )
    return Found(dict(best.params), history)


class _Journal:
    """A search's file, which ends where its last finished trial does: a killed trial is as if it never began."""

    def __init__(self, path: Path) -> None:
        self.path, self.end = path, path.with_suffix(".end")

    def study(self) -> "optuna.Study":
        """Open the study, as it was after its last finished trial."""
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
        except Exception:  # of many kinds, where the file is spoiled
            if not end:
                raise
            self.end.unlink()
            return self.study()

    def mark(self) -> None:
        """Note that a trial is finished."""
        write_text(self.end, str(self.path.stat().st_size))


class _NoLock:
    """In place of a file that a killed process would leave locked: one process writes a journal."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def _distribution(values: Between | OneOf) -> "optuna.distributions.BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if isinstance(values, OneOf):
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
"""Bayesian optimisation by a Gaussian process, after `STARTUP` random trials; an elitist genetic algorithm, in
generations of `POPULATION`; and random values."""
