"""What params.yaml will cost before anything runs: work and disk, counted; hours, from a calibration on this device."""

import math
import time
from dataclasses import dataclass

import pandas as pd
from rich.console import Console
from rich.table import Table

from wen.config.params import Params
from wen.config.paths import Paths
from wen.data import cnmc, split
from wen.data.cell import Cell
from wen.data.table import COPIES, TEST
from wen.errors import WenError
from wen.network import calibration, device
from wen.network.cost import Cost, Rates, Work, count


@dataclass(frozen=True)
class Images:
    """How many images the study has, in all and by part."""

    total: int
    test: int
    train: float
    """Of one fold."""
    validation: float
    """Of one fold."""
    estimated: str = ""
    """Why ``test`` is an estimate, if it is one."""

    def in_features(self, views: int) -> float:
        """How often an image passes the frozen network: all as they are, and random views of those not for test."""
        return self.total + views * (self.train + self.validation)


def run(params: Params, paths: Paths, calibrate: bool, device_name: str = "auto") -> None:
    """Print the plan of the study that ``params`` describe.

    Epochs are counted in full: early stopping leaves some out. ``calibrate`` runs the network for
    about ten seconds and turns multiply-adds into hours at the rate it reaches on this device.
    """
    start = time.process_time()
    device.settle(params.compute)
    images, cost = count_images(params, paths), count(params)
    estimate = f" ({images.estimated})" if images.estimated else ""
    shared, alone = work(params, images, cost), work(params, images, cost, sharing=False)
    console = Console(width=110)
    print(
        f"Network: {params.backbone.name} at {params.images.size} px, unfrozen from {params.finetune.unfreeze_from}; "
        f"{cost.trained / 1e6:.1f} of {cost.parameters / 1e6:.1f} M parameters trained;\n"
        f"  {cost.trunk / 1e9:.3g} (frozen) + {cost.tail / 1e9:.3g} (trained) G multiply-adds an image\n"
        f"Study: {len(params.rates)} learning rates x {len(params.folds)} folds, at most "
        f"{params.head.epochs} + {params.finetune.epochs} epochs over {params.augment.views} views\n"
        f"Images: {images.total:,}, of which {images.test:,} test{estimate}, and a fold trains on {images.train:,.0f} "
        f"and validates on {images.validation:,.0f}\n"
    )
    console.print(_disk_table(params, images, cost))
    rates = calibration.rates(params, cost, device.choose(device_name, params.compute)) if calibrate else None
    console.print(_work_table(shared, alone, rates))
    print(f"Starting the {_stages(params)} stages that load a network takes {start:.0f} s each besides.")


def count_images(params: Params, paths: Paths) -> Images:
    """Count the images that params.yaml and data/raw will give, before anything has run.

    The test set of a random split by subject has as many images as metrics/split.json says, if that is of these
    parameters; else as many as the same draw gives by the subjects of the images that are there, whose copies are not
    known yet; else as many as are asked for.
    """
    total, preliminary, cells = _expected(params, paths)
    folds, options = len(params.folds), params.split
    report, estimated = split.audited(params, paths), ""
    if report and sum(report[part]["images"] for part in ("development", "test", "excluded")) == total:
        test, development = report["test"]["images"], report["development"]["images"]
    else:
        test = preliminary if options.test == "preliminary" else math.ceil(options.test_fraction * total)
        if (options.unit, options.test) == ("subject", "random"):
            estimated = "as asked for; whole people may give another number"
            if cells:
                test = _by_subject(cells, params)
                estimated = "by subjects; copies of images, which `wen prepare` finds, may change it"
        development = total - test
    return Images(total, test, development * (1 - 1 / folds), development / folds, estimated)


def _by_subject(cells: list[Cell], params: Params) -> int:
    """How many images test if none is a copy of another."""
    index = pd.DataFrame(cells).assign(pixels=[cell.id for cell in cells])
    no_copies = pd.DataFrame(columns=list(COPIES))
    return int((split.assign(index, no_copies, params.split, len(params.folds), params.seed).part == TEST).sum())


def _expected(params: Params, paths: Paths) -> tuple[int, int, list[Cell]]:
    """How many images there will be, how many of the preliminary set, and those of them that are there.

    Raises
    ------
    WenError
        If part of C-NMC is to be studied and none of it is in data/raw.
    """
    dataset = params.dataset
    cells = cnmc.read(paths.synthetic if dataset.synthetic else paths.raw).cells
    if dataset.synthetic:
        preliminary = dataset.synthetic.preliminary_cells
        total = dataset.synthetic.cells + dataset.synthetic.duplicates + dataset.synthetic.altered + preliminary
    elif dataset.complete:
        total = sum(cnmc.PUBLISHED.values())
        preliminary = sum(n for part, n in cnmc.PUBLISHED.items() if part.startswith("preliminary"))
    else:
        total, preliminary = len(cells), sum(cell.source == "preliminary" for cell in cells)
    if not total:
        raise WenError(f"{paths.raw}: holds no labelled image to count; `make study DATA=...` brings C-NMC here")
    return total, preliminary, cells if len(cells) == total else []


def work(params: Params, images: Images, cost: Cost, sharing: bool = True) -> dict[str, Work]:
    """Multiply-adds of each kind of stage, all models together.

    ``sharing`` False is the study as it would be written plainly: every model runs the whole network on every
    image in every epoch.
    """
    pooled, activations = sharing and params.features.pooled, sharing and params.features.activations
    models = len(params.networks)
    seen = images.train + images.validation
    trunk, whole = Work(frozen=cost.trunk), Work(frozen=cost.trunk + cost.tail)
    stored = Work(stored=cost.trunk + cost.tail if pooled else cost.trunk if activations else 0)
    nothing = Work()
    head = models * params.head.epochs * seen
    tune = models * params.finetune.epochs
    judged = models * (images.validation + images.test)
    return {
        "features": stored * images.in_features(params.augment.views),
        "train-fold, stage 1": (nothing if pooled else whole) * head,
        "train-fold, stage 2, frozen part": (nothing if activations else trunk) * (tune * seen),
        "train-fold, stage 2, trained part": Work(
            tail=tune * images.validation * cost.tail, training=tune * images.train * 3 * cost.tail
        ),
        "predict-fold": Work(frozen=0 if activations else judged * cost.trunk, tail=judged * cost.tail),
    }


def memory_of_stage_2(params: Params, cost: Cost) -> int:
    """Bytes in float32: weights, gradients and Adam's two moments, and what is kept for the backward pass."""
    return 16 * cost.trained + params.train.batch_size * cost.kept


def _stages(params: Params) -> int:
    """How many stages load a network."""
    return 2 + 2 * len(params.networks)


def _disk_table(params: Params, images: Images, cost: Cost) -> Table:
    width = {"float32": 4, "float16": 2}[params.features.dtype]
    passes, models = images.in_features(params.augment.views), len(params.networks)
    view = (images.train + images.validation) * cost.activations * width
    table = Table(title="Disk and memory", title_justify="left")
    for heading in ("what", "GB", "how"):
        table.add_column(heading, justify="right" if heading == "GB" else "left")
    for row in (
        ("decoded images", images.total * 3 * params.images.size**2, "uint8"),
        ("pooled features", passes * cost.pooled * width * params.features.pooled,
         f"features.pooled: {params.features.pooled}, {params.features.dtype}, {params.augment.views} views + 1"),
        ("activations at the cut", passes * cost.activations * width * params.features.activations,
         f"features.activations: {params.features.activations}; {view / 1e9:.3g} GB a random view as "
         f"{params.features.dtype}"),
        ("models", models * 4 * cost.parameters, f"{models} x {cost.parameters / 1e6:.1f} M float32"),
        ("device memory, stage 2", memory_of_stage_2(params, cost),
         f"batch {params.train.batch_size}, float32; about half of it in mixed precision"),
    ):  # fmt: skip
        table.add_row(row[0], f"{row[1] / 1e9:,.2f}", row[2])
    return table


def _work_table(shared: dict[str, Work], alone: dict[str, Work], rates: Rates | None) -> Table:
    table = Table(title="Work, at most (early stopping leaves some out)", title_justify="left")
    table.add_column("stage")
    headings = ["T multiply-adds", "if nothing were shared"]
    if rates:
        headings = ["T multiply-adds", "hours", "if nothing were shared", "hours"]
    for heading in headings:
        table.add_column(heading, justify="right")
    for name in shared:
        _add(table, name, (shared[name], alone[name]), rates)
    table.add_section()
    _add(table, "total", (sum(shared.values(), Work()), sum(alone.values(), Work())), rates)
    if rates:
        table.caption = (
            f"G multiply-adds a second here: frozen network {rates.stored / 1e9:,.0f} for data/features, "
            f"{rates.frozen / 1e9:,.0f} in training; trained part {rates.tail / 1e9:,.0f} forward, "
            f"{rates.training / 1e9:,.0f} in training"
        )
    return table


def _add(table: Table, name: str, kinds: tuple[Work, Work], rates: Rates | None) -> None:
    cells = []
    for own in kinds:
        cells.append(f"{own.total / 1e12:,.2f}")
        if rates:
            cells.append(f"{own.hours(rates):,.2f}")
    table.add_row(name, *cells)
