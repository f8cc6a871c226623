"""Train a head whose settings are searched within the training images of a fold."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from wen.systems.fold import Training
from wen.systems.search import Space, Values, search
from wen.systems.system import Model
from wen.systems.training import Head, fit_in_two_stages, inner_accuracy

HeadOf = Callable[[Any], Head]
"""Maps settings to a function that creates the head."""


def fit_searched(training: Training, settings: Any, space: Space, sampler: str, head: HeadOf) -> Model:
    """Search for the settings with the highest accuracy, then train with them on all training images.

    A trial trains a head on stored pooled features of one part of the training images and is scored on the rest. Images
    of the validation fold and of the test set are not used. At depth ``finetune``, the network is trained once, with
    the settings that the search selected. ``frozen_lr`` is not used, which would replace the rate of every trial.
    """
    settings = settings.model_copy(update={"frozen_lr": None})

    def score(values: Values) -> float:
        options = settings.model_copy(update=values)
        return inner_accuracy(training, options, head(options))

    result = search(training, sampler, space, score, settings.trials, sampler)
    options = settings.model_copy(update=result.best)
    model = fit_in_two_stages(training, options, head(options))
    return replace(model, chosen=model.chosen | result.best, history=result.history)
