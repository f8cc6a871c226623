"""The files and folders of a study, relative to its root."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from wen.config.member import Member


class Place:
    """A file or folder of the study, by its path relative to the root."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __get__(self, paths: "Paths", _: type) -> Path:
        return paths.root / self.path


@dataclass(frozen=True)
class Paths:
    """The files of a study. Commands run in its root, so the default root is the current folder."""

    root: Path = Path()

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))

    params = Place("params.yaml")
    dvc = Place("dvc.yaml")
    profiles = Place("profiles")
    raw_list = Place("data/raw.csv")
    """Size and hash of every file in `raw`. DVC tracks this list, because neither git nor DVC holds the images."""
    weights_list = Place("data/weights.txt")
    """The pretrained weights that params.yaml names."""
    beside_list = Place("data/beside.txt")
    """The results that `report.beside` names."""
    own_split = Place("data/own_split.json")
    """The rows of the split of the user's own that ``split.test`` names."""
    code = Place("data/code")
    synthetic = Place("data/synthetic")
    index = Place("data/index.csv")
    copies = Place("data/copies.csv")
    dataset_metrics = Place("metrics/dataset.json")
    dataset_plots = Place("plots/dataset")
    copies_plots = Place("plots/dataset/copies")
    """Pictures of pairs of copies, and pairs.json, which describes them."""
    split = Place("data/split.csv")
    split_metrics = Place("metrics/split.json")
    backbone = Place("models/backbone.safetensors")
    graph = Place("models/graph.json")
    """The graph of the study's networks, without weights."""
    test_cells = Place("data/test-cells.npz")
    """Thumbnails of the test images."""
    features = Place("data/features")
    wanted = Place("data/networks/wanted")
    """Requirements of the published systems: networks/NAME.json, the weights of a network; systems/NAME.json, the
    inputs of a system."""
    systems_inputs = Place("data/predictions/system/inputs")
    """NAME.json: the hash of each array that a system reads, and the arrays that are missing."""
    intra_predictions = Place("data/predictions/intra.npz")
    intra_metrics = Place("metrics/intra")
    repeats = Place("data/repeats.csv")
    """Measures of classifiers on frozen features, over many splits."""
    headline = Place("metrics/headline.json")
    summary = Place("metrics/summary")
    """A row for each learning rate, baseline and main classifier."""
    evidence = Place("metrics/evidence.json")
    plots = Place("plots/headline")
    times = Place("logs/times.csv")
    report = Place("report")

    @property
    def home(self) -> Path:
        """The study with the raw images: this one or, in an experiment that DVC runs in .dvc/tmp, the one around it."""
        root = self.root.resolve()
        outer = [folder for folder in root.parents if root.is_relative_to(folder / ".dvc/tmp")]
        return outer[-1] if outer else self.root

    @property
    def raw(self) -> Path:
        return self.home / "data/raw"

    def given(self, name: str) -> Path:
        """Return a file that params.yaml names: pretrained weights, or a split of the user's own.

        An experiment in one of DVC's temporary folders has its own copy of a file that git tracks.
        """
        path = Path(name)
        with suppress(RuntimeError):  # ~name of an unknown user
            path = path.expanduser()
        return self.root / path if (self.root / path).is_file() else self.home / path

    def image(self, path: str) -> Path:
        """Return the file of an image by its path in data/index.csv."""
        return (self.home if path.startswith("data/raw/") else self.root) / path

    def code_of(self, stage: str) -> Path:
        """Return the list of the code and libraries that a stage executes."""
        return self.code / f"{stage}.txt"

    @property
    def turned(self) -> Path:
        """Outputs of the frozen network on the turned images of ``predict.tta``."""
        return turned_beside(self.features)

    def model(self, member: Member) -> Path:
        return self.root / f"models/{member.recipe}/{member.fold}.{'skops' if member.baseline else 'safetensors'}"

    @property
    def of_baselines(self) -> tuple[Path, ...]:
        """The folders of the baselines' models, predictions and rows."""
        return tuple(self.root / f"{folder}/baseline" for folder in ("models", "data/predictions", "metrics/single"))

    def network(self, name: str) -> Path:
        """Return the folder of a network's outputs on the original images, which published systems read."""
        return self.root / f"data/networks/{name}"

    def network_about(self, name: str) -> Path:
        """Return the file with the hashes of a network's outputs, or with the reason why there are none."""
        return self.network(name) / "about.json"

    def network_weights(self, name: str) -> Path:
        return self.root / f"models/networks/{name}/weights.safetensors"

    def of_system(self, name: str) -> tuple[Path, Path, Path]:
        """Return the folders of a published system's models, predictions and rows."""
        return (
            self.root / f"models/system/{name}",
            self.root / f"data/predictions/system/{name}",
            self.root / f"metrics/systems/{name}",
        )

    def system(self, name: str) -> Path:
        """Return the file with a published system's state, networks, variants and chosen settings."""
        return self.root / f"data/predictions/system/{name}/system.json"

    def searches(self, name: str) -> Path:
        """Return the folder where an unfinished system keeps its searches and fitted models."""
        return self.root / f".checkpoints/system/{name}"

    def training(self, member: Member) -> Path:
        return self.root / f"plots/training/{member.recipe}/{member.fold}"

    def checkpoint(self, member: Member) -> Path:
        """Return the checkpoint of an unfinished training. It is no output of a stage, so DVC does not delete it."""
        return self.root / f".checkpoints/{member.recipe}/{member.fold}.safetensors"

    def predictions(self, member: Member) -> Path:
        return self.root / f"data/predictions/{member.recipe}/{member.fold}.npz"

    def inter_predictions(self, recipe: str) -> Path:
        return self.root / f"data/predictions/inter/{recipe}.npz"

    def single_metrics(self, recipe: str, row: int | str) -> Path:
        """Return the row of a fold, or of the ``mean`` or ``std`` over the folds of a recipe."""
        return self.root / f"metrics/single/{recipe}/{row}.json"

    def inter_metrics(self, recipe: str) -> Path:
        return self.root / f"metrics/inter/{recipe}"

    @property
    def planned(self) -> Path:
        """The estimate of the last `wen plan` on this machine, which `wen doctor` reads."""
        return self.home / ".dvc/tmp/plan.json"

    @property
    def classifiers(self) -> Path:
        """The cache of classifiers that `wen classify` has built on this machine."""
        return self.home / ".dvc/tmp/classifiers"


def turned_beside(features: Path) -> Path:
    """Return the folder of the outputs on turned images, next to a folder like `Paths.features`."""
    return features.with_name("turned")
