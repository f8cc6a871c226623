"""Find a trained classifier of the study by its name, and load it to classify new images."""

import difflib
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from wen.config.params import Params
from wen.config.paths import Paths
from wen.errors import WenError
from wen.members.apply import Answer, Applied, classify, models, networks_of, predictor_of, preparation
from wen.members.located import Maps
from wen.names import shown

if TYPE_CHECKING:
    from wen.study import Classifier, Study


def of_study(params: Params, paths: Paths, name: str | None, device_name: str, address: str | None = None) -> Applied:
    """Load a classifier of the study from the cache of an earlier call, or from its models.

    Parameters
    ----------
    params, paths
    name : str, optional
        Its name in metrics/evidence.json; by default the classifier in focus.
    device_name : str
    address : str, optional
        Address of a Ray cluster to distribute the images over.

    Raises
    ------
    WenError
        If the study has not run, if params.yaml, models and metrics come from different runs, or if there is no such
        classifier.
    """
    from wen.bundle import kept
    from wen.bundle.read import opened
    from wen.identity import study_id
    from wen.integrity import one_run

    one_run.check(params, paths, focus=name is None)
    study = study_id(params, paths)
    place = kept.place_of(params, paths, study, name)
    cacheable = not address and kept.applies(params, device_name)
    if cacheable and (members := kept.members_of(place, paths)):
        one_run.check_models(models(members, paths), paths)
        return opened(place, "cpu")
    from wen.results import gather  # imported here because only the first call needs pandas

    classifier = choose(gather(params, paths), name)
    members = [predictions.member for predictions in classifier.members]
    one_run.check_models(models(members, paths), paths)
    if cacheable and kept.keep(place, classifier, study, params, paths):
        return opened(place, "cpu")
    return _by_torch(params, paths, study, classifier, device_name, address)


def _by_torch(
    params: Params, paths: Paths, study: str, classifier: "Classifier", device_name: str, address: str | None
) -> Applied:
    """Load the models of a classifier with torch, on the device or on the nodes of a cluster."""
    from wen.evaluation.metrics import THRESHOLD
    from wen.network import device

    device.settle(params.compute)
    members = [predictions.member for predictions in classifier.members]
    how = preparation(params, paths)
    answers: Callable[[Any], Iterator[Answer | str]]
    if address:
        from wen.launch import spread

        work = spread.Work(members, params, how, spread.code())
        answers = partial(spread.on_cluster, work=work, paths=paths, address=address)
    else:
        predictor = predictor_of(members, params, paths, device.choose(device_name, params.compute))
        answers = partial(classify, predictor=predictor, how=how)
    return Applied(
        about={"classifier": classifier.id, "study": study},
        members=[member.name for member in members],
        weight=classifier.weight,
        temperature=classifier.temperature,
        classes=(params.dataset.negative, params.dataset.positive),
        threshold=THRESHOLD,
        seed=params.seed,
        answers=answers,
        how=how,
        synthetic=params.dataset.source == "synthetic",
        maps=None
        if members[0].baseline
        else Maps(partial(networks_of, members, params, paths), params.finetune.unfreeze_from, classifier.weight),
    )


def choose(study: "Study", name: str | None) -> "Classifier":
    """Return the classifier of a name, or the one in focus; the `WenError` for an unknown name suggests the nearest."""
    from wen.ensemble.intra import JUDGED_ON

    if name is None:
        return study.focus
    by_name = {classifier.id: classifier for classifier in study.classifiers}
    if name.startswith("system "):
        raise WenError(
            f"--classifier {shown(name)}: a published system, of which a study keeps predictions and no model, so it "
            "classifies no other images; single, inter and intra classifiers do"
        )
    if name not in by_name:
        nearest = difflib.get_close_matches(name, by_name, n=1, cutoff=0)[0]
        rates, folds, schemes = (
            ", ".join(map(str, values)) for values in (study.params.rates, study.params.folds, study.params.schemes)
        )
        raise WenError(
            f"--classifier {shown(name)}: no such classifier; did you mean '{nearest}'?\n"
            f"  single LR-FOLD, inter LR SCHEME, intra READING SCHEME; LR: {rates}; FOLD: {folds};\n"
            f"  SCHEME: {schemes}; READING: {', '.join(JUDGED_ON)}"
            + "".join(f"; single {recipe}-FOLD" for recipe in study.baselines)
        )
    return by_name[name]
