"""``wen classify``: the study's classifiers on images that were not in it."""

import difflib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from wen import sources
from wen.config.params import Params
from wen.config.paths import Paths
from wen.ensemble.combined import combined
from wen.ensemble.intra import JUDGED_ON
from wen.errors import WenError
from wen.evaluation.metrics import decide
from wen.files import write_text
from wen.identity import study_id
from wen.integrity import one_run
from wen.launch.spread import on_cluster
from wen.members.apply import classify, models, predictor_of
from wen.names import shown
from wen.network import device
from wen.results import Classifier, Study, gather
from wen.rows import Write, form_of, rows


@dataclass(frozen=True)
class Request:
    """What is to be classified, by what, and where the rows go."""

    sources: list[str]
    """Files, folders, patterns, or ``-``; see `wen.sources.find`."""
    classifier: str | None = None
    """By its name in metrics/evidence.json: ``single 0.001-3``, ``single baseline/colour-3``, ``inter 0.001 kappa``,
    ``intra leak_free kappa``; else params.yaml's headline."""
    form: str | None = None
    """``table``, ``csv`` or ``jsonl``; else what ``output`` ends with, else a table."""
    output: Path | None = None
    """Instead of standard output; written whole or not at all."""
    members: bool = False
    """A column for each member of the ensemble, too: its own probability, not scaled by a temperature."""
    submission: Path | None = None
    """A line of 1 (ALL) or 0 (HEM) for each image in the order of their numbers, as the C-NMC challenge had it for the
    final test set."""
    device: str = "auto"
    address: str | None = None
    """Of a Ray cluster, over which the images are spread; its nodes have to see them."""


def run(params: Params, paths: Paths, request: Request) -> None:
    """Classify images and write a row for each: ``file``, ``probability`` of ALL, ``called`` (ALL or HEM).

    Every form of output names the classifier and the study, by `study_id`; for a submission, which holds nothing but
    its lines, standard error does. See `wen.rows.rows` for the forms and how they write names.

    An image is cut and resized as the study's are: its central ``images.crop`` px, with black around an image that is
    smaller. Memory holds a few batches, however many images there are.

    Raises
    ------
    WenError
        If the study has not run, or params.yaml, models and metrics are not of one run; if there is no such
        classifier or image; or at the end, if an image was not readable.
    """
    _check_outputs(request)
    form = form_of(request.form, request.output)
    device.settle(params.compute)
    one_run.check(params, paths, focus=request.classifier is None)
    classifier = _choose(gather(params, paths), request.classifier)
    members = [predictions.member for predictions in classifier.members]
    one_run.check_models(models(members, paths), paths)
    about = {"classifier": classifier.id, "study": study_id(params, paths)}
    files = sources.find(request.sources)
    if not files:
        raise WenError(f"{', '.join(map(shown, request.sources))}: names no image")
    if request.submission:
        files = _numbered(files)
    if request.address:
        probabilities = on_cluster(files, members, params, paths, request.address)
    else:
        predictor = predictor_of(members, params, paths, device.choose(request.device, params.compute))
        probabilities = classify(files, predictor, params)
    with rows(form, request.output, about) as write:
        called = [_write_row(write, *pair, classifier, request.members) for pair in _shown(files, probabilities)]
    if failed := called.count(None):
        raise WenError(f"{failed} of {len(files)} images could not be classified")
    if request.submission:
        write_text(request.submission, "".join(f"{label}\n" for label in called))
        print(f"{shown(request.submission)}: by {about['classifier']} of study {about['study']}", file=sys.stderr)


def _check_outputs(request: Request) -> None:
    for place in (request.output, request.submission):
        if place and place.exists() and not place.is_file():
            raise WenError(f"{shown(place)}: exists and is not a regular file")
    if request.output and request.submission and request.output.absolute() == request.submission.absolute():
        raise WenError(f"{shown(request.output)}: --output and --submission need a file each")


def _shown(files: list[str], found: Iterator[np.ndarray | str]) -> Iterable[tuple[str, np.ndarray | str]]:
    """Files and what was found of them, with a bar that shows how far this is."""
    pairs = zip(files, found, strict=True)
    return track(pairs, "classifying", len(files), console=Console(stderr=True), transient=True)


def _write_row(
    write: Write, file: str, found: np.ndarray | str, classifier: Classifier, with_members: bool
) -> int | None:
    """Write an image's row and return its class; None if there is none, which standard error explains."""
    if isinstance(found, str):
        print(f"error: {shown(file)}: {shown(found)}", file=sys.stderr)
        return None
    probability = float(combined(classifier.weight, classifier.temperature, found[:, None])[0])
    label = int(decide(np.array(probability)))
    names = [member.name for member in classifier.members] if with_members else []
    of_members = {name: float(value) for name, value in zip(names, found, strict=False)}
    write({"file": file, "probability": probability, "called": "ALL" if label else "HEM"} | of_members)
    return label


def _choose(study: Study, name: str | None) -> Classifier:
    if name is None:
        return study.focus
    by_name = {classifier.id: classifier for classifier in study.classifiers}
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


def _numbered(files: list[str]) -> list[str]:
    """In the order of their numbers, which have to be 1, 2, 3, ...: a submission says of no line whose it is."""
    for file in files:
        if not Path(file).stem.isdecimal():
            raise WenError(f"{shown(file)}: --submission needs images that are named by their number, e.g. 17.bmp")
    ordered = sorted(files, key=lambda file: int(Path(file).stem))
    for number, file in enumerate(ordered, 1):
        if int(Path(file).stem) != number:
            raise WenError(
                f"--submission: needs each number from 1 once, but where {number} should be is {shown(file)}"
            )
    return ordered
