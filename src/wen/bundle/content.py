"""The part of classifier.json that is needed to apply a classifier, in a bundle or in a study's cache."""

from typing import Any

from wen.config.params import Params
from wen.config.paths import Paths
from wen.evaluation.metrics import THRESHOLD
from wen.files import read_json
from wen.study import Classifier


def applied(classifier: Classifier, study: str, params: Params, paths: Paths) -> dict[str, Any]:
    """Describe a classifier of networks for `wen.bundle.read.opened`."""
    described = zip(classifier.members, classifier.weight, classifier.temperature, strict=True)
    return {
        "classifier": classifier.id,
        "study": study,
        "classes": {"negative": params.dataset.negative, "positive": params.dataset.positive},
        "threshold": THRESHOLD,
        "members": [
            {"name": member.name, "weight": float(weight), "temperature": float(temperature)}
            for member, weight, temperature in described
        ],
        "images": {"crop": params.images.crop, "size": params.images.size},
        "network": {"backbone": params.backbone.model_dump(), "unfreeze_from": params.finetune.unfreeze_from},
        "predict": params.predict.model_dump(),
        "compute": params.compute.model_dump(),
        "batch_size": params.train.batch_size,
        "seed": params.seed,
        "data": {
            "synthetic": params.dataset.source == "synthetic",
            "usual": read_json(paths.dataset_metrics).get("usual"),
        },
    }
