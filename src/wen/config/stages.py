"""The stages of dvc.yaml, in the study's order; each is a command of `wen`."""

from dataclasses import dataclass

from wen.config.member import Member
from wen.config.params import Params

STAGES = (
    "prepare", "split", "backbone", "features", "baselines", "train-fold", "predict-fold",
    "ensemble-inter", "ensemble-intra", "repeats", "network", "systems", "system", "report",
)  # fmt: skip
"""Those that compute."""
BEFORE = ("code", "prepare", "split", "backbone", "features")
"""What all networks need."""
OF_NETWORKS = ("train-fold", "predict-fold")


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
