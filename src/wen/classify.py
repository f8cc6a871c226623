"""``wen classify``: the study's classifiers on images that were not in it."""

import csv
import glob
import json
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from wen.cluster.stages import Model
from wen.data.cnmc import is_litter
from wen.data.images import BadImage, central_square, decode
from wen.ensemble.members import Member
from wen.errors import WenError
from wen.evaluation.metrics import decide
from wen.files import whole, write_text
from wen.network import backbone, device
from wen.network.cut import cut
from wen.network.frozen import Frozen, runner
from wen.network.predict import OVERFLOW
from wen.params import Params
from wen.paths import Paths
from wen.report.study import Classifier, gather

Row = dict[str, Any]
Write = Callable[[Row], object]
AHEAD = 2
"""Batches that are read while the network is at work."""


def run(
    params: Params,
    paths: Paths,
    sources: list[str],
    name: str | None = None,
    form: str | None = None,
    output: Path | None = None,
    members: bool = False,
    submission: Path | None = None,
    device_name: str = "auto",
    address: str | None = None,
) -> None:
    """Classify images and write a row for each: ``file``, ``probability`` of ALL, ``called`` (ALL or HEM).

    An image is cut and resized as the study's are: its central ``images.crop`` px, with black around an image that is
    smaller. Memory holds a few batches, however many images there are.

    Parameters
    ----------
    params, paths
        Of a study that has run.
    sources : list of str
        Files, folders (all .bmp in them), patterns such as ``cells/*.bmp``, or ``-`` for names on standard input.
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
        If the study has not run, there is no such classifier or image, or at the end, if an image was not readable.
    """
    for place in (output, submission):
        if place and place.exists() and not place.is_file():
            raise WenError(f"{place}: is no file that could be written anew")
    device.settle(params.compute)
    classifier = _choose(params, paths, name)
    files = [file for source in sources for file in _files(source)]
    if not files:
        raise WenError(f"{', '.join(sources)}: names no image")
    if submission:
        files = _numbered(files)
    called, failed = [], 0
    form = form or (output.suffix.removeprefix(".") if output else "table")
    with _opened(output) as stream:
        write = FORMS.get(form, _table)(stream)
        if address:
            from wen.cluster.classify import on_cluster

            models = [Model(own.lr, own.fold) for own in classifier.members]
            probabilities = on_cluster(files, models, params, paths, address)
        else:
            networks = Networks(classifier.members, params, paths, device.choose(device_name, params.compute))
            probabilities = classify(files, networks, params)
        pairs = zip(files, probabilities, strict=True)
        for file, own in track(pairs, "classifying", len(files), console=Console(stderr=True), transient=True):
            if isinstance(own, str):
                print(f"error: {file}: {own}", file=sys.stderr)
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
        return central_square(decode(Path(file).read_bytes()), crop, size)
    except BadImage as error:
        return str(error)
    except OSError as error:
        return str(error.strerror)
    except ValueError as error:  # a name with a null byte
        return str(error)


def _choose(params: Params, paths: Paths, name: str | None) -> Classifier:
    study = gather(params, paths)
    if name is None:
        return study.focus
    by_name = {own.id: own for own in study.classifiers}
    if name not in by_name:
        raise WenError(f"--classifier {name}: no such classifier; there are {'; '.join(by_name)}")
    return by_name[name]


def _files(source: str) -> Iterator[str]:
    if source == "-":
        sys.stdin.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]  # names can be any bytes
        yield from (line for own in sys.stdin if (line := own.rstrip("\n")))
    elif Path(source).is_dir():
        images = (path for path in Path(source).rglob("*") if path.suffix.lower() == ".bmp")
        found = sorted(str(path) for path in images if not is_litter(path))
        if not found:
            raise WenError(f"{source}: no .bmp image in this folder")
        yield from found
    elif Path(source).exists():
        yield source
    else:
        found = sorted(glob.glob(source, recursive=True))
        if not found:
            raise WenError(f"{source}: no such file, folder or pattern")
        yield from found


def _numbered(files: list[str]) -> list[str]:
    """In the order of their numbers, which have to be 1, 2, 3, ...: a submission says of no line whose it is."""
    for file in files:
        if not Path(file).stem.isdecimal():
            raise WenError(f"{file}: --submission needs images that are named by their number, e.g. 17.bmp")
    ordered = sorted(files, key=lambda file: int(Path(file).stem))
    for number, file in enumerate(ordered, 1):
        if int(Path(file).stem) != number:
            raise WenError(f"--submission: needs each number from 1 once, but where {number} should be is {file}")
    return ordered


@contextmanager
def _opened(output: Path | None) -> Iterator[TextIO]:
    with whole(output) if output else nullcontext() as partial:
        if partial is None:
            yield sys.stdout
        else:
            with partial.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
                yield stream


def _csv(stream: TextIO) -> Write:
    writer = csv.writer(stream, lineterminator="\n")
    header: list[str] = []

    def write(row: Row) -> None:
        if not header:
            header.extend(row)
            writer.writerow(header)
        writer.writerow(row.values())

    return write


def _jsonl(stream: TextIO) -> Write:
    return lambda row: stream.write(json.dumps(row) + "\n")


def _table(stream: TextIO) -> Write:
    def write(row: Row) -> None:
        file, probability, called, *members = row.values()
        stream.write("  ".join([f"{probability:.4f}", called, *(f"{own:.4f}" for own in members), file]) + "\n")

    return write


FORMS = {"table": _table, "csv": _csv, "jsonl": _jsonl}
