"""The stages ensemble-inter and ensemble-intra on made-up members, against scikit-learn, SciPy and the formulas."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from scipy.stats import rankdata
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, precision_score, recall_score, roc_auc_score

from wen.config.params import Params
from wen.config.paths import Paths
from wen.ensemble import inter, intra
from wen.errors import WenError
from wen.members.predictions import Predictions, write

ID, LABEL = np.array([f"t{k:02}" for k in range(40)]), (np.arange(40) % 3 > 0).astype(int)
OF_THESIS = {
    "accuracy": accuracy_score, "precision": precision_score, "recall": recall_score, "f1": f1_score,
    "kappa": cohen_kappa_score,
}  # fmt: skip
SCORE_OF = {**OF_THESIS, "uniform": lambda label, decision: 1.0}
RATES = ["0.001", "0.0001", "1e-05"]


def made_up(root: Path, values: dict[str, Any], calibration: str = "none") -> tuple[Params, Paths, list[Predictions]]:
    """Three folds' models of each learning rate of the grid, and of one off it, with scores that differ."""
    params = Params.model_validate(values | {"folds": [0, 1, 2], "calibration": calibration, "lr": 0.02})
    paths, rng, members = Paths(root), np.random.default_rng(4), []
    for member in (member for recipe in params.rates for member in params.members(recipe)):
        label = rng.permutation(np.arange(30) % 2)
        noise = 1.5 + member.fold
        members.append(
            Predictions(
                member, np.array([f"v{k:02}" for k in range(30)]), label, drawn(rng, label, noise), ID, LABEL,
                drawn(rng, LABEL, 4 - member.fold), np.empty((40, 0, 0), np.float16), np.array(False),
                np.array("head"), np.array(1), np.array(["CPU, float32"] * 2),
            )
        )  # fmt: skip
        write(members[-1], paths.predictions(member))
    return params, paths, members


def drawn(rng: np.random.Generator, label: np.ndarray, noise: float) -> np.ndarray:
    return np.asarray(expit(2 * label - 1 + rng.normal(0, noise, len(label))))


def combined(members: list[Predictions], scheme: str, scaled: bool = False) -> dict[str, np.ndarray]:
    """M_k, w_k, T_k and P_final by their formulas."""
    score = [SCORE_OF[scheme](one.validation_label, one.validation_probability >= 0.5) for one in members]
    weight = np.maximum(score, 0) / np.maximum(score, 0).sum()
    by = [coolest(one.validation_label, one.validation_probability) if scaled else 1.0 for one in members]
    probability = sum(w * expit(logit(one.test_probability) / t) for w, t, one in zip(weight, by, members, strict=True))
    return {"score": np.array(score), "weight": weight, "temperature": np.array(by), "probability": probability}


def coolest(label: np.ndarray, probability: np.ndarray) -> float:
    """The temperature at which the log loss is lowest."""
    right = np.where(label == 1, logit(probability), -logit(probability))
    loss = minimize_scalar(
        lambda t: np.logaddexp(0, -right / t).mean(), bounds=(0.05, 20), method="bounded", options={"xatol": 1e-9}
    )
    return float(loss.x)


def row(probability: np.ndarray) -> dict[str, float]:
    """The thesis' measures of a classifier on the test images, and its area under the ROC curve."""
    of_decisions = {name: measure(LABEL, probability >= 0.5) for name, measure in OF_THESIS.items()}
    return of_decisions | {"auc": roc_auc_score(LABEL, probability)}


def assert_row(path: Path, expected: dict[str, float]) -> None:
    found = json.loads(path.read_text())
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)


def assert_arrays(path: Path, expected: dict[str, Any]) -> None:
    with np.load(path) as found:
        assert set(found) == set(expected)
        for name, value in expected.items():
            if np.asarray(value).dtype.kind == "f":
                np.testing.assert_allclose(found[name], value, rtol=1e-4 if "temperature" in name else 1e-5)
            else:
                np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize("calibration", ["none", "temperature"])
@pytest.mark.parametrize("recipe", ["0.0001", "0.02"])
def test_inter_combines_the_fold_models_of_one_learning_rate_by_each_scheme(
    tmp_path: Path, values: dict[str, Any], calibration: str, recipe: str
) -> None:
    params, paths, models = made_up(tmp_path, values, calibration)
    inter.run(params, paths, recipe)
    members = [one for one in models if one.member.recipe == recipe]
    expected = {
        "test_id": ID, "test_label": LABEL, "calibration": calibration,
        "members": [f"{recipe}-{fold}" for fold in range(3)],
    }  # fmt: skip
    assert {path.stem for path in paths.inter_metrics(recipe).iterdir()} == {"accuracy", "kappa", "uniform"}
    for scheme in ("accuracy", "kappa", "uniform"):
        of_scheme = combined(members, scheme, calibration == "temperature")
        expected |= {f"{scheme}_{name}": value for name, value in of_scheme.items()}
        assert_row(tmp_path / f"metrics/inter/{recipe}/{scheme}.json", row(of_scheme["probability"]))
    assert_arrays(tmp_path / f"data/predictions/inter/{recipe}.npz", expected)


def test_the_mean_and_the_deviation_of_the_single_models_are_written_beside_them(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    params, paths, models = made_up(tmp_path, values)
    inter.run(params, paths, "0.0001")
    rows = [row(one.test_probability) for one in models if one.member.recipe == "0.0001"]
    of_measure = {name: [one[name] for one in rows] for name in rows[0]}
    folder = tmp_path / "metrics/single/0.0001"
    assert_row(folder / "mean.json", {name: float(np.mean(found)) for name, found in of_measure.items()})
    assert_row(folder / "std.json", {name: float(np.std(found, ddof=1)) for name, found in of_measure.items()})


def test_a_learning_rate_that_is_not_of_the_study_is_refused(tmp_path: Path, values: dict[str, Any]) -> None:
    params, paths, _ = made_up(tmp_path, values)
    message = r"^--lr 0\.5: not in this study; choose one of 0\.001, 0\.0001, 1e-05, 0\.02$"
    with pytest.raises(WenError, match=message):
        inter.run(params, paths, "0.5")


@pytest.mark.parametrize("calibration", ["none", "temperature"])
def test_intra_combines_the_champions_of_the_grid_on_test_and_on_validation_data(
    tmp_path: Path, values: dict[str, Any], calibration: str
) -> None:
    params, paths, models = made_up(tmp_path, values, calibration)
    intra.run(params, paths)
    expected: dict[str, Any] = {"test_id": ID, "test_label": LABEL, "calibration": calibration}
    champions = {}
    for reading, kind in (("as_written", "test"), ("leak_free", "validation")):
        members = [best([one for one in models if one.member.recipe == recipe], kind) for recipe in RATES]
        champions[reading] = expected[f"{reading}_members"] = [
            f"{one.member.recipe}-{one.member.fold}" for one in members
        ]
        for scheme in ("accuracy", "kappa", "uniform"):
            of_scheme = combined(members, scheme, calibration == "temperature")
            expected |= {f"{reading}_{scheme}_{name}": value for name, value in of_scheme.items()}
            assert_row(tmp_path / f"metrics/intra/{reading}-{scheme}.json", row(of_scheme["probability"]))
    assert champions["as_written"] != champions["leak_free"]
    assert len(list((tmp_path / "metrics/intra").iterdir())) == 6
    assert_arrays(tmp_path / "data/predictions/intra.npz", expected)


def best(models: list[Predictions], kind: str) -> Predictions:
    """The lowest mean rank over the five measures of 3.3."""
    measured = [
        [measure(getattr(one, f"{kind}_label"), getattr(one, f"{kind}_probability") >= 0.5) for one in models]
        for measure in OF_THESIS.values()
    ]
    mean = np.mean([rankdata(-np.array(found)) for found in measured], axis=0)
    assert (mean == mean.min()).sum() == 1
    return models[int(mean.argmin())]
