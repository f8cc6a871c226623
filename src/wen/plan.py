"""``wen plan``: count the work, disk and memory that params.yaml needs, and estimate hours from a calibration."""

import math
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from rich.table import Table

from wen import memory
from wen.config.params import Params
from wen.config.paths import Paths
from wen.data import own_split, readers, split
from wen.data.cell import Cell
from wen.data.readers import cnmc
from wen.data.table import COPIES, DEVELOPMENT, TEST
from wen.errors import Message, WenError
from wen.files import write_json
from wen.network import cost as costs
from wen.network import device
from wen.network.cost import FROZEN, STORED, TAIL, TRAINING, Cost, count, memory_of_stage_2
from wen.systems.cost import counted, describe, stored_bytes


@dataclass(frozen=True)
class Images:
    """Numbers of images of the study."""

    total: int
    test: int
    train: float
    """Per fold."""
    validation: float
    """Per fold."""
    estimated: str = ""
    """Reason why ``test`` is an estimate; empty if it is exact."""

    def in_features(self, params: Params) -> float:
        """Return the number of images that pass the frozen network: the views of `predict.tta` of all images, and the
        random views of the development images."""
        return len(params.predict.turns) * self.total + params.augment.views * (self.train + self.validation)


def run(params: Params, paths: Paths, calibrate: bool, device_name: str = "auto") -> None:
    """Print the plan of a study.

    All epochs are counted, without early stopping. With ``calibrate``, the network runs for about ten seconds to
    measure the speed of this device, and multiply-adds are converted to hours. If stage 2 needs more memory than the
    device has, the plan suggests remedies.
    """
    start = time.process_time()
    device.settle(params.compute)
    images, cost = count_images(params, paths), count(params)
    estimate = f" ({images.estimated})" if images.estimated else ""
    shared, unshared = work(params, images, cost), work(params, images, cost, sharing=False)
    console = Console(width=110)
    where = device.choose(device_name, params.compute)
    parameters = f"{cost.parameters / 1e6:.1f} M parameters"
    trained = f"trained from {cost.unfreeze_from} on; {cost.trainable / 1e6:.1f} of {parameters}"
    if not params.finetune.epochs:
        trained = f"of which only the head is trained; {parameters}"
    print(
        f"Network: {params.backbone.name} at {params.images.size} px, {trained};\n"
        f"  {cost.trunk / 1e9:.3g} (frozen) + {cost.tail / 1e9:.3g} (trained) G multiply-adds per image\n"
        f"Study: {len(params.rates)} learning rates x {len(params.folds)} folds, at most {params.head.epochs} + "
        f"{params.finetune.epochs} epochs over {params.augment.views} views\n"
        f"Images: {images.total:,}; test: {images.test:,}{estimate}; per fold {images.train:,.0f} for training and "
        f"{images.validation:,.0f} for validation\n"
    )
    console.print(_disk_table(params, images, cost))
    _save_size(params, images, cost, paths)
    if params.finetune.epochs:
        print(fit(memory_of_stage_2(params, cost), memory_of(where), where, params))
    rates = costs.rates(params, cost, where) if calibrate else None
    console.print(_work_table(shared, unshared, rates))
    print(describe(params, images.total, images.train, None if rates is None else float(STORED @ rates)), end="")
    stages = 2 + 2 * len(params.networks) + len(params.pretrained) + len(params.systems)
    print(f"Starting the {stages} stages that load a network adds about {start:.0f} s each.")


def count_images(params: Params, paths: Paths) -> Images:
    """Count the images of the study before any stage has run.

    The sizes of the parts are taken from metrics/split.json, if that belongs to these parameters. Otherwise the same
    split is drawn from the images in data/raw, without their copies, which are not known yet. If there are no images,
    the sizes are estimated from params.yaml.
    """
    total, parts, cells = _expected(params, paths)
    folds, options = len(params.folds), params.split
    report, file, estimated = split.audited(params, paths), options.file, ""
    given = own_split.table(own_split.current(file, params, paths)) if file else None
    if report and sum(report[part]["images"] for part in ("development", "test", "excluded")) == total:
        test, development = report["test"]["images"], report["development"]["images"]
    elif cells:
        test, development = _draw_split(cells, params, given)
        if options.unit == "subject":
            estimated = "by subject; copies of images, which `wen prepare` finds, may change it"
    elif given is not None:
        test, development = int((given.part == TEST).sum()), int((given.part == DEVELOPMENT).sum())
    else:
        test = math.ceil(options.test_fraction * total) if options.test == "random" else parts[options.test]
        development = total - test
        if (options.unit, options.test) == ("subject", "random"):
            estimated = "as requested; a split by subject may give another number"
        elif params.dataset.source == "synthetic" and options.test.startswith("fold_"):
            estimated = "a third of the synthetic cells; the draw may give another number"
    return Images(total, test, development * (1 - 1 / folds), development / folds, estimated)


def _draw_split(cells: list[Cell], params: Params, given: pd.DataFrame | None) -> tuple[int, int]:
    """Draw the split, and return its numbers of test and development images if no image is a copy of another."""
    index = pd.DataFrame(cells).assign(pixels=[cell.id for cell in cells])
    no_copies = pd.DataFrame(columns=list(COPIES))
    part = split.assign(index, no_copies, params.split, len(params.folds), params.seed, given).part
    return int((part == TEST).sum()), int((part == DEVELOPMENT).sum())


def _expected(params: Params, paths: Paths) -> tuple[int, Counter[str], list[Cell]]:
    """Count the expected images.

    Returns
    -------
    int
        Number of images.
    Counter
        Number of images of each part of C-NMC.
    list of Cell
        The images in data/raw if they are complete, else an empty list.

    Raises
    ------
    WenError
        If the study uses the images in data/raw, and there are none.
    """
    dataset = params.dataset
    cells = readers.read(dataset, readers.place(dataset, paths)).cells
    if dataset.source == "synthetic" and dataset.synthetic:
        options = dataset.synthetic
        training = options.cells + options.duplicates + options.altered
        parts = Counter(dict.fromkeys(cnmc.PARTS, training // 3) | {"preliminary": options.preliminary_cells})
        total = training + options.preliminary_cells
    elif dataset.complete:
        total, parts = sum(cnmc.PARTS.values()), Counter(cnmc.PARTS)
    else:
        total, parts = len(cells), Counter(cell.source for cell in cells)
    if not total:
        raise WenError(f"{paths.raw}: contains no labelled image to count; add images with `wen study DATA`")
    return total, parts, cells if len(cells) == total else []


def work(params: Params, images: Images, cost: Cost, sharing: bool = True) -> dict[str, np.ndarray]:
    """Return the multiply-adds of all models by stage, each for the four kinds of work of `wen.network.cost`.

    With ``sharing`` False, stored features are not used: every model runs the entire network on every image in every
    epoch.
    """
    pooled, activations = sharing and params.features.pooled, sharing and params.features.activations
    models = len(params.networks)
    per_epoch, predicted = images.train + images.validation, images.validation + images.test
    full = cost.trunk + cost.tail
    stored = full if pooled else cost.trunk if activations else 0
    head_epochs, finetune_epochs = models * params.head.epochs, models * params.finetune.epochs
    return {
        "features": images.in_features(params) * stored * STORED,
        "train-fold, stage 1": 0 * FROZEN if pooled else head_epochs * per_epoch * full * FROZEN,
        "train-fold, stage 2, frozen part": 0 * FROZEN
        if activations
        else finetune_epochs * per_epoch * cost.trunk * FROZEN,
        "train-fold, stage 2, trained part": finetune_epochs
        * cost.tail
        * (images.validation * TAIL + 3 * images.train * TRAINING),
        "predict-fold": len(params.predict.turns)
        * models
        * predicted
        * (cost.tail * TAIL + (0 if activations else cost.trunk) * FROZEN),
    }


def memory_of(where: torch.device) -> int:
    """Return the free memory of a device, in bytes."""
    return torch.cuda.mem_get_info(where)[0] if where.type == "cuda" else memory.usable()[0]


def fit(needed: int, free: int, where: torch.device, params: Params) -> Message:
    """Describe whether stage 2 fits into a device's memory, with remedies if it does not."""
    dtype = device.precision(where, params.compute)
    needed = needed if dtype == torch.float32 else needed // 2
    text = f"Stage 2 of one model needs about {needed / 1e9:.2f} GB on {where}; {free / 1e9:.2f} GB are free: "
    if needed <= free:
        models = free // max(needed, 1)
        return f"{text}{models} models fit at once.\n" if models > 1 else f"{text}it fits.\n"
    half = "set compute.precision: auto (half of it), " if dtype == torch.float32 and where.type == "cuda" else ""
    return (
        f"{text}it does not fit. Free memory, {half}or use a device with more. Only if that is not possible, lower "
        "train.batch_size or unfreeze less (finetune.unfreeze_from): this changes the study.\n"
    )


def _disk_table(params: Params, images: Images, cost: Cost) -> Table:
    table = Table(title="Disk and memory", title_justify="left")
    for heading in ("what", "GB", "how"):
        table.add_column(heading, justify="right" if heading == "GB" else "left")
    memory = ("device memory, stage 2", memory_of_stage_2(params, cost),
              f"batch {params.train.batch_size}, float32; about half in mixed precision")  # fmt: skip
    for what, size, how in (*disk_usage(params, images, cost), *[memory] * bool(params.finetune.epochs)):
        table.add_row(what, f"{size / 1e9:,.2f}", how)
    return table


def disk_usage(params: Params, images: Images, cost: Cost) -> list[tuple[str, float, str]]:
    """List the large outputs of a study: their name, their size in bytes, and how it is counted."""
    width = {"float32": 4, "float16": 2}[params.features.dtype]
    passes, models = images.in_features(params), len(params.networks)
    turned = f" + {len(params.predict.turns) - 1} turned" * (len(params.predict.turns) > 1)
    view = (images.train + images.validation) * cost.activations * width
    return [
        ("decoded images", images.total * 3 * params.images.size**2, "uint8"),
        ("pooled features", passes * cost.pooled * width * params.features.pooled,
         f"features.pooled: {str(params.features.pooled).lower()}, {params.features.dtype}, "
         f"{params.augment.views} views + 1{turned}"),
        ("activations at the cut", passes * cost.activations * width * params.features.activations,
         f"features.activations: {str(params.features.activations).lower()}; {view / 1e9:.3g} GB per random view as "
         f"{params.features.dtype}"),
        ("models", models * 4 * cost.parameters, f"{models} x {cost.parameters / 1e6:.1f} M float32"),
    ]  # fmt: skip


def _save_size(params: Params, images: Images, cost: Cost, paths: Paths) -> None:
    """Save the size of the study's outputs, if possible, for `wen doctor`, for which counting would take too long."""
    if paths.planned.parent.is_dir():
        size = sum(size for _, size, _ in disk_usage(params, images, cost))
        size += stored_bytes(params, images.total, counted(params))
        with suppress(OSError):
            write_json(paths.planned, {"params": params.model_dump(mode="json"), "bytes": size})


def _work_table(shared: dict[str, np.ndarray], unshared: dict[str, np.ndarray], rates: np.ndarray | None) -> Table:
    table = Table(title="Work, at most (early stopping reduces it)", title_justify="left")
    table.add_column("stage")
    headings = ["T multiply-adds", "without sharing"]
    if rates is not None:
        headings = ["T multiply-adds", "hours", "without sharing", "hours"]
    for heading in headings:
        table.add_column(heading, justify="right")

    def add(name: str, *kinds: np.ndarray) -> None:
        figures = [(work.sum() / 1e12, *([] if rates is None else [hours(work, rates)])) for work in kinds]
        table.add_row(name, *(f"{figure:,.2f}" for pair in figures for figure in pair))

    for name in shared:
        add(name, shared[name], unshared[name])
    table.add_section()
    add("total", np.sum(list(shared.values()), axis=0), np.sum(list(unshared.values()), axis=0))
    if rates is not None:
        frozen, tail, training, stored = rates / 1e9
        table.caption = (
            f"G multiply-adds per second on this device: frozen network {stored:,.0f} for data/features, "
            f"{frozen:,.0f} in training; trained part {tail:,.0f} forward, {training:,.0f} in training"
        )
    return table


def hours(work: np.ndarray, rates: np.ndarray) -> float:
    """Return the duration of the four kinds of work at the speeds of a device, in h."""
    return float((work / rates).sum()) / 3600
