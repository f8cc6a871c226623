"""Where everything lives: each output of the study by its name, relative to the project's root."""

from dataclasses import dataclass
from pathlib import Path

from wen.config.member import Member


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
    def dvc(self) -> Path:
        return self.root / "dvc.yaml"

    @property
    def profiles(self) -> Path:
        return self.root / "profiles"

    @property
    def home(self) -> Path:
        """The study that holds the raw images: this one, or the one in whose .dvc/tmp DVC runs an experiment of it."""
        root = self.root.resolve()
        outer = [folder for folder in root.parents if root.is_relative_to(folder / ".dvc/tmp")]
        return outer[-1] if outer else self.root

    @property
    def raw(self) -> Path:
        return self.home / "data/raw"

    @property
    def raw_list(self) -> Path:
        """Every file of `raw`, by which DVC knows it: the images themselves are kept by neither git nor DVC."""
        return self.root / "data/raw.csv"

    @property
    def weights_list(self) -> Path:
        """Which pretrained weights params.yaml names."""
        return self.root / "data/weights.txt"

    def weights(self, name: str) -> Path:
        """The file of pretrained weights by its name in params.yaml."""
        return self.home / Path(name).expanduser()

    def image(self, path: str) -> Path:
        """The file of an image by its path in data/index.csv."""
        return (self.home if path.startswith("data/raw/") else self.root) / path

    @property
    def code(self) -> Path:
        return self.root / "data/code"

    def code_of(self, stage: str) -> Path:
        """The list of all that a stage executes."""
        return self.code / f"{stage}.txt"

    @property
    def synthetic(self) -> Path:
        return self.root / "data/synthetic"

    @property
    def index(self) -> Path:
        return self.root / "data/index.csv"

    @property
    def copies(self) -> Path:
        return self.root / "data/copies.csv"

    @property
    def dataset_metrics(self) -> Path:
        return self.root / "metrics/dataset.json"

    @property
    def dataset_plots(self) -> Path:
        return self.root / "plots/dataset"

    @property
    def copies_plots(self) -> Path:
        """Pictures of pairs of copies, and pairs.json, which says what they show."""
        return self.dataset_plots / "copies"

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
    def test_cells(self) -> Path:
        """Thumbnails of the test images."""
        return self.root / "data/test-cells.npz"

    @property
    def features(self) -> Path:
        return self.root / "data/features"

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

    @property
    def wanted(self) -> Path:
        """What published systems need: networks/NAME.json, a network's weights; systems/NAME.json, what each reads."""
        return self.root / "data/networks/wanted"

    def network(self, name: str) -> Path:
        """The outputs of one of their networks, of every image as it is."""
        return self.root / f"data/networks/{name}"

    def network_about(self, name: str) -> Path:
        """The hash of each of them, or why there are none."""
        return self.network(name) / "about.json"

    def network_weights(self, name: str) -> Path:
        return self.root / f"models/networks/{name}/weights.safetensors"

    @property
    def systems_inputs(self) -> Path:
        """NAME.json: the hash of each array that a system reads, and what is missing."""
        return self.root / "data/predictions/system/inputs"

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

    @property
    def intra_predictions(self) -> Path:
        return self.root / "data/predictions/intra.npz"

    def single_metrics(self, recipe: str, row: int | str) -> Path:
        """The row of one fold's member, or of the ``mean`` or ``std`` over the folds of one recipe."""
        return self.root / f"metrics/single/{recipe}/{row}.json"

    def inter_metrics(self, recipe: str) -> Path:
        return self.root / f"metrics/inter/{recipe}"

    @property
    def intra_metrics(self) -> Path:
        return self.root / "metrics/intra"

    @property
    def repeats(self) -> Path:
        """The measures of frozen-feature classifiers over many splits."""
        return self.root / "data/repeats.csv"

    @property
    def headline(self) -> Path:
        return self.root / "metrics/headline.json"

    @property
    def summary(self) -> Path:
        """A row for each learning rate, baseline and main classifier: with the headline, all that DVC shows."""
        return self.root / "metrics/summary"

    @property
    def evidence(self) -> Path:
        return self.root / "metrics/evidence.json"

    @property
    def plots(self) -> Path:
        return self.root / "plots/headline"

    @property
    def planned(self) -> Path:
        """What the last `wen plan` counted, for `wen doctor`; this machine's alone."""
        return self.home / ".dvc/tmp/plan.json"

    @property
    def classifiers(self) -> Path:
        """Classifiers that `wen classify` keeps ready; this machine's alone."""
        return self.home / ".dvc/tmp/classifiers"

    @property
    def times(self) -> Path:
        return self.root / "logs/times.csv"

    @property
    def report(self) -> Path:
        return self.root / "report"


def turned_beside(features: Path) -> Path:
    """Where the outputs of turned images are, beside a folder of `Paths.features`."""
    return features.with_name("turned")
