"""The stages of dvc.yaml, in the study's order; each is a command of `wen`."""

from wen.config.params import Params

STAGES = (
    "prepare", "split", "backbone", "features", "baselines", "train-fold", "predict-fold",
    "ensemble-inter", "ensemble-intra", "repeats", "network", "systems", "system", "report",
)  # fmt: skip
"""Those that compute."""
BEFORE = ("code", "prepare", "split", "backbone", "features")
"""What all networks need."""
OF_NETWORKS = ("train-fold", "predict-fold")


def addresses(params: Params) -> list[str]:
    """What DVC calls each stage of a study."""
    several = {stage: [f"{stage}@{member.name}" for member in params.networks] for stage in OF_NETWORKS}
    several["network"] = [f"network@{name}" for name in params.pretrained]
    several["system"] = [f"system@{name}" for name in params.systems]
    several["ensemble-inter"] = [f"ensemble-inter@{recipe}" for recipe in params.rates]
    return ["code", *(address for stage in STAGES for address in several.get(stage, [stage]))]
