"""The table of bench/RESULTS.md: what was measured, compared with what, and the spread."""

from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Row:
    """One piece of work, done by a peer and by the study: several measurements each, in seconds or megabytes."""

    work: str
    peer: str
    peer_values: list[float]
    study_values: list[float]
    goal: float
    """The peer takes at least this many times what the study takes; below 1, the study may take longer."""
    unit: str = "s"
    operations: tuple[float, float] | None = None
    """Multiply-adds of the peer and of the study, counted."""
    least: tuple[str, list[float]] | None = None
    """The part of the study's work that it cannot do without, and what that part takes alone."""

    @property
    def met(self) -> bool:
        return self._ratio(self.study_values)[0] >= self.goal

    def cells(self) -> list[str]:
        ratio, low, high = self._ratio(self.study_values)
        return [
            self.work,
            self.peer,
            _three(self.peer_values, self.unit),
            _three(self.study_values, self.unit),
            f"{ratio:.2f} ({low:.2f} to {high:.2f})",
            f">= {self.goal:g}",
            "yes" if self.met else "**no**",
            *self._counted(),
        ]

    def limit(self) -> list[str]:
        """Return the ratio that the study would reach if it only did the unavoidable part."""
        ratio = f"{self._ratio(self.study_values)[0]:.2f}"
        if self.least is None:
            return [self.work, self.peer, f">= {self.goal:g}", ratio, "", "", "", ""]
        part, values = self.least
        ratios = [f"{self._ratio(times)[0]:.2f}" for times in (self.study_values, values)]
        rate = f"{self.operations[1] / median(values) / 1e9:.0f}" if self.operations else ""
        return [self.work, self.peer, f">= {self.goal:g}", ratios[0], part, _three(values, self.unit), rate, ratios[1]]

    def _ratio(self, times: list[float]) -> tuple[float, float, float]:
        """Return the peer's value divided by the study's: of the medians, and the least and greatest of all pairs."""
        peer = self.peer_values
        return median(peer) / median(times), min(peer) / max(times), max(peer) / min(times)

    def _counted(self) -> tuple[str, str]:
        """Return the ratio of the multiply-adds, and G multiply-adds per second of both."""
        if self.operations is None:
            return "", ""
        peer, study = self.operations
        rates = peer / median(self.peer_values) / 1e9, study / median(self.study_values) / 1e9
        return f"{peer / study:.2f}", "{:.0f}, {:.0f}".format(*rates)


def _three(values: list[float], unit: str) -> str:
    """Return the median, to three digits."""
    return f"{float(f'{median(values):.3g}'):,g} {unit}"


def markdown(rows: list[Row]) -> str:
    """Return the table of all rows."""
    heading = ["work", "peer", "peer's time or memory", "study's time or memory", "ratio (spread)", "goal", "met"]
    return _table([*heading, "ratio of multiply-adds", "G multiply-adds/s: peer, study"], [row.cells() for row in rows])


def limits(rows: list[Row]) -> str:
    """Return the table of the rows that miss their goal, with the unavoidable part of the work."""
    heading = ["work", "peer", "goal", "reached", "unavoidable part", "its time"]
    heading += ["its G multiply-adds/s", "its ratio"]
    return _table(heading, [row.limit() for row in rows if not row.met])


def _table(heading: list[str], lines: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in [heading, ["---"] * len(heading), *lines]) + "\n"
