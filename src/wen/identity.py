"""The identity of a study and of its classifier in focus."""

import json
from typing import TYPE_CHECKING, Any

from wen.config.params import Params
from wen.config.paths import Paths
from wen.files import sha256

if TYPE_CHECKING:
    from wen.study import Study  # which `wen classify` does without

FOCUS = ("lr", "weighting", "ensemble", "reading")
"""The parameters that select the classifier in focus."""


def study_id(params: Params, paths: Paths) -> str:
    """Name a study: ``wen-`` and 12 hexadecimal digits of a SHA-256 of its parameters and predictions.

    The prefix prevents programs that read a table from parsing 1234567e8901 as a number. All parameters count except
    the focus and those of the report, which change no model, and the predictions of all models and ensembles.
    """
    models = map(paths.predictions, [*params.networks, *params.classical])
    ensembles = [*map(paths.inter_predictions, params.rates), paths.intra_predictions]
    content = {
        "params": params.model_dump(mode="json", exclude={*FOCUS, "report"}),
        "predictions": [sha256(path.read_bytes()) for path in (*models, *ensembles)],
    }
    return f"wen-{sha256(json.dumps(content, sort_keys=True).encode())[:12]}"


def identity(study: "Study", paths: Paths) -> dict[str, Any]:
    """Return the entries of metrics/evidence.json that identify the study and the classifier in focus."""
    focus = {key: getattr(study.params, key) for key in FOCUS}
    return {"study": study_id(study.params, paths), "classifier": study.focus.id, "focus": focus}
