"""``wen classify``: a classifier of the study, or of a bundle, on images that were not in the study."""

import os
import re
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from wen import loading, sources
from wen.bar import track
from wen.config.params import Params
from wen.config.paths import Paths
from wen.data import csv_file
from wen.data.folder import some
from wen.data.images import BadImage
from wen.ensemble import temperature, wen
from wen.errors import WenError
from wen.files import sha256, write_text
from wen.members.apply import Answer, Applied
from wen.names import shown
from wen.rows import Row, form_of, rows

NAMED = 20
"""Maximum number of images that messages name for one cause."""


@dataclass(frozen=True)
class Request:
    """The images to classify, the classifier, and the form and place of the output."""

    sources: list[str]
    """Files, folders, patterns, or ``-``; see `wen.sources.find`."""
    classifier: str | None = None
    """Name in metrics/evidence.json: ``single 0.001-3``, ``single baseline/colour-3``, ``inter 0.001 kappa`` or
    ``intra leak_free kappa``; by default the classifier in focus."""
    form: str | None = None
    """``table``, ``csv``, ``jsonl`` or ``parquet``; by default that of the extension of ``output``, or a table."""
    output: Path | None = None
    """File to write instead of standard output; it is written completely or not at all."""
    members: bool = False
    """Whether to add a column with the probability of each member, not scaled by a temperature."""
    submission: Path | None = None
    """File with a line of 1 (positive) or 0 (negative) per image in the order of their numbers, the format of the C-NMC
    challenge for its final test set."""
    device: str = "auto"
    address: str | None = None
    """Address of a Ray cluster to distribute the images over; its nodes must be able to read them."""
    threshold: float | None = None
    """Lowest probability that is called positive; by default the classifier's threshold, 0.5."""
    subjects: Path | None = None
    """CSV with ``file`` and ``subject``; the output then has one row per person instead of one per image."""


def run(params: Params, paths: Paths, request: Request) -> None:
    """Classify images with a classifier of the study, and write one row per image; see `write`.

    Images that the study trained with are counted in a warning: their probabilities are optimistic.

    Raises
    ------
    WenError
        If the study has not run; if params.yaml, models and metrics come from different runs; if the classifier or an
        image does not exist; or, at the end, if an image could not be read.
    """
    images = Images.of(request)
    applied = loading.of_study(params, paths, request.classifier, request.device, request.address)
    if known := _trained_with(images.files, paths):
        print(
            f"warning: the study trained with {len(known):,} of these {len(images.files):,} images, so their "
            f"probabilities are optimistic: {shown(some(known))}",
            file=sys.stderr,
        )
    write(applied, images, request)


def _trained_with(files: list[str], paths: Paths) -> list[str]:
    """List the files whose bytes are those of images of the study's development part, if the study has its tables."""
    if not (paths.index.is_file() and paths.split.is_file()):
        return []
    index, split = csv_file.read(paths.index), csv_file.read(paths.split)
    part = dict(zip(split.values("id"), split.values("part"), strict=True))
    hashes = {
        sha256 for name, sha256 in zip(index.values("id"), index.values("sha256"), strict=True)
        if part.get(name) == "development"
    }  # fmt: skip

    def is_known(file: str) -> bool:
        try:
            return sha256(sources.read(file)) in hashes
        except (BadImage, OSError, ValueError):  # `write` reports it
            return False

    with ThreadPoolExecutor() as pool:
        return [file for file, known in zip(files, pool.map(is_known, files), strict=True) if known]


def run_bundle(folder: Path, request: Request) -> None:
    """Classify images with the classifier of a bundle, and write one row per image; see `write`.

    Raises
    ------
    WenError
        If the bundle has another version, or is incomplete or damaged; if an image does not exist; or, at the end, if
        an image could not be read.
    """
    from wen.bundle.read import opened

    images = Images.of(request)
    for option, given in (("--classifier", request.classifier), ("--address", request.address)):
        if given:
            raise WenError(f"{option}: applies to a study only; a bundle holds one classifier and runs on this machine")
    write(opened(folder, request.device), images, request)


@dataclass(frozen=True)
class Images:
    """The requested images, and their subjects if a table of subjects was given."""

    files: list[str]
    subjects: list[str] | None

    @classmethod
    def of(cls, request: Request) -> "Images":
        """Find the images; raise `WenError` if there are none, one has no subject, or the request is invalid."""
        _check_request(request)
        files = sources.find(request.sources)
        if not files:
            raise WenError(
                f"{', '.join(map(shown, request.sources))}: no image found; name images, folders or patterns"
            )
        _refuse_to_overwrite(request, files)
        if request.submission:
            files = _numbered(files)
        if not request.subjects:
            return cls(files, None)
        from wen import subjects

        files = sources.unique(files)  # a cell must not count twice for its person
        subject_of = subjects.of_files(request.subjects, files)
        if len(set(subject_of)) == len(files) > 1:
            print(
                f"warning: {shown(request.subjects)}: each of the {len(files):,} images has a subject of its own, such "
                f"as {shown(subject_of[0])}; check that the ids are those of people",
                file=sys.stderr,
            )
        return cls(files, subject_of)


def _check_request(request: Request) -> None:
    for place in (request.output, request.submission):
        if place and (place.is_symlink() or (place.exists() and not place.is_file())):
            raise WenError(f"{shown(place)}: exists and is not a regular file; choose another path")
    if request.output and request.submission and request.output.absolute() == request.submission.absolute():
        raise WenError(f"{shown(request.output)}: --output and --submission name the same file; give each its own")
    if request.subjects and request.members:
        raise WenError(
            "--members: not available with --subjects, which writes one row per person; leave out one of the two"
        )
    form_of(request.form, request.output)


def _refuse_to_overwrite(request: Request, files: list[str]) -> None:
    inputs = [*files, *([str(request.subjects)] if request.subjects else [])]
    for place in (request.output, request.submission):
        if place and place.exists() and any(os.path.exists(file) and place.samefile(file) for file in inputs):
            raise WenError(f"{shown(place)}: one of the files to read; choose another path for the output")


def _numbered(files: list[str]) -> list[str]:
    """Sort images by their numbers, which must be 1, 2, 3, ..., because a submission identifies images by line only."""
    for file in files:
        if not Path(file).stem.isdecimal():
            raise WenError(f"{shown(file)}: --submission needs images named by their number, e.g. 17.bmp")
    ordered = sorted(files, key=lambda file: int(Path(file).stem))
    for number, file in enumerate(ordered, 1):
        if int(Path(file).stem) != number:
            raise WenError(
                f"--submission: the images must be numbered 1, 2, 3, ... without gaps; instead of {number}, found "
                f"{shown(file)}"
            )
    return ordered


def write(applied: Applied, images: Images, request: Request) -> None:
    """Write one row per image: ``file``, ``probability`` of the positive class, ``called``, ``spread``, ``warning``.

    ``spread`` is the highest minus the lowest of the members' probabilities as they are averaged (None for a single
    model); ``warning`` states how an image differs from those of the study. With subjects, there is one row per
    person; see `wen.subjects.row`. All formats name the classifier, the study and the threshold. A submission has only
    its lines, so these are printed to standard error. See `wen.rows.rows` for the formats and for the spelling of
    names.

    Images are cropped and resized as in the study: the central ``images.crop`` px, padded with black if the image is
    smaller. Only a few batches are in memory, regardless of the number of images.
    """
    threshold = applied.threshold if request.threshold is None else request.threshold
    seen = Seen(applied, threshold)
    pairs = zip(images.files, applied.answers(images.files), strict=True)
    answers = track(pairs, "classifying", len(images.files))
    with rows(form_of(request.form, request.output), request.output, applied.about | {"threshold": threshold}) as put:
        if images.subjects:
            for person in _people(seen, answers, images.subjects):
                put(person)
        else:
            for file, answer in answers:
                if row := seen.row(file, answer, request.members):
                    put(row)
        if set(seen.labels) == {None}:
            seen.close(request.submission)  # raises here, where `rows` then leaves an earlier output as it is
    seen.close(request.submission)


def row_of_image(file: str, answer: Answer, applied: Applied, threshold: float) -> Row:
    """Return the row of an image: ``file``, ``probability``, ``called``, ``spread`` and ``warning``; see `write`."""
    scaled = temperature.scale(answer.probability, applied.temperature)
    probability = float(wen.combine(applied.weight, scaled[:, None])[0])
    return {
        "file": file,
        "probability": probability,
        "called": applied.classes[int(probability >= threshold)],
        "spread": float(scaled.max() - scaled.min()) if len(scaled) > 1 else None,
        "warning": answer.warning,
    }


class Seen:
    """The results so far: predictions, warnings and failures.

    Parameters
    ----------
    applied : Applied
    threshold : float
    """

    def __init__(self, applied: Applied, threshold: float) -> None:
        self.applied, self.threshold = applied, threshold
        self.labels: list[int | None] = []
        """1 for positive, 0 for negative, and None for an image that could not be classified."""
        self.unlike = 0
        self.example = ""
        self.failures: dict[str, list[str]] = {}
        """Messages about images that could not be classified, grouped if they differ only in numbers."""

    def row(self, file: str, answer: Answer | str, with_members: bool = False) -> Row | None:
        """Return the row of an image, or print why it could not be classified."""
        if isinstance(answer, str):
            alike = self.failures.setdefault(re.sub(r"\d+", "", answer), [])
            alike.append(answer)
            if len(alike) <= NAMED:
                print(f"error: {shown(file)}: {shown(answer)}", file=sys.stderr)
            self.labels.append(None)
            return None
        row = row_of_image(file, answer, self.applied, self.threshold)
        self.labels.append(int(row["probability"] >= self.threshold))
        if answer.warning:
            self.unlike += 1
            self.example = self.example or f"{shown(file)}: {answer.warning}"
        if with_members:
            row |= {name: float(value) for name, value in zip(self.applied.members, answer.probability, strict=True)}
        return row

    def close(self, submission: Path | None) -> None:
        """Print how many images differ from the study's; write the submission if every image has an answer."""
        if self.unlike:
            count = f"{self.unlike:,} of {len(self.labels):,} images differ from those of the study"
            print(f"warning: {count}; for example {self.example}", file=sys.stderr)
        for alike in self.failures.values():
            if len(alike) > NAMED:
                print(f"error: {len(alike) - NAMED:,} more images: {shown(alike[0])}", file=sys.stderr)
        if failed := self.labels.count(None):
            raise WenError(f"{failed} of {len(self.labels)} images could not be classified; the errors above say why")
        if submission:
            write_text(submission, "".join(f"{label}\n" for label in self.labels))
            about = self.applied.about
            print(f"{shown(submission)}: written by {about['classifier']} of study {about['study']}", file=sys.stderr)


def _people(seen: Seen, answers: Iterable[tuple[str, Answer | str]], subject_of: list[str]) -> list[Row]:
    """Classify all images, and return one row per person, in the order of their first images."""
    from wen.subjects import rows

    cells = (
        (subject, cell)
        for subject, (file, answer) in zip(subject_of, answers, strict=True)
        if (cell := seen.row(file, answer))
    )
    found = rows(cells, seen.threshold, seen.applied.classes, seen.applied.seed)
    answered = {row["subject"] for row in found}
    if lost := [shown(subject) for subject in dict.fromkeys(subject_of) if subject not in answered]:
        print(f"error: left out, because none of their cells could be classified: {some(lost)}", file=sys.stderr)
    return found
