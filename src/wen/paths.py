"""Where everything lives: each output of the study by its name, relative to the project's root."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    """The project's files. Commands are run in the root, so the default is the current folder."""

    root: Path = Path()

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))

    @property
    def params(self) -> Path:
        return self.root / "params.yaml"

    @property
    def profiles(self) -> Path:
        return self.root / "profiles"

    @property
    def raw(self) -> Path:
        return self.root / "data/raw"

    @property
    def code(self) -> Path:
        return self.root / "data/code"

    @property
    def synthetic(self) -> Path:
        return self.root / "data/synthetic"

    @property
    def index(self) -> Path:
        return self.root / "data/index.csv"

    @property
    def dataset_metrics(self) -> Path:
        return self.root / "metrics/dataset.json"

    @property
    def dataset_plots(self) -> Path:
        return self.root / "plots/dataset"

    @property
    def split(self) -> Path:
        return self.root / "data/split.csv"

    @property
    def split_metrics(self) -> Path:
        return self.root / "metrics/split.json"

    @property
    def backbone(self) -> Path:
        return self.root / "models/backbone.safetensors"

    @property
    def features(self) -> Path:
        return self.root / "data/features"

    def model(self, lr: float, fold: int) -> Path:
        return self.root / f"models/{lr}/{fold}.safetensors"

    def training(self, lr: float, fold: int) -> Path:
        return self.root / f"plots/training/{lr}/{fold}"

    def checkpoint(self, lr: float, fold: int) -> Path:
        """Where an unfinished training keeps its last epoch; no output of any stage, so DVC leaves it alone."""
        return self.root / f".checkpoints/{lr}/{fold}.safetensors"

    def predictions(self, lr: float, fold: int) -> Path:
        return self.root / f"data/predictions/{lr}/{fold}.npz"

    def inter_predictions(self, lr: float) -> Path:
        return self.root / f"data/predictions/inter/{lr}.npz"

    @property
    def intra_predictions(self) -> Path:
        return self.root / "data/predictions/intra.npz"

    def single_metrics(self, lr: float, row: int | str) -> Path:
        """The row of one fold's model, or of the ``mean`` or ``std`` over the folds of one LR."""
        return self.root / f"metrics/single/{lr}/{row}.json"

    def inter_metrics(self, lr: float) -> Path:
        return self.root / f"metrics/inter/{lr}"

    @property
    def intra_metrics(self) -> Path:
        return self.root / "metrics/intra"

    @property
    def headline(self) -> Path:
        return self.root / "metrics/headline.json"

    @property
    def evidence(self) -> Path:
        return self.root / "metrics/evidence.json"

    @property
    def plots(self) -> Path:
        return self.root / "plots/headline"

    @property
    def times(self) -> Path:
        return self.root / "logs/times.csv"

    @property
    def report(self) -> Path:
        return self.root / "report"
