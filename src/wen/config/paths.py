"""Where everything lives: each output of the study by its name, relative to the project's root."""

from dataclasses import dataclass
from pathlib import Path

from wen.config.member import Member


class Place:
    """A file or folder of the study, by its path from the root."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __get__(self, paths: "Paths", _: type) -> Path:
        return paths.root / self.path


@dataclass(frozen=True)
class Paths:
    """The project's files. Commands are run in the root, so the default is the current folder."""

    root: Path = Path()

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))

    params = Place("params.yaml")
    dvc = Place("dvc.yaml")
    profiles = Place("profiles")
    raw_list = Place("data/raw.csv")
    """Every file of `raw`, by which DVC knows it: the images themselves are kept by neither git nor DVC."""
    weights_list = Place("data/weights.txt")
    """Which pretrained weights params.yaml names."""
    beside_list = Place("data/beside.txt")
    """Which results `report.beside` names."""
    code = Place("data/code")
    synthetic = Place("data/synthetic")
    index = Place("data/index.csv")
    copies = Place("data/copies.csv")
    dataset_metrics = Place("metrics/dataset.json")
    dataset_plots = Place("plots/dataset")
    copies_plots = Place("plots/dataset/copies")
    """Pictures of pairs of copies, and pairs.json, which says what they show."""
    split = Place("data/split.csv")
    split_metrics = Place("metrics/split.json")
    backbone = Place("models/backbone.safetensors")
    graph = Place("models/graph.json")
    """What all networks of the study compute, apart from their weights."""
    test_cells = Place("data/test-cells.npz")
    """Thumbnails of the test images."""
    features = Place("data/features")
    wanted = Place("data/networks/wanted")
    """What published systems need: networks/NAME.json, a network's weights; systems/NAME.json, what each reads."""
    systems_inputs = Place("data/predictions/system/inputs")
    """NAME.json: the hash of each array that a system reads, and what is missing."""
    intra_predictions = Place("data/predictions/intra.npz")
    intra_metrics = Place("metrics/intra")
    repeats = Place("data/repeats.csv")
    """The measures of frozen-feature classifiers over many splits."""
    headline = Place("metrics/headline.json")
    summary = Place("metrics/summary")
    """A row for each learning rate, baseline and main classifier: with the headline, all that DVC shows."""
    evidence = Place("metrics/evidence.json")
    plots = Place("plots/headline")
    times = Place("logs/times.csv")
    report = Place("report")

    @property
    def home(self) -> Path:
        """The study that holds the raw images: this one, or the one in whose .dvc/tmp DVC runs an experiment of it."""
        root = self.root.resolve()
        outer = [folder for folder in root.parents if root.is_relative_to(folder / ".dvc/tmp")]
        return outer[-1] if outer else self.root

    @property
    def raw(self) -> Path:
        return self.home / "data/raw"

    def weights(self, name: str) -> Path:
        """The file of pretrained weights by its name in params.yaml."""
        return self.home / Path(name).expanduser()

    def image(self, path: str) -> Path:
        """The file of an image by its path in data/index.csv."""
        return (self.home if path.startswith("data/raw/") else self.root) / path

    def code_of(self, stage: str) -> Path:
        """The list of all that a stage executes."""
        return self.code / f"{stage}.txt"

    @property
    def turned(self) -> Path:
        """Outputs of the frozen network on turned images, as predictions average over them: see `predict.tta`."""
        return turned_beside(self.features)

    def model(self, member: Member) -> Path:
        return self.root / f"models/{member.recipe}/{member.fold}.{'skops' if member.baseline else 'safetensors'}"

    @property
    def of_baselines(self) -> tuple[Path, ...]:
        """The folders that hold the baselines' models, predictions and rows, and nothing else."""
        return tuple(self.root / f"{folder}/baseline" for folder in ("models", "data/predictions", "metrics/single"))

    def network(self, name: str) -> Path:
        """The outputs of a network that published systems read, of every image as it is."""
        return self.root / f"data/networks/{name}"

    def network_about(self, name: str) -> Path:
        """The hash of each of them, or why there are none."""
        return self.network(name) / "about.json"

    def network_weights(self, name: str) -> Path:
        return self.root / f"models/networks/{name}/weights.safetensors"

    def of_system(self, name: str) -> tuple[Path, Path, Path]:
        """The folders of a published system's models, predictions and rows."""
        return (
            self.root / f"models/system/{name}",
            self.root / f"data/predictions/system/{name}",
            self.root / f"metrics/systems/{name}",
        )

    def system(self, name: str) -> Path:
        """What became of a published system: its state, networks, variants and chosen settings."""
        return self.root / f"data/predictions/system/{name}/system.json"

    def searches(self, name: str) -> Path:
        """Where a published system that is not done keeps its searches, and the models that it has fitted."""
        return self.root / f".checkpoints/system/{name}"

    def training(self, member: Member) -> Path:
        return self.root / f"plots/training/{member.recipe}/{member.fold}"

    def checkpoint(self, member: Member) -> Path:
        """Where an unfinished training keeps its last epoch; no output of any stage, so DVC leaves it alone."""
        return self.root / f".checkpoints/{member.recipe}/{member.fold}.safetensors"

    def predictions(self, member: Member) -> Path:
        return self.root / f"data/predictions/{member.recipe}/{member.fold}.npz"

    def inter_predictions(self, recipe: str) -> Path:
        return self.root / f"data/predictions/inter/{recipe}.npz"

    def single_metrics(self, recipe: str, row: int | str) -> Path:
        """The row of one fold's member, or of the ``mean`` or ``std`` over the folds of one recipe."""
        return self.root / f"metrics/single/{recipe}/{row}.json"

    def inter_metrics(self, recipe: str) -> Path:
        return self.root / f"metrics/inter/{recipe}"

    @property
    def planned(self) -> Path:
        """What the last `wen plan` counted, for `wen doctor`; this machine's alone."""
        return self.home / ".dvc/tmp/plan.json"

    @property
    def classifiers(self) -> Path:
        """Classifiers that `wen classify` keeps ready; this machine's alone."""
        return self.home / ".dvc/tmp/classifiers"


def turned_beside(features: Path) -> Path:
    """Where the outputs of turned images are, beside a folder of `Paths.features`."""
    return features.with_name("turned")
