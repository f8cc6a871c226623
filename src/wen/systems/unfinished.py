"""Save the models that a published system has fitted, so that an interrupted run resumes with the next model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wen.config.member import Member
from wen.errors import WenError
from wen.files import atomic, read_json, read_npz, write_json
from wen.members.predictions import Predictions, write

PREDICTIONS, ABOUT, MODEL = "predictions.npz", "about.json", "model"


@dataclass(frozen=True)
class FittedFold:
    """A variant, fitted to one fold."""

    predictions: Predictions
    about: dict[str, Any]
    """The settings that were ``chosen``, and the ``history``; see `wen.systems.system.Model`."""
    ending: str
    """Suffix of the model's file."""
    content: bytes
    """Content of the model's file."""


def load(folder: Path, fingerprint: str, member: Member) -> FittedFold | None:
    """Read a fitted variant; None if it is missing, damaged, or of other inputs, settings or code."""
    try:
        saved = read_json(folder / ABOUT)
        if saved["fingerprint"] != fingerprint:
            return None
        predictions = Predictions(member, **read_npz(folder / PREDICTIONS))
        return FittedFold(predictions, saved["about"], saved["ending"], (folder / MODEL).read_bytes())
    except (KeyError, OSError, TypeError, WenError):
        return None


def save(fitted: FittedFold, folder: Path, fingerprint: str) -> None:
    """Write a fitted variant atomically."""
    with atomic(folder) as partial:
        partial.mkdir()
        write(fitted.predictions, partial / PREDICTIONS)
        (partial / MODEL).write_bytes(fitted.content)
        write_json(partial / ABOUT, {"fingerprint": fingerprint, "about": fitted.about, "ending": fitted.ending})
