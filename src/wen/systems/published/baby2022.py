"""Baby et al. 2022: features of an EfficientNet, and soft voting of an SVM, a random forest and logistic regression.

The variant of EfficientNet, the kernel and the number of trees are unknown; see report/systems.yaml.
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
    """Return a voting classifier for each network; its control is a logistic regression on the same features."""
    names = settings.networks
    votes = [
        Variant(f"vote-{name}", "main", partial(fit_vote, settings, name), control=f"regression-{name}")
        for name in names
    ]
    return votes + [Variant(f"regression-{name}", "control", partial(fit_regression, name)) for name in names]


def seconds(settings: Settings) -> float:
    return 3.0 * len(settings.networks)  # most of it for the forest


def fit_vote(settings: Any, network: str, training: "Training") -> Model:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import RandomForestClassifier, VotingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    from wen.systems.classical import fit

    svm = SVC(class_weight="balanced")
    classifiers = [
        # Not SVC(probability=True), whose inner split would put cells of a subject on both sides.
        ("svm", CalibratedClassifierCV(svm, cv=training.inner())),
        (
            "forest",
            RandomForestClassifier(settings.trees, class_weight="balanced", random_state=training.seed(what="forest")),
        ),
        ("regression", LogisticRegression(class_weight="balanced", max_iter=10_000)),
    ]
    return fit(make_pipeline(StandardScaler(), VotingClassifier(classifiers, voting="soft")), [network], training)


def fit_regression(network: str, training: "Training") -> Model:
    from wen.members.baseline import logistic_regression
    from wen.systems.classical import fit

    return fit(logistic_regression(1.0), [network], training)
