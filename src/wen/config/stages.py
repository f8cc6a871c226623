"""The stages of dvc.yaml in their order; each is a command of `wen`.

This module contains only names. `wen.code.executed` leaves it out, so that adding a stage does not rerun the others.
"""

STAGES = (
    "prepare", "split", "backbone", "features", "baselines", "train-fold", "predict-fold",
    "ensemble-inter", "ensemble-intra", "repeats", "network", "systems", "system", "report",
)  # fmt: skip
"""All stages except ``code``."""
BEFORE = ("code", "prepare", "split", "backbone", "features")
"""The stages that all networks need."""
OF_NETWORKS = ("train-fold", "predict-fold")
