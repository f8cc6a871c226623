"""The table of bench/RESULTS.md: what was measured, against what, and how much it spread."""

from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Row:
    """One piece of work, done by a peer and by the study, in seconds (or megabytes), each several times."""

    work: str
    peer: str
    theirs: list[float]
    ours: list[float]
    goal: str
    """``>= x``: the peer takes at least x times as long; ``<= x``: the study takes at most x times as long."""
    unit: str = "s"
    operations: tuple[float, float] | None = None
    """Multiply-adds of the peer and of the study, counted."""

    def cells(self) -> list[str]:
        at_least, bound = self.goal.split()[0] == ">=", float(self.goal.split()[1])
        longer, shorter = (self.theirs, self.ours) if at_least else (self.ours, self.theirs)
        ratio = median(longer) / median(shorter)
        low, high = min(longer) / max(shorter), max(longer) / min(shorter)
        met = ratio >= bound if at_least else ratio <= bound
        return [
            self.work,
            self.peer,
            _three(self.theirs, self.unit),
            _three(self.ours, self.unit),
            f"{ratio:.2f} ({low:.2f} to {high:.2f})",
            self.goal,
            "yes" if met else "**no**",
            *self._counted(),
        ]

    def _counted(self) -> tuple[str, str]:
        """The ratio by multiply-adds alone, and G multiply-adds a second of both."""
        if self.operations is None:
            return "", ""
        theirs, ours = self.operations
        rates = theirs / median(self.theirs) / 1e9, ours / median(self.ours) / 1e9
        return f"{theirs / ours:.2f}", "{:.0f}, {:.0f}".format(*rates)


def _three(values: list[float], unit: str) -> str:
    """Their median, to three digits."""
    return f"{float(f'{median(values):.3g}'):,g} {unit}"


def markdown(rows: list[Row]) -> str:
    heading = ["work", "peer", "peer takes", "the study takes", "ratio (spread)", "goal", "met"]
    heading += ["ratio of multiply-adds", "G multiply-adds/s: peer, study"]
    lines = [heading, ["---"] * len(heading), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
