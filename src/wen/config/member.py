"""A member: one trained classifier of the study, and its name."""

from dataclasses import dataclass

BASELINE = "baseline/"
"""Prefix of the recipe of a baseline."""
SYSTEM = "system/"
"""Prefix of the recipe of a published system's variant."""
TRAINING = {"head": 1, "finetune": 2}
"""The training stages of a network and their numbers (3.3)."""


@dataclass(frozen=True)
class Member:
    """The classifier of one recipe that is validated on one fold and trained on the others."""

    recipe: str
    """A learning rate of the study's network as text, ``baseline/NAME``, or ``system/NAME/VARIANT``."""
    fold: int

    @property
    def name(self) -> str:
        """The name in DVC's stages, ensembles, tables and messages, e.g. ``0.001-0``."""
        return f"{self.recipe}-{self.fold}"

    @property
    def baseline(self) -> str | None:
        """The name of the baseline in params.yaml; None for other members."""
        return self.recipe.removeprefix(BASELINE) if self.recipe.startswith(BASELINE) else None

    @property
    def system(self) -> tuple[str, str] | None:
        """The names of the published system and of its variant; None for other members."""
        name, _, variant = self.recipe.removeprefix(SYSTEM).partition("/")
        return (name, variant) if self.recipe.startswith(SYSTEM) else None

    @property
    def lr(self) -> float:
        """The learning rate of a network."""
        return float(self.recipe)

    @property
    def stages(self) -> tuple[str, str]:
        """The stages that train the network and predict with it, by their names in DVC."""
        return f"train-fold@{self.name}", f"predict-fold@{self.name}"
