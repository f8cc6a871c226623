"""``wen classify``: the study's classifiers on images that were not in it."""

import difflib
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from wen import sources
from wen.config.params import Params
from wen.config.paths import Paths
from wen.data.images import BadImage, central_square, decode
from wen.ensemble.intra import JUDGED_ON
from wen.errors import WenError
from wen.evaluation.metrics import decide
from wen.files import write_text
from wen.identity import study_id
from wen.integrity import one_run
from wen.launch.stages import Model
from wen.members.predict import OVERFLOW
from wen.members.predictions import Member
from wen.names import shown
from wen.network import backbone, device
from wen.network.cut import cut
from wen.network.frozen import Frozen, runner
from wen.results import Classifier, Study, gather
from wen.rows import form_of, rows

AHEAD = 2
"""Batches that are read while the network is at work."""


def run(
    params: Params,
    paths: Paths,
    named: list[str],
    name: str | None = None,
    form: str | None = None,
    output: Path | None = None,
    members: bool = False,
    submission: Path | None = None,
    device_name: str = "auto",
    address: str | None = None,
) -> None:
    """Classify images and write a row for each: ``file``, ``probability`` of ALL, ``called`` (ALL or HEM).

    Every form of output names the classifier and the study, by `study_id`; for a submission, which holds nothing but
    its lines, standard error does. See `wen.rows.rows` for the forms and how they write names.

    An image is cut and resized as the study's are: its central ``images.crop`` px, with black around an image that is
    smaller. Memory holds a few batches, however many images there are.

    Parameters
    ----------
    params, paths
        Of a study that has run.
    named : list of str
        Files, folders, patterns, or ``-``; see `wen.sources.find`.
    name : str, optional
        A classifier by its name in metrics/evidence.json: ``single 0.001-3``, ``inter 0.001 kappa``,
        ``intra leak_free kappa``; else params.yaml's headline.
    form : str, optional
        ``table``, ``csv`` or ``jsonl``; else what ``output`` ends with, else a table.
    output : Path, optional
        Instead of standard output; written whole or not at all.
    members : bool
        A column for each member of the ensemble, too.
    submission : Path, optional
        A line of 1 (ALL) or 0 (HEM) for each image in the order of their numbers, as the C-NMC challenge had it for
        the final test set.
    device_name : str
    address : str, optional
        Of a Ray cluster, over which the images are spread; its nodes have to see them.

    Raises
    ------
    WenError
        If the study has not run, or params.yaml, models and metrics are not of one run; if there is no such
        classifier or image; or at the end, if an image was not readable.
    """
    for place in (output, submission):
        if place and place.exists() and not place.is_file():
            raise WenError(f"{shown(place)}: is no file that could be written anew")
    if output and submission and output.absolute() == submission.absolute():
        raise WenError(f"{shown(output)}: --output and --submission need a file each")
    form = form_of(form, output)
    device.settle(params.compute)
    one_run.check(params, paths, focus=name is None)
    classifier = _choose(gather(params, paths), name)
    one_run.check_models([paths.model(own.lr, own.fold) for own in classifier.members], paths)
    about = {"classifier": classifier.id, "study": study_id(params, paths)}
    files = sources.find(named)
    if not files:
        raise WenError(f"{', '.join(map(shown, named))}: names no image")
    if submission:
        files = _numbered(files)
    called, failed = [], 0
    if address:
        from wen.launch.spread import on_cluster

        models = [Model(own.lr, own.fold) for own in classifier.members]
        probabilities = on_cluster(files, models, params, paths, address)
    else:
        networks = Networks(classifier.members, params, paths, device.choose(device_name, params.compute))
        probabilities = classify(files, networks, params)
    with rows(form, output, about) as write:
        pairs = zip(files, probabilities, strict=True)
        for file, own in track(pairs, "classifying", len(files), console=Console(stderr=True), transient=True):
            if isinstance(own, str):
                print(f"error: {shown(file)}: {shown(own)}", file=sys.stderr)
                failed += 1
                continue
            probability = float(classifier.weight @ own)
            called.append(int(decide(np.array(probability))))
            row = {"file": file, "probability": probability, "called": "ALL" if called[-1] else "HEM"}
            single = {member.name: float(value) for member, value in zip(classifier.members, own, strict=True)}
            write(row | (single if members else {}))
    if failed:
        raise WenError(f"{failed} of {len(files)} images could not be classified")
    if submission:
        write_text(submission, "".join(f"{label}\n" for label in called))
        print(f"{shown(submission)}: by {about['classifier']} of study {about['study']}", file=sys.stderr)


class Networks:
    """The members of a classifier, of which the frozen network is loaded and run once.

    Parameters
    ----------
    members : sequence of Member or Model
        Their ``lr`` and ``fold`` name their files.
    params, paths
    where : device

    Raises
    ------
    WenError
        If a model was trained with another preparation of images or another cut than params.yaml now says.
    """

    def __init__(self, members: Sequence[Member | Model], params: Params, paths: Paths, where: torch.device) -> None:
        cut_from = params.finetune.unfreeze_from
        now = {"images": params.images.model_dump(), "unfreeze_from": cut_from}
        for file in (paths.model(own.lr, own.fold) for own in members):
            then = {key: backbone.about(file).get(key) for key in now}
            if then != now:
                raise WenError(f"{file}: was trained with {then}, but params.yaml says {now}")
        found = [backbone.load(params.backbone.name, paths.model(own.lr, own.fold), where) for own in members]
        self.where, dtype = where, device.precision(where, params.compute)
        self.tails = [cut(network, cut_from, dtype).tail for network in found]
        frozen = Frozen(found[0], cut_from, ("activations",))
        self.frozen = runner(frozen, params.images.size, where, params.compute)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Probabilities of ALL, of shape (images, members), from 8-bit RGB images of shape (n, size, size, 3).

        NaN is the probability of an image whose activations or logits are infinite or undefined.
        """
        batch = device.to_device(torch.from_numpy(images), self.where).float() / 255
        with torch.inference_mode():
            activations = self.frozen(batch.contiguous())[0].movedim(-1, 1)
            logits = torch.stack([tail(activations).squeeze(1) for tail in self.tails], 1)
            known = activations.isfinite().flatten(1).all(1, keepdim=True) & logits.isfinite()
            logits = logits.where(known, torch.nan)
        return torch.sigmoid(logits.cpu().double()).numpy()


def classify(files: Iterable[str], networks: Networks, params: Params) -> Iterator[np.ndarray | str]:
    """Give each image's probability of ALL by each member, of shape (members,); or why there is none."""
    for batch in _read_ahead(files, params):
        good = [own for own in batch if not isinstance(own, str)]
        rows = networks(np.stack(good)) if good else ()
        found = iter([OVERFLOW if np.isnan(row).any() else row for row in rows])
        yield from (own if isinstance(own, str) else next(found) for own in batch)


def _read_ahead(files: Iterable[str], params: Params) -> Iterator[list[np.ndarray | str]]:
    """Batches of decoded images, of which a few are read by other threads in the meantime."""
    waiting: deque[list[Future[np.ndarray | str]]] = deque()
    names = iter(files)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while True:
            batch = list(islice(names, params.train.batch_size))
            if batch:
                waiting.append([pool.submit(_decoded, file, params.images.crop, params.images.size) for file in batch])
            if not waiting:
                return
            if len(waiting) > AHEAD or not batch:
                yield [future.result() for future in waiting.popleft()]


def _decoded(file: str, crop: int, size: int) -> np.ndarray | str:
    try:
        return central_square(decode(sources.read(file)), crop, size)
    except BadImage as error:
        return str(error)
    except OSError as error:
        return str(error.strerror)
    except Exception as error:  # whatever a decoder does with one image, the others are classified
        return f"unreadable ({type(error).__name__}: {' '.join(str(error).split())[:200]})"


def _choose(study: Study, name: str | None) -> Classifier:
    if name is None:
        return study.focus
    by_name = {own.id: own for own in study.classifiers}
    if name not in by_name:
        nearest = difflib.get_close_matches(name, by_name, n=1, cutoff=0)[0]
        rates, folds, schemes = (
            ", ".join(map(str, own)) for own in (study.models, study.params.folds, study.params.schemes)
        )
        raise WenError(
            f"--classifier {shown(name)}: no such classifier; did you mean '{nearest}'?\n"
            f"  single LR-FOLD, inter LR SCHEME, intra READING SCHEME; LR: {rates}; FOLD: {folds};\n"
            f"  SCHEME: {schemes}; READING: {', '.join(JUDGED_ON)}"
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
