"""A head whose settings a search chooses, inside the training images of a fold."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from wen.systems.fold import Training
from wen.systems.search import Space, Values, search
from wen.systems.system import Model
from wen.systems.training import Head, fit_in_two_stages, judged

HeadOf = Callable[[Any], Head]
"""From settings to what makes a head of them."""


def fit_searched(training: Training, settings: Any, space: Space, sampler: str, head: HeadOf) -> Model:
    """Search for the settings of the highest accuracy, then train with them on all training images.

    A trial trains a head on stored pooled features of an inner part of the training images, and the rest of them judge;
    no image of the validation fold or the test set is seen. At depth ``finetune`` the network is trained once, with
    what the search found.
    """

    def score(values: Values) -> float:
        options = settings.model_copy(update=values)
        return judged(training, options, head(options))

    found = search(training, sampler, space, score, settings.trials, sampler)
    options = settings.model_copy(update=found.best)
    model = fit_in_two_stages(training, options, head(options))
    return replace(model, chosen=model.chosen | found.best, history=found.history)
