"""``wen classify``: a classifier of the study, or of a bundle, on images that were not in the study."""

import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from wen import loading, sources
from wen.bar import track
from wen.config.params import Params
from wen.config.paths import Paths
from wen.data.folder import some
from wen.ensemble import temperature, wen
from wen.errors import WenError
from wen.files import write_text
from wen.members.apply import Answer, Applied
from wen.names import shown
from wen.rows import Row, form_of, rows

NAMED = 20
"""Maximum number of images that messages name for one cause."""


@dataclass(frozen=True)
class Request:
    """What is to be classified, by what, and where the rows go."""

    sources: list[str]
    """Files, folders, patterns, or ``-``; see `wen.sources.find`."""
    classifier: str | None = None
    """By its name in metrics/evidence.json: ``single 0.001-3``, ``single baseline/colour-3``, ``inter 0.001 kappa``,
    ``intra leak_free kappa``; else params.yaml's headline."""
    form: str | None = None
    """``table``, ``csv``, ``jsonl`` or ``parquet``; else what ``output`` ends with, else a table."""
    output: Path | None = None
    """Instead of standard output; written whole or not at all."""
    members: bool = False
    """A column for each member of the ensemble, too: its own probability, not scaled by a temperature."""
    submission: Path | None = None
    """A line of 1 (positive) or 0 (negative) for each image in the order of their numbers, as the C-NMC challenge had
    it for the final test set."""
    device: str = "auto"
    address: str | None = None
    """Of a Ray cluster, over which the images are spread; its nodes have to see them."""
    threshold: float | None = None
    """From which probability on an image is called positive; else the classifier's, which is 0.5."""
    subjects: Path | None = None
    """A CSV of ``file`` and ``subject``: a row for each person, in place of one for each image."""


def run(params: Params, paths: Paths, request: Request) -> None:
    """Classify images by a classifier of the study, and write a row for each; see `write`.

    Raises
    ------
    WenError
        If the study has not run, or params.yaml, models and metrics are not of one run; if there is no such
        classifier or image; or at the end, if an image was not readable.
    """
    images = Images.of(request)
    applied = loading.of_study(params, paths, request.classifier, request.device, request.address)
    write(applied, images, request)


def run_bundle(folder: Path, request: Request) -> None:
    """Classify images by the classifier of a bundle, and write a row for each; see `write`.

    Raises
    ------
    WenError
        If the bundle is of another version, incomplete or damaged; if there is no such image; or at the end, if an
        image was not readable.
    """
    from wen.bundle.read import opened

    images = Images.of(request)
    for option, given in (("--classifier", request.classifier), ("--address", request.address)):
        if given:
            raise WenError(f"{option}: applies to a study only; a bundle holds one classifier and runs on this machine")
    write(opened(folder, request.device), images, request)


@dataclass(frozen=True)
class Images:
    """The images that were asked for, and their subjects if a table of them was given."""

    files: list[str]
    subjects: list[str] | None

    @classmethod
    def of(cls, request: Request) -> "Images":
        """Find the images; a `WenError` if there are none, one has no subject, or the request cannot be met."""
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
        return cls(files, subjects.of_files(request.subjects, files))


def _check_request(request: Request) -> None:
    for place in (request.output, request.submission):
        if place and place.exists() and not place.is_file():
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
    """In the order of their numbers, which have to be 1, 2, 3, ...: a submission says of no line whose it is."""
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
    """Write a row for each image: ``file``, ``probability`` of the positive class, ``called``.

    Then ``spread``, the highest less the lowest of the members' probabilities as they are averaged (None for a single
    model), and ``warning``, in what an image is unlike the study's. With subjects, a row for each person instead; see
    `wen.subjects.row`. Every form of output names the classifier, the study and the threshold; for a submission, which
    holds nothing but its lines, standard error does. See `wen.rows.rows` for the forms and how they write names.

    An image is cut and resized as the study's are: its central ``images.crop`` px, with black around an image that is
    smaller. Memory holds a few batches, however many images there are.
    """
    threshold = applied.threshold if request.threshold is None else request.threshold
    seen = Seen(applied, threshold)
    answers = _shown(images.files, applied.answers(images.files))
    people = _people(seen, answers, images.subjects) if images.subjects else None
    with rows(form_of(request.form, request.output), request.output, applied.about | {"threshold": threshold}) as put:
        if people is None:
            for file, answer in answers:
                if row := seen.row(file, answer, request.members):
                    put(row)
        else:
            for person in people:
                put(person)
    seen.close(request.submission)


def _shown(files: list[str], found: Iterator[Answer | str]) -> Iterable[tuple[str, Answer | str]]:
    """Files and what was found of them, with a bar that shows how far this is."""
    return track(zip(files, found, strict=True), "classifying", len(files))


def row_of(file: str, answer: Answer, applied: Applied, threshold: float) -> Row:
    """What is written of an image: ``file``, ``probability``, ``called``, ``spread`` and ``warning``; see `write`."""
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
    """What was said of the images so far.

    Parameters
    ----------
    applied : Applied
    threshold : float
    """

    def __init__(self, applied: Applied, threshold: float) -> None:
        self.applied, self.threshold = applied, threshold
        self.labels: list[int | None] = []
        """1 is positive; None is an image that could not be classified."""
        self.unlike = 0
        self.example = ""
        self.failures: dict[str, list[str]] = {}
        """Reasons why images could not be classified; those that differ only in numbers are together."""

    def row(self, file: str, answer: Answer | str, with_members: bool = False) -> Row | None:
        """What is written of an image; if there is no answer, standard error says why."""
        if isinstance(answer, str):
            alike = self.failures.setdefault(re.sub(r"\d+", "", answer), [])
            alike.append(answer)
            if len(alike) <= NAMED:
                print(f"error: {shown(file)}: {shown(answer)}", file=sys.stderr)
            self.labels.append(None)
            return None
        row = row_of(file, answer, self.applied, self.threshold)
        self.labels.append(int(row["probability"] >= self.threshold))
        if answer.warning:
            self.unlike += 1
            self.example = self.example or f"{shown(file)}: {answer.warning}"
        if with_members:
            row |= {name: float(value) for name, value in zip(self.applied.members, answer.probability, strict=True)}
        return row

    def close(self, submission: Path | None) -> None:
        """Say which images are unlike the study's, and write the submission, unless an image has no answer."""
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
    """Classify all images, and give a row for each person, in their order in the images."""
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
