"""Ahmed et al. 2023 written plainly with timm and scikit-learn: features once, then three pipelines per fold.

Run in the folder of a study (params.yaml, data/index.csv, data/split.csv, models/networks/NAME/weights.safetensors):

    python plain_system.py tf_efficientnet_lite0

Prints JSON: seconds, and the regression's probabilities of the test images by fold.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import safetensors.torch
import timm
import torch
from plain import Cells
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.utils.data import DataLoader

from wen.config.paths import Paths
from wen.config.read import load
from wen.data.table import DEVELOPMENT, TEST, read_cells

BATCH = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network")
    name = parser.parse_args().network
    params, cells = load(Path("params.yaml")), read_cells(Paths())
    torch.set_num_threads(params.compute.threads)
    begin = time.perf_counter()
    network = timm.create_model(name, num_classes=0).eval()
    weights = safetensors.torch.load_file(f"models/networks/{name}/weights.safetensors")
    network.load_state_dict(weights, strict=False)
    config = network.pretrained_cfg
    with torch.inference_mode():
        loader = DataLoader(Cells(cells, params, config["mean"], config["std"], None), batch_size=BATCH)
        features = torch.cat([network(images) for images, _ in loader]).numpy()
    label, fold = cells.label.to_numpy(), cells.fold.to_numpy()
    development, test = (cells.part == DEVELOPMENT).to_numpy(), (cells.part == TEST).to_numpy()
    found = {}
    for number in params.folds:
        train = development & (fold != number)
        for key, classifier in _classifiers(params.systems["ahmed2023"]["trees"]).items():
            fitted = classifier.fit(features[train], label[train])
            found[key, number] = fitted.predict_proba(features)[:, 1]
    seconds = time.perf_counter() - begin
    regression = [found["regression", number][test].tolist() for number in params.folds]
    print(json.dumps({"seconds": seconds, "probability": regression, "images": cells.id[test].tolist()}))


def _classifiers(trees: int) -> dict:
    forest = RandomForestClassifier(trees, class_weight="balanced_subsample", random_state=0)
    boosting = HistGradientBoostingClassifier(class_weight="balanced", early_stopping=False, random_state=0)
    return {
        "forest": make_pipeline(StandardScaler(), PCA(0.95), forest),
        "boosting": make_pipeline(StandardScaler(), PCA(0.95), boosting),
        "regression": make_pipeline(
            StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=10_000)
        ),
    }


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main()
