"""What of a study is run side by side, and what DVC calls each stage of it."""

from dataclasses import dataclass

from wen.config.member import Member
from wen.config.params import Params
from wen.config.stages import BEFORE, OF_NETWORKS, STAGES


@dataclass(frozen=True)
class System:
    """A published system, as something to run that depends on no other."""

    system: str
    networks: tuple[str, ...]
    """Those of params.yaml's ``pretrained`` that it reads."""

    @property
    def name(self) -> str:
        return f"system@{self.system}"

    @property
    def stages(self) -> tuple[str, ...]:
        return (self.name,)


Job = Member | System
"""What is run side by side: a network on a fold, with its two stages, or a published system."""


def before(params: Params) -> list[str]:
    """What DVC calls the stages that jobs need."""
    return [*BEFORE, *(f"network@{name}" for name in params.pretrained), "systems"]


def addresses(params: Params) -> list[str]:
    """What DVC calls each stage of a study."""
    several = {stage: [f"{stage}@{member.name}" for member in params.networks] for stage in OF_NETWORKS}
    several["network"] = [f"network@{name}" for name in params.pretrained]
    several["system"] = [f"system@{name}" for name in params.systems]
    several["ensemble-inter"] = [f"ensemble-inter@{recipe}" for recipe in params.rates]
    return ["code", *(address for stage in STAGES for address in several.get(stage, [stage]))]
