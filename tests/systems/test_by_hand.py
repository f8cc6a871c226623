"""Each published system compared with a few lines of scikit-learn or torch on the same features."""

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from made_up import FEW, NETWORKS, made_up, run
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.svm import SVC
from sklearn.utils.class_weight import compute_class_weight
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.nn.functional import conv2d, silu

from wen.config.member import Member
from wen.config.params import Params
from wen.config.paths import Paths
from wen.config.seeds import seed_for
from wen.data.table import read_cells
from wen.files import read_json
from wen.members.predictions import load
from wen.network.arrays import array_path
from wen.systems.published import ahmed2023

FOLD = 0


class Hand:
    """The arrays of fold 0, and how the study draws."""

    def __init__(self, params: Params, paths: Paths) -> None:
        self.params, self.paths, self.cells = params, paths, read_cells(paths)
        self.train = np.flatnonzero(self.cells.fold == 1)
        self.rows = {
            "validation": np.flatnonzero(self.cells.fold == 0),
            "test": np.flatnonzero(self.cells.part == "test"),
        }
        self.label = self.cells.label.to_numpy().copy()
        self.person = self.cells.subject.to_numpy().astype(int)

    def values(self, kind: str, *networks: str) -> np.ndarray:
        return np.concatenate([np.load(array_path(self.paths.network(name), kind)) for name in networks], axis=-1)

    def seed(self, system: str, what: str, *parts: Any) -> int:
        return seed_for(self.params.seed, FOLD, *parts, what=f"{system} {what}")

    def found(self, system: str, variant: str) -> Any:
        return load(self.paths, [Member(f"system/{system}/{variant}", FOLD)])[0]

    def chosen(self, system: str, variant: str) -> dict[str, Any]:
        variants = {one["name"]: one for one in read_json(self.paths.system(system))["variants"]}
        chosen: dict[str, Any] = variants[variant]["folds"][FOLD]["chosen"]
        return chosen

    def check(
        self, system: str, variant: str, probability: Callable[[np.ndarray], np.ndarray], tolerance: float = 1e-4
    ) -> None:
        found = self.found(system, variant)
        for part, rows in self.rows.items():
            np.testing.assert_allclose(getattr(found, f"{part}_probability"), probability(rows), atol=tolerance)

    def inner(self, system: str) -> list[tuple[np.ndarray, np.ndarray]]:
        """Three parts, since there are three people of each class; two if one of the three has one class alone."""
        label, person = self.label[self.train], self.person[self.train]
        for parts in (3, 2):
            splitter = StratifiedGroupKFold(parts, shuffle=True, random_state=self.seed(system, "inner split"))
            found = list(splitter.split(label, label, person))
            if all(0 < label[side].mean() < 1 for pair in found for side in pair):
                return found
        raise AssertionError

    def trained(
        self, system: str, module: nn.Module, kind: str, network: str, learn: np.ndarray, **how: Any
    ) -> list[dict[str, torch.Tensor]]:
        """Train by a plain loop; the weights after each epoch. ``how``: optimizer, epochs, batch, balance, weighted."""
        values = torch.from_numpy(self.values(kind, network)).float()
        values = values.movedim(-1, 1) if kind == "maps" else values
        target = torch.from_numpy(self.label).float()
        optimizer, states = how["optimizer"](module.parameters()), []
        share = len(learn) / (2 * np.bincount(self.label[learn])) if how.get("weighted") else np.ones(2)
        weight = torch.from_numpy(share[self.label]).float()
        for epoch in range(how["epochs"]):
            module.train()
            rng = np.random.default_rng(self.seed(system, "order", epoch))
            order = rng.permutation(how["sampler"](self.label[learn], rng))
            torch.manual_seed(self.seed(system, "dropout", epoch))
            for batch in np.array_split(order, -(-len(order) // how["batch"])):
                at = learn[batch]
                optimizer.zero_grad()
                cross_entropy(module(values[at])[:, 0], target[at], weight=weight[at]).backward()
                optimizer.step()
            states.append({key: value.clone() for key, value in module.state_dict().items()})
        return states

    def probability(self, module: nn.Module, kind: str, network: str) -> Callable[[np.ndarray], np.ndarray]:
        def of(rows: np.ndarray) -> np.ndarray:
            values = torch.from_numpy(self.values(kind, network)[rows]).float()
            with torch.no_grad():
                found: np.ndarray = (
                    module.eval()(values.movedim(-1, 1) if kind == "maps" else values)[:, 0].sigmoid().numpy()
                )
            return found

        return of


@pytest.fixture(scope="module")
def hand(tmp_path_factory: pytest.TempPathFactory) -> Hand:
    params, paths = made_up(tmp_path_factory.mktemp("hand"), **{name: {} for name in FEW})
    run(params, paths)
    return Hand(params, paths)


def every(label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.arange(len(label))


def scaled(values: np.ndarray, train: np.ndarray) -> np.ndarray:
    values = values.astype(float)
    spread = values[train].std(0)
    found: np.ndarray = (values - values[train].mean(0)) / np.where(spread == 0, 1, spread)
    return found


def test_baby_s_vote_is_the_mean_of_three_classifiers_on_scaled_features(hand: Hand) -> None:
    values = scaled(hand.values("pooled", NETWORKS[0]), hand.train)
    kinds = [
        CalibratedClassifierCV(SVC(class_weight="balanced"), cv=hand.inner("baby2022")),
        RandomForestClassifier(5, class_weight="balanced", random_state=hand.seed("baby2022", "forest")),
        LogisticRegression(class_weight="balanced", max_iter=10_000),
    ]
    fitted = [kind.fit(values[hand.train], hand.label[hand.train]) for kind in kinds]
    hand.check(
        "baby2022",
        f"vote-{NETWORKS[0]}",
        lambda rows: np.mean([kind.predict_proba(values[rows])[:, 1] for kind in fitted], 0),
        1e-3,
    )


@pytest.mark.parametrize("kind", ["forest", "boosting"])
def test_ahmed_s_classifiers_see_the_components_of_fused_features(hand: Hand, kind: str) -> None:
    values = scaled(hand.values("pooled", *NETWORKS), hand.train)
    variance = np.linalg.svd(values[hand.train], compute_uv=False) ** 2
    number = int(np.searchsorted(variance.cumsum() / variance.sum(), 0.95)) + 1
    components = PCA(number, svd_solver="full").fit(values[hand.train])
    seed = hand.seed("ahmed2023", kind)
    classifier = {
        "forest": RandomForestClassifier(5, class_weight="balanced_subsample", random_state=seed),
        "boosting": HistGradientBoostingClassifier(class_weight="balanced", early_stopping=False, random_state=seed),
    }[kind].fit(components.transform(values[hand.train]), hand.label[hand.train])  # fmt: skip
    variant = f"{kind}-{'+'.join(NETWORKS)}"
    hand.check("ahmed2023", variant, lambda rows: classifier.predict_proba(components.transform(values[rows]))[:, 1])


def test_either_library_of_gradient_boosting_weights_classes_equally(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xgboost", SimpleNamespace(XGBClassifier=lambda **settings: settings))
    label = np.array([0, 1, 1, 1])
    sklearn, settings = (
        ahmed2023._boosting(ahmed2023.Settings.model_construct(boosting=library), 0, label)
        for library in ("sklearn", "xgboost")
    )
    negative, positive = compute_class_weight(sklearn.class_weight, classes=np.array([0, 1]), y=label)
    assert settings["scale_pos_weight"] == pytest.approx(positive / negative)


def test_mondal_s_networks_are_one_neuron_each_kept_at_the_epoch_of_lowest_inner_loss(hand: Hand) -> None:
    name = NETWORKS[1]
    learn, judge = (hand.train[side] for side in hand.inner("mondal2021")[0])
    torch.manual_seed(hand.seed("mondal2021", "start"))
    module = nn.Sequential(nn.Linear(hand.values("pooled", name).shape[1], 1))

    def adamax(weights: Any) -> torch.optim.Optimizer:
        return torch.optim.Adamax(weights, 2e-3)

    states = hand.trained(
        "mondal2021", module, "pooled", name, learn, optimizer=adamax, epochs=2, batch=32, sampler=more
    )
    losses = []
    for state in states:
        module.load_state_dict(state)
        found = hand.probability(module, "pooled", name)(judge).astype(float)
        losses.append(-np.log(np.where(hand.label[judge] == 1, found, 1 - found)).mean())
    assert hand.chosen("mondal2021", name)["epoch"] == np.argmin(losses) + 1
    module.load_state_dict(states[int(np.argmin(losses))])
    hand.check("mondal2021", name, hand.probability(module, "pooled", name))


@pytest.mark.parametrize("scheme", ["kappa", "accuracy", "f1", "auc", "uniform"])
def test_mondal_s_ensemble_weights_the_networks_of_a_fold(hand: Hand, scheme: str) -> None:
    members = [hand.found("mondal2021", name) for name in NETWORKS]
    measure: dict[str, Callable[..., float]] = {
        "kappa": cohen_kappa_score, "accuracy": accuracy_score, "f1": f1_score, "uniform": lambda label, called: 1.0,
    }  # fmt: skip
    scores = [
        roc_auc_score(one.validation_label, one.validation_probability)
        if scheme == "auc"
        else measure[scheme](one.validation_label, one.validation_probability >= 0.5)
        for one in members
    ]
    weight = np.maximum(scores, 0)
    weight = weight / weight.sum() if weight.any() else np.full(2, 0.5)
    found = hand.found("mondal2021", "average" if scheme == "uniform" else f"wen-{scheme}")
    for part in ("validation", "test"):
        expected = sum(w * getattr(one, f"{part}_probability") for w, one in zip(weight, members, strict=True))
        np.testing.assert_allclose(getattr(found, f"{part}_probability"), expected)


def head(channels: int, hidden: int, dropout: float) -> list[nn.Module]:
    layers: list[nn.Module] = [nn.Linear(channels, hidden), nn.ReLU()] if hidden else []
    return [*layers, nn.Dropout(dropout), nn.Linear(hidden or channels, 1)]


@pytest.mark.parametrize("variant", ["search", "no-search"])
def test_wibowo_s_head_is_trained_with_what_the_search_chose(hand: Hand, variant: str) -> None:
    chosen = {"lr": 1e-3, "hidden": 0, "dropout": 0.0, "optimiser": "adam", "batch_size": 32} | hand.chosen(
        "wibowo2024", variant
    )
    torch.manual_seed(hand.seed("wibowo2024", "start"))
    module = nn.Sequential(*head(hand.values("pooled", NETWORKS[0]).shape[1], chosen["hidden"], chosen["dropout"]))
    kinds: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
        "adam": lambda weights: torch.optim.Adam(weights, chosen["lr"]),
        "rmsprop": lambda weights: torch.optim.RMSprop(weights, chosen["lr"]),
        "sgd": lambda weights: torch.optim.SGD(weights, chosen["lr"], momentum=0.9),
    }
    hand.trained(
        "wibowo2024", module, "pooled", NETWORKS[0], hand.train, optimizer=kinds[chosen["optimiser"]], epochs=2,
        batch=chosen["batch_size"], sampler=every, weighted=True,
    )  # fmt: skip
    hand.check("wibowo2024", variant, hand.probability(module, "pooled", NETWORKS[0]))


@pytest.mark.parametrize("variant", ["genetic", "random", "bayesian"])
def test_rodrigues_s_neuron_is_trained_by_sgd_with_what_each_search_chose(hand: Hand, variant: str) -> None:
    chosen = hand.chosen("rodrigues2022", variant)
    torch.manual_seed(hand.seed("rodrigues2022", "start"))
    module = nn.Sequential(*head(hand.values("pooled", NETWORKS[0]).shape[1], 0, chosen["dropout"]))

    def sgd(weights: Any) -> torch.optim.Optimizer:
        return torch.optim.SGD(weights, chosen["lr"], momentum=chosen["momentum"])

    hand.trained(
        "rodrigues2022", module, "pooled", NETWORKS[0], hand.train, optimizer=sgd, epochs=1, batch=32, sampler=every,
        weighted=True,
    )  # fmt: skip
    hand.check("rodrigues2022", variant, hand.probability(module, "pooled", NETWORKS[0]))


def more(label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """All of both classes, and some of the smaller again."""
    few = int(np.bincount(label).argmin())
    missing = (label != few).sum() - (label == few).sum()
    return np.append(np.arange(len(label)), rng.choice(np.flatnonzero(label == few), missing))


def fewer(label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """All of the smaller class and as many of the larger; with equal numbers, all."""
    few = int(np.bincount(label).argmin())
    kept = rng.choice(np.flatnonzero(label != few), (label == few).sum(), replace=False)
    return np.sort(np.append(np.flatnonzero(label == few), kept))


class ThreeKernels(nn.Module):
    """Muntasa's block, its convolutions called as functions."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.tail = nn.Sequential(nn.Dropout(0.2), nn.Linear(channels, 1))
        sizes = [(width, channels, 3), (width, channels, 3), (channels, 1, 3), (width, channels, 1)]
        groups = [1, 1, channels, 1]
        layers = [
            nn.Conv2d(channels, out, k, groups=g, bias=False) for (out, _, k), g in zip(sizes, groups, strict=True)
        ]
        self.weights = nn.ParameterList(layer.weight for layer in layers)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(3))
        self.back = nn.Conv2d(3 * width, channels, 1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        regular, dilated, deep, point = self.weights
        branches = [
            conv2d(maps, regular, padding=1),
            conv2d(maps, dilated, padding=2, dilation=2),
            conv2d(conv2d(maps, deep, padding=1, groups=len(deep)), point),
        ]
        active = [silu(norm(branch)) for norm, branch in zip(self.norms, branches, strict=True)]
        return self.tail((maps + self.back(torch.cat(active, 1))).mean((2, 3)))  # type: ignore[no-any-return]


class Separable(nn.Module):
    """Batool's convolution and head."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.deep = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.point = nn.Conv2d(channels, width, 1, bias=False)
        self.second = nn.BatchNorm2d(width)
        self.third = nn.BatchNorm1d(width)
        self.tail = nn.Sequential(nn.Linear(width, 256), nn.ReLU(), nn.Dropout(0.45), nn.Linear(256, 1))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        found = silu(self.second(self.point(silu(self.norm(self.deep(maps))))))
        return self.tail(self.third(found.amax((2, 3))))  # type: ignore[no-any-return]


class Attention(nn.Module):
    """Ullah's attention: a convolution over neighbouring channels' means, whose sigmoid scales each channel."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.tail = nn.Sequential(*head(channels, 8, 0.5))
        self.over = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        scale = self.over(maps.mean((2, 3))[:, None])[:, 0].sigmoid()
        return self.tail((maps * scale[:, :, None, None]).mean((2, 3)))  # type: ignore[no-any-return]


class Mean(nn.Sequential):
    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return super().forward(maps.mean((2, 3)))  # type: ignore[no-any-return]


BLOCKS: list[tuple[str, str, Callable[[int], nn.Module], Any, int, int, bool]] = [
    ("muntasa2024", "hybrid", lambda n: ThreeKernels(n, 8), lambda w: torch.optim.Adam(w, 1e-3), 32, 1, True),
    ("muntasa2024", "no-block", lambda n: Mean(*head(n, 0, 0.2)), lambda w: torch.optim.Adam(w, 1e-3), 32, 1, True),
    ("batool2023", "separable", lambda n: Separable(n, 8), lambda w: torch.optim.Adamax(w, 1e-3), 40, 0, True),
    ("ullah2021", "attention", lambda n: Attention(n, 5), lambda w: torch.optim.Adam(w, 1e-4), 32, 0, False),
    ("ullah2021", "no-attention", lambda n: Mean(*head(n, 8, 0.5)), lambda w: torch.optim.Adam(w, 1e-4), 32, 0, False),
]
"""System, variant, the module by hand, its optimiser, batch, whether all images train, and whether it undersamples."""


@pytest.mark.parametrize(("system", "variant", "build", "optimizer", "batch", "on_all", "under"), BLOCKS)
def test_a_block_behind_the_last_map_is_trained_as_by_hand(
    hand: Hand, system: str, variant: str, build: Any, optimizer: Any, batch: int, on_all: int, under: bool
) -> None:
    learn = hand.train if on_all else hand.train[hand.inner(system)[0][0]]
    torch.manual_seed(hand.seed(system, "start"))
    module = build(hand.values("maps", NETWORKS[0]).shape[-1])
    states = hand.trained(
        system, module, "maps", NETWORKS[0], learn, optimizer=optimizer, epochs=2, batch=batch,
        sampler=fewer if under else more,
    )  # fmt: skip
    module.load_state_dict(states[hand.chosen(system, variant)["epoch"] - 1])
    hand.check(system, variant, hand.probability(module, "maps", NETWORKS[0]))
