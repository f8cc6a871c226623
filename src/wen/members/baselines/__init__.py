"""Registry of the classical classifiers, the baselines of the networks, by their names in params.yaml."""

import difflib

from wen.errors import WenError
from wen.members.baseline import Baseline
from wen.members.baselines import colour, features

BASELINES: dict[str, Baseline] = {"colour": colour, "features": features}


def baseline(name: str) -> Baseline:
    """Return a baseline by its name in params.yaml; raise `WenError` if there is none of that name."""
    if name not in BASELINES:
        near = difflib.get_close_matches(name, BASELINES, n=1)
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        raise WenError(f"params.yaml: baselines: unknown baseline {name!r}{meant}; choose from {', '.join(BASELINES)}")
    for part in ("numbers", "estimator"):
        if not callable(getattr(BASELINES[name], part, None)):
            raise WenError(f"params.yaml: baselines: {name} has no function {part}(); see docs/EXTEND.md")
    return BASELINES[name]
