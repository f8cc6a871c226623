"""Results of a published system on this study's images: what was run, and the predictions of its fold models."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from wen.config.member import SYSTEM
from wen.config.params import Params
from wen.config.paths import Paths
from wen.errors import WenError
from wen.files import read_json
from wen.members.predictions import Predictions, load

KEYS = {
    "state", "missing", "depth", "networks", "paper", "stand_ins", "settings", "changed", "shown", "best", "variants",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Replication:
    """Results of a published system."""

    name: str
    about: dict[str, Any]
    """Content of system.json; see `wen.systems.stage.summary`."""
    members: dict[str, list[Predictions]]
    """Predictions of the fold models of each variant, by its name; empty if the system was skipped."""

    @property
    def skipped(self) -> bool:
        return not self.members

    @property
    def control(self) -> str | None:
        """Name of the variant without what the paper proposes that the shown one is compared with, if there is any."""
        variants = self.about["variants"]
        controls = [variant["name"] for variant in variants if variant["role"] == "control"]
        declared = [variant["control"] for variant in variants if variant["name"] == self.about["shown"]]
        return next(filter(None, declared), self.best(controls) if controls else None)

    def best(self, names: Collection[str]) -> str:
        """Return the variant with the highest validation accuracy; the first one in case of ties."""
        candidates = [variant for variant in self.about["variants"] if variant["name"] in names]
        return str(max(candidates, key=lambda variant: variant["validation"])["name"])


def gather(params: Params, paths: Paths) -> dict[str, Replication]:
    """Read the results of every system of params.yaml, by its name.

    Raises
    ------
    WenError
        If a file is missing or damaged.
    """
    return {name: _read(params, paths, name) for name in params.systems}


def _read(params: Params, paths: Paths, name: str) -> Replication:
    about = read_json(paths.system(name))
    if not isinstance(about, dict) or not about.keys() >= KEYS:
        raise WenError(f"{paths.system(name)}: not as written by `wen system {name}`; run `dvc repro`")
    members = {
        variant["name"]: load(paths, params.members(f"{SYSTEM}{name}/{variant['name']}"))
        for variant in about["variants"]
    }
    return Replication(name, about, members)
