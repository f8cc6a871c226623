"""Baby et al. 2022: features of an EfficientNet, and a vote of a support vector machine, a forest and a regression.

Which EfficientNet, which kernel and how many trees is not known: see report/systems.yaml.
"""

from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import Field

from wen.config.types import NetworkName, Positive
from wen.systems import system
from wen.systems.system import Depth, Kind, Model, Variant

if TYPE_CHECKING:
    from wen.systems.fold import Training

PAPER = tuple(f"tf_efficientnet_b{size}" for size in range(8))
READS: dict[Depth, tuple[Kind, ...]] = {"frozen": ("pooled",)}


class Settings(system.Settings):
    networks: list[NetworkName] = Field(default=["tf_efficientnet_b0.in1k"])
    trees: Positive = 100


def variants(settings: Any) -> list[Variant]:
    """A vote for each network, of which the best on validation data is shown; and plain regressions."""
    votes = [Variant(f"vote-{name}", "main", partial(vote, settings, name)) for name in settings.networks]
    return votes + [Variant(f"regression-{name}", "control", partial(regression, name)) for name in settings.networks]


def seconds(settings: Settings) -> float:
    return 3.0 * len(settings.networks)  # most of it for the forest


def vote(settings: Any, network: str, training: "Training") -> Model:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import RandomForestClassifier, VotingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    from wen.systems.classical import fit

    machine = SVC(class_weight="balanced")
    kinds = [
        # Not probability=True, whose inner split would put a person's cells on both sides.
        ("svm", CalibratedClassifierCV(machine, cv=training.inner())),
        (
            "forest",
            RandomForestClassifier(settings.trees, class_weight="balanced", random_state=training.seed(what="forest")),
        ),
        ("regression", LogisticRegression(class_weight="balanced", max_iter=10_000)),
    ]
    return fit(make_pipeline(StandardScaler(), VotingClassifier(kinds, voting="soft")), [network], training)


def regression(network: str, training: "Training") -> Model:
    from wen.members.baseline import logistic_regression
    from wen.systems.classical import fit

    return fit(logistic_regression(1.0), [network], training)
