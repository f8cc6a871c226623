"""A member: one trained classifier of the study, and the one name by which everything knows it."""

from dataclasses import dataclass

BASELINE = "baseline/"
"""How the recipe of a baseline begins."""
SYSTEM = "system/"
"""How the recipe of a published system's variant begins."""
TRAINING = {"head": 1, "finetune": 2}
"""The stages of a network's training, and their numbers (3.3)."""


@dataclass(frozen=True)
class Member:
    """One classifier that a recipe gives when one fold validates and the others train."""

    recipe: str
    """What it is made by: a learning rate of the study's network, as text, ``baseline/`` and the name of one, or
    ``system/``, a published system's name, ``/`` and one of its variants."""
    fold: int

    @property
    def name(self) -> str:
        """As in ``0.001-0``: in DVC's stages, ensembles, tables and messages."""
        return f"{self.recipe}-{self.fold}"

    @property
    def baseline(self) -> str | None:
        """The name of a baseline in params.yaml; None of a network."""
        return self.recipe.removeprefix(BASELINE) if self.recipe.startswith(BASELINE) else None

    @property
    def system(self) -> tuple[str, str] | None:
        """The name of a published system and of its variant; None of all others."""
        name, _, variant = self.recipe.removeprefix(SYSTEM).partition("/")
        return (name, variant) if self.recipe.startswith(SYSTEM) else None

    @property
    def lr(self) -> float:
        """The learning rate of a network."""
        return float(self.recipe)

    @property
    def stages(self) -> tuple[str, str]:
        """What DVC calls the training and the prediction of a network."""
        return f"train-fold@{self.name}", f"predict-fold@{self.name}"
