"""Which stages come before the models, and which are each model's."""

from dataclasses import dataclass

BEFORE = ("code", "prepare", "split", "backbone", "features")
"""What all models need."""


@dataclass(frozen=True)
class Model:
    """One of the study's models: a learning rate and the fold that validates."""

    lr: float
    fold: int

    @property
    def name(self) -> str:
        return f"{self.lr}-{self.fold}"

    @property
    def stages(self) -> tuple[str, str]:
        """What DVC calls its training and its prediction."""
        return f"train-fold@{self.name}", f"predict-fold@{self.name}"
