"""What a published system has fitted so far: stopped, however it was stopped, it goes on with the next model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wen.config.member import Member
from wen.errors import WenError
from wen.files import atomic, read_json, read_npz, write_json
from wen.members.predictions import Predictions, write

PREDICTIONS, ABOUT, MODEL = "predictions.npz", "about.json", "model"


@dataclass(frozen=True)
class One:
    """A variant that is fitted to one fold."""

    predictions: Predictions
    about: dict[str, Any]
    """What was ``chosen``, and the ``history``."""
    ending: str
    """Of the model's file."""
    content: bytes


def load(folder: Path, fingerprint: str, member: Member) -> One | None:
    """Read a fitted variant; None if there is none, or it is damaged or of other inputs, settings or code."""
    try:
        known = read_json(folder / ABOUT)
        if known["fingerprint"] != fingerprint:
            return None
        predictions = Predictions(member, **read_npz(folder / PREDICTIONS))
        return One(predictions, known["about"], known["ending"], (folder / MODEL).read_bytes())
    except (KeyError, OSError, TypeError, WenError):
        return None


def save(one: One, folder: Path, fingerprint: str) -> None:
    """Write a fitted variant, whole or not at all."""
    with atomic(folder) as partial:
        partial.mkdir()
        write(one.predictions, partial / PREDICTIONS)
        (partial / MODEL).write_bytes(one.content)
        write_json(partial / ABOUT, {"fingerprint": fingerprint, "about": one.about, "ending": one.ending})
