"""The stages of dvc.yaml, in the study's order; each is a command of `wen`.

Names alone: `wen.code.executed` leaves this module out as long as nothing in it computes, so that a new stage reruns
no other.
"""

STAGES = (
    "prepare", "split", "backbone", "features", "baselines", "train-fold", "predict-fold",
    "ensemble-inter", "ensemble-intra", "repeats", "network", "systems", "system", "report",
)  # fmt: skip
"""Those that compute."""
BEFORE = ("code", "prepare", "split", "backbone", "features")
"""What all networks need."""
OF_NETWORKS = ("train-fold", "predict-fold")
