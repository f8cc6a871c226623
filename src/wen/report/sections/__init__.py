"""The sections of the page that compute numbers or draw figures.

A section is a module here, ``templates/sections/NAME.html`` and ``texts/NAME.yaml``; one without numbers has no module.
The numbers of ``readings`` are part of `wen.report.evidence`.
"""

from typing import Any, Protocol

from matplotlib.figure import Figure

from wen.report.language import Text
from wen.report.sections import agreement, baselines, calibration, champions, decisions, people, repeats, systems
from wen.study import Study


class Section(Protocol):
    """The functions of a module of `wen.report.sections`."""

    def measure(self, study: Study) -> Any:
        """Compute the numbers of the section: JSON, which metrics/evidence.json has under the section's name."""
        ...

    def figures(self, study: Study, measured: Any, t: Text) -> dict[str, Figure]:
        """Draw the figures of the section, by name; ``measured`` is what `measure` returned."""
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
