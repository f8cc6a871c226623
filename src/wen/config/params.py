"""The keys of params.yaml as typed models, and the checks across keys."""

import math
import re
from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from wen.config.member import BASELINE, Member
from wen.config.types import (
    Count,
    Deviation,
    Fraction,
    Integer,
    LearningRate,
    Mean,
    Name,
    NetworkArguments,
    NetworkName,
    Positive,
    Section,
    Share,
    brief,
)  # fmt: skip
from wen.errors import WenError
from wen.names import shown

OF_CNMC = ("preliminary", "fold_0", "fold_1", "fold_2")
"""The parts of C-NMC: its preliminary set, and the folds of its training set."""
TEST_SETS = ["random", *OF_CNMC]
DRAWN = 16
"""Smallest side of a synthetic image, px; below it, different cells look the same."""


class Synthetic(Section):
    """The embedded data set: numbers of cells and subjects, and how well the classes are separated."""

    subjects: Annotated[Integer, Field(ge=4)]
    cells: Annotated[Integer, Field(ge=20)]
    preliminary_subjects: Annotated[Integer, Field(ge=2)]
    """Subjects in the preliminary set."""
    preliminary_cells: Annotated[Integer, Field(ge=4)]
    """Cells in the preliminary set."""
    duplicates: Count
    altered: Count
    separation: Annotated[float, Field(ge=0, le=10)]


class Dataset(Section):
    """Source, names and expected properties of the images."""

    source: Literal["synthetic", "cnmc", "table", "folder"]
    name: Name
    classes: Annotated[list[Name], Field(min_length=2, max_length=2)]
    """Names of the negative class, 0, and of the positive class, 1."""
    table: str | None = None
    """CSV of images, labels and subjects: its path in data/raw/cells."""
    subject: str | None = None
    """Regular expression for the path of an image; its group is the subject."""
    complete: bool
    side: Annotated[int, Field(ge=1, le=4096)] | None
    near_copies: bool
    near_difference: Annotated[float, Field(gt=0, le=50)]
    synthetic: Synthetic | None = None

    @property
    def negative(self) -> str:
        return self.classes[0]

    @property
    def positive(self) -> str:
        return self.classes[1]

    @property
    def of_cnmc(self) -> bool:
        """Whether names, folders and counts are those of C-NMC, as in the data set itself and in synthetic cells."""
        return self.source in ("synthetic", "cnmc")


class Images(Section):
    """How an image enters the network: its central square of ``crop`` px, or all of it, resized to ``size``."""

    crop: Annotated[int, Field(ge=1, le=8000)] | None
    """No image may be larger, see `wen.data.images.LARGEST`."""
    size: Annotated[int, Field(ge=32, le=4096)]


def _test_set(value: str) -> str:
    if value not in TEST_SETS and not value.lower().endswith(".csv"):
        raise ValueError(f"should be {', '.join(TEST_SETS)} or the path of a CSV, found {brief(value)}")
    return value


class Split(Section):
    """How the test set is chosen, and which images must not be separated."""

    unit: Literal["image", "subject"]
    test: Annotated[
        str, AfterValidator(_test_set), WithJsonSchema({"anyOf": [{"enum": TEST_SETS}, {"type": "string"}]})
    ]
    test_fraction: Annotated[float, Field(ge=0.05, le=0.5)]

    @property
    def of_cnmc(self) -> bool:
        """Whether the test set is a part of C-NMC; no person is in two of its parts."""
        return self.test in OF_CNMC

    @property
    def file(self) -> str | None:
        """The CSV with a split of the user's own."""
        return None if self.test in TEST_SETS else self.test


class Pretrained(Section):
    """Source of a network's pretrained weights, and the construction and normalisation that they require."""

    weights: Annotated[str, Field(min_length=1)]
    kwargs: NetworkArguments = Field(default={})
    """Further arguments of `timm.create_model`."""
    mean: Mean | None = None
    """Means of red, green and blue for normalisation; null: those that timm has for the network."""
    std: Deviation | None = None
    """Standard deviations of red, green and blue; null: as for ``mean``."""
    channels: Literal["rgb", "bgr"] = "rgb"
    """Order of the colour channels that the weights were trained on."""


class Backbone(Pretrained):
    """A timm network and its weights."""

    name: Annotated[str, Field(min_length=1)]


def _weights(value: Any) -> Any:
    return {"weights": value} if isinstance(value, str) else value


class Augment(Section):
    """Random views of the training images; epoch e uses view e mod ``views``."""

    views: Positive
    horizontal_flip: Share
    vertical_flip: Share
    brightness: Share
    contrast: Share
    turns: bool = False
    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    saturation: Share = 0.0


class Features(Section):
    """Outputs of the frozen network that are computed once for all models, and how they are stored."""

    pooled: bool
    activations: bool
    dtype: Literal["float32", "float16"]


class Train(Section):
    """Settings of both training stages."""

    batch_size: Annotated[Integer, Field(ge=2)]
    """Images per training step."""
    schedule: Literal["constant", "cosine"] = "constant"
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 0.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    monitor: Literal["accuracy", "loss"] = "accuracy"
    """What early stopping watches on validation data; the most accurate epoch is kept in either case."""

    def rate_in(self, epoch: int, epochs: int) -> float:
        """Return the factor of the learning rate in an epoch, counted from 0, of a stage of at most ``epochs``."""
        return (1 + math.cos(math.pi * epoch / epochs)) / 2 if self.schedule == "cosine" else 1.0


class Head(Section):
    """Stage 1: trains only the head, on the frozen network."""

    epochs: Positive
    """Largest number of epochs."""
    patience: Positive


class Finetune(Section):
    """Stage 2: trains the head and the network from the module ``unfreeze_from`` on."""

    epochs: Count
    """Largest number of epochs; 0: no stage 2."""
    patience: Positive
    """Stop after this many epochs without an improvement."""
    keep: Literal["best", "always"] = "best"
    """``always`` keeps the best epoch of stage 2 even if one of stage 1 was better."""
    unfreeze_from: Annotated[str, Field(min_length=1)]


class Predict(Section):
    """How networks predict an image: once, or averaged over turned copies."""

    tta: Literal["none", "flips", "dihedral"] = "none"
    """Mean probability over turned copies of an image."""

    @property
    def turns(self) -> list[int]:
        """The turned copies, numbered as in `wen.data.symmetry.turned`; 0, the original image, comes first."""
        return {"none": [0], "flips": [0, 4, 6, 2], "dihedral": list(range(8))}[self.tta]


class Repeats(Section):
    """Number of other splits on which heads on the frozen features are trained; 0 for none."""

    image: Annotated[int, Field(ge=0, le=10_000)]
    subject: Annotated[int, Field(ge=0, le=10_000)]


class Compute(Section):
    """Settings that can change the last digits of results."""

    threads: Annotated[int, Field(ge=1, le=1024)]
    cpu_engine: Literal["openvino", "torch"]
    precision: Literal["auto", "float32", "bfloat16", "float16"]


class Report(Section):
    """Language of the report, smallest difference that matters, and settings of its sections."""

    language: Literal["en", "id"]
    margin: Annotated[float, Field(gt=0, lt=0.5)]
    bootstrap: Annotated[int, Field(ge=200, le=100_000)]
    beside: str | None
    prevalences: Annotated[list[Fraction], Field(min_length=1)]
    specificity: Fraction


class Params(Section):
    """All of params.yaml."""

    lr: LearningRate
    weighting: str
    ensemble: Literal["single", "inter", "intra"]
    reading: Literal["as_written", "leak_free"]
    lr_grid: Annotated[list[LearningRate], Field(min_length=2, max_length=8)]
    folds: Annotated[list[Count], Field(min_length=2)]
    schemes: Annotated[list[str], Field(min_length=1)]
    """Measures that weight the members of ensembles: accuracy, f1, kappa, auc, or uniform for a plain average."""
    calibration: Literal["none", "temperature"]
    baselines: list[str]
    systems: dict[str, dict[str, Any]]
    """Settings of each published system; `wen.systems.system.settings_of` checks them."""
    pretrained: dict[NetworkName, Annotated[Pretrained, BeforeValidator(_weights)]]
    """Networks of the systems, by their names in timm."""
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    """Seed of every random draw: synthetic cells, split, initial weights, order of images, random views."""
    dataset: Dataset
    images: Images
    split: Split
    backbone: Backbone
    augment: Augment
    features: Features
    train: Train
    head: Head
    finetune: Finetune
    predict: Predict
    repeats: Repeats
    compute: Compute
    report: Report

    @model_validator(mode="after")
    def _hang_together(self) -> "Params":
        """Check keys against each other; each message starts with the key to change."""
        if self.weighting not in self.schemes:
            raise ValueError(
                f"weighting: {self.weighting!r} is not one of schemes, {self.schemes}; choose one of these or add it "
                "to schemes"
            )
        if self.folds != list(range(len(self.folds))):
            raise ValueError(f"folds: {self.folds} must count up from 0 without gaps, e.g. [0, 1, 2, 3, 4]")
        for key in ("lr_grid", "schemes", "baselines"):
            values = getattr(self, key)
            if len(set(values)) < len(values):
                raise ValueError(f"{key}: {values} lists a value twice; remove the second")
        crop, side = self.images.crop, self.dataset.side
        if crop and side and crop > side:
            raise ValueError(f"images.crop: {crop} px is larger than dataset.side, {side} px; lower images.crop")
        self._check_source()
        return self

    def _check_source(self) -> None:
        dataset = self.dataset
        negative, positive = (name.casefold() for name in dataset.classes)
        if negative == positive:
            raise ValueError(f"dataset.classes: {dataset.classes} names the same class twice; name two classes")
        if dataset.source == "synthetic":
            if dataset.synthetic is None:
                raise ValueError(
                    "dataset.synthetic: missing, and dataset.source: synthetic needs it; copy it from "
                    "profiles/demo.yaml"
                )
            if dataset.side is None or dataset.side < DRAWN:
                raise ValueError(
                    f"dataset.side: found {dataset.side or 'null'}, but dataset.source: synthetic needs at least "
                    f"{DRAWN} px to draw a cell; raise dataset.side"
                )
        if dataset.complete and dataset.source != "cnmc":
            raise ValueError("dataset.complete: only the published counts of C-NMC can be checked; set false")
        if (dataset.source == "table") != (dataset.table is not None):
            raise ValueError(
                "dataset.table: must name a CSV if dataset.source is table, and must be left out otherwise"
            )
        if dataset.subject is not None:
            if dataset.of_cnmc:
                raise ValueError("dataset.subject: not used, because C-NMC's names show the subjects; leave it out")
            try:
                groups = re.compile(dataset.subject).groups
            except re.error as error:
                raise ValueError(
                    f"dataset.subject: {shown(dataset.subject)} is not a valid regular expression ({error}); write one "
                    "such as P([0-9]+)_"
                ) from None
            if groups != 1:
                raise ValueError(
                    f"dataset.subject: {shown(dataset.subject)} must contain exactly one group, as in P([0-9]+)_"
                )
        if not dataset.of_cnmc and self.split.of_cnmc:
            raise ValueError(
                "split.test: only C-NMC has a preliminary set and official folds; set random, or name a CSV"
            )

    @property
    def tested_on(self) -> str | None:
        """The test images, such as ``C-NMC preliminary``; None if no paper was tested on them, as on a part of it."""
        if self.dataset.source != "cnmc" or not self.dataset.complete:
            return None
        return f"C-NMC {PurePath(self.split.test).name}"

    @property
    def grid(self) -> list[str]:
        """The recipes that the learning rates of the grid stand for."""
        return [str(lr) for lr in self.lr_grid]

    @property
    def rates(self) -> list[str]:
        """The grid's recipes, and that of the learning rate in focus if it is off the grid."""
        return self.grid + [str(self.lr)] * (self.lr not in self.lr_grid)

    @property
    def baseline_recipes(self) -> list[str]:
        """The recipes of the classical members."""
        return [f"{BASELINE}{name}" for name in self.baselines]

    def members(self, recipe: str) -> list[Member]:
        """A recipe's members, one for each fold."""
        return [Member(recipe, fold) for fold in self.folds]

    @property
    def networks(self) -> list[Member]:
        """Every network that is trained: each learning rate on each fold."""
        return [member for recipe in self.rates for member in self.members(recipe)]

    def check_trained(self, member: Member) -> None:
        """Raise `WenError` unless the member is one of `networks`."""
        if member not in self.networks:
            raise WenError(
                f"--lr {member.recipe} --fold {member.fold}: not in this study; params.yaml has the learning rates "
                f"{', '.join(self.rates)} and the folds {self.folds}"
            )

    def network_of_systems(self, name: str) -> Backbone:
        """One of the networks under ``pretrained``, in the form of ``backbone``."""
        return Backbone(name=name, **self.pretrained[name].model_dump())

    @property
    def classical(self) -> list[Member]:
        """Every classical member: each baseline on each fold."""
        return [member for recipe in self.baseline_recipes for member in self.members(recipe)]
