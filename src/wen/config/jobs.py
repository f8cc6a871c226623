"""Jobs that can run in parallel, and the names of the stages in DVC."""

from dataclasses import dataclass

from wen.config.member import Member
from wen.config.params import Params
from wen.config.stages import BEFORE, OF_NETWORKS, STAGES


@dataclass(frozen=True)
class System:
    """A published system as an independent job."""

    system: str
    networks: tuple[str, ...]
    """The networks under ``pretrained`` in params.yaml that it reads."""

    @property
    def name(self) -> str:
        return f"system@{self.system}"

    @property
    def stages(self) -> tuple[str, ...]:
        return (self.name,)


Job = Member | System
"""One network on one fold, with its two stages, or one published system."""


def before(params: Params) -> list[str]:
    """Return the stages that must run before the jobs, by their names in DVC."""
    return [*BEFORE, *(f"network@{name}" for name in params.pretrained), "systems"]


def addresses(params: Params) -> list[str]:
    """Return every stage of a study, by its name in DVC."""
    several = {stage: [f"{stage}@{member.name}" for member in params.networks] for stage in OF_NETWORKS}
    several["network"] = [f"network@{name}" for name in params.pretrained]
    several["system"] = [f"system@{name}" for name in params.systems]
    several["ensemble-inter"] = [f"ensemble-inter@{recipe}" for recipe in params.rates]
    return ["code", *(address for stage in STAGES for address in several.get(stage, [stage]))]
