"""The sections of the page that have numbers or figures of their own.

A section is a module here, ``templates/sections/NAME.html`` and ``texts/NAME.yaml``; one without numbers has no module.
`wen.report.evidence` measures ``readings``, whose numbers stand among its own.
"""

from typing import Any, Protocol

from matplotlib.figure import Figure

from wen.report.language import Text
from wen.report.sections import agreement, baselines, calibration, champions, decisions, people, repeats, systems
from wen.study import Study


class Section(Protocol):
    """What a module of `wen.report.sections` holds."""

    def measure(self, study: Study) -> Any:
        """Compute all that the section says; JSON, kept under the section's name in metrics/evidence.json."""
        ...

    def figures(self, study: Study, found: Any, t: Text) -> dict[str, Figure]:
        """Draw its figures, by name; ``found`` is what `measure` returned."""
        ...


MEASURED: dict[str, Section] = {
    "baselines": baselines,
    "champions": champions,
    "people": people,
    "calibration": calibration,
    "decisions": decisions,
    "agreement": agreement,
    "repeats": repeats,
    "systems": systems,
}
