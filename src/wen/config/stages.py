"""The stages of dvc.yaml, in the study's order."""

BEFORE = ("code", "prepare", "split", "backbone", "features")
"""What all networks need."""
STAGES = (
    "prepare", "split", "backbone", "features", "baselines", "train-fold", "predict-fold", "ensemble-inter",
    "ensemble-intra", "report",
)  # fmt: skip
"""Those that compute; each is a command of `wen`."""
