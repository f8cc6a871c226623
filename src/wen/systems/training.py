"""The one loop by which published systems train: a head on stored outputs of a network, or a network with its head."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from safetensors.torch import load as tensors_of
from safetensors.torch import save as bytes_of
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from wen.config.params import Augment
from wen.config.seeds import seed_for
from wen.errors import WenError
from wen.evaluation.metrics import decide
from wen.network import device
from wen.network.backbone import head_name
from wen.network.cut import cut
from wen.network.inputs import batches
from wen.network.steps import class_weights
from wen.network.views import augment, draw, rotate
from wen.systems.fold import Cells, Training
from wen.systems.samplers import SAMPLERS
from wen.systems.system import Kind, Model, Trained

Batch = Callable[[np.ndarray, int | None], torch.Tensor]
"""From positions among some images, and the number of a random view or None, to what a module takes."""
Feed = Callable[[Cells], Batch]
Head = Callable[[int], nn.Module]
"""From a number of channels to a new module that gives one logit."""
Row = dict[str, float]

OPTIMISERS: dict[str, Callable[[Any, Trained], torch.optim.Optimizer]] = {
    "adam": lambda weights, options: torch.optim.Adam(weights, options.lr),
    "adamax": lambda weights, options: torch.optim.Adamax(weights, options.lr),
    "rmsprop": lambda weights, options: torch.optim.RMSprop(weights, options.lr, momentum=options.momentum),
    "sgd": lambda weights, options: torch.optim.SGD(weights, options.lr, momentum=options.momentum),
}


class Diverged(WenError):
    """No epoch had a finite loss."""


def fit(
    training: Training,
    options: Trained,
    head: Head,
    kind: Kind = "pooled",
    attach: Callable[[nn.Module], None] | None = None,
    start: dict[str, torch.Tensor] | None = None,
) -> Model:
    """Train a head on the first of ``options.networks``, at the depth that they name.

    Parameters
    ----------
    training : Training
    options : Trained
    head : callable
        Makes the module behind the network.
    kind : str
        What it takes: ``pooled`` features, or ``maps``.
    attach : callable, optional
        Puts parts inside the network, at depth ``finetune``.
    start : dict of str to Tensor, optional
        Weights that the head starts from; else from random ones, the same for all variants of a system.
    """
    source, name = training.source, options.networks[0]
    torch.manual_seed(training.seed(what="start"))
    if options.depth == "frozen":
        options = options.model_copy(update={"lr": options.frozen_lr or options.lr})
        module, feed = head(source.channels(name, kind)), outputs(name, kind)
    else:
        network = source.network(name)
        if attach:
            attach(network)
        module, feed = (
            WithHead(network, head, kind, device.precision(source.device, source.params.compute)),
            images(options),
        )
    if start:
        (module.head if isinstance(module, WithHead) else module).load_state_dict(start)
    module = module.to(source.device)
    rows, epoch = train(module, feed, training, options)
    weights = {key: value.cpu().contiguous() for key, value in module.state_dict().items()}
    return Model(
        lambda cells: probability(module, feed, cells, options.batch_size),
        bytes_of(weights),
        "safetensors",
        {"epoch": epoch},
        rows,
    )


def fit_in_two_stages(training: Training, options: Trained, head: Head) -> Model:
    """Train a head on pooled features; at depth ``finetune``, then head and network on images, from that head on."""
    first = fit(training, options.model_copy(update={"depth": "frozen"}), head)
    if options.depth == "frozen":
        return first
    return fit(training, options, head, start=tensors_of(first.content))


def train(module: nn.Module, feed: Feed, training: Training, options: Trained) -> tuple[list[Row], int]:
    """Train a module, and leave in it the weights of the epoch that is kept.

    With ``patience`` or ``plateau_patience``, an inner part of the training images judges: the epoch of its lowest loss
    is kept. Without, the last one is, and all images train.

    Returns
    -------
    list of dict
        Each epoch's ``loss``, ``judged`` loss (NaN if nothing judges) and ``lr``.
    int
        The epoch that is kept, from 1.

    Raises
    ------
    Diverged
        If no epoch had a finite loss.
    """
    learn, judge = training, None
    if options.patience or options.plateau_patience is not None:
        inside, outside = training.inner()[0]
        learn, judge = training.part(inside), training.part(outside)
    steps = _Steps(module, feed(learn), learn, options)
    rows: list[Row] = []
    best, kept, state = math.inf, 0, {}
    for epoch in range(options.epochs):
        lr = steps.optimizer.param_groups[0]["lr"]
        loss = steps.epoch(epoch)
        judged = _loss(module, feed, judge, options.batch_size) if judge else math.nan
        rows.append({"loss": loss, "judged": judged, "lr": lr})
        score = judged if judge else -epoch
        if not math.isfinite(loss) or (judge and not math.isfinite(judged)):
            break
        if score < best:
            best, kept = score, epoch + 1
            state = {key: value.clone() for key, value in module.state_dict().items()} if judge else {}
        if options.patience and epoch + 1 - kept >= options.patience:
            break
        if steps.plateau and judge:
            steps.plateau.step(judged)
    if not kept or not math.isfinite(rows[kept - 1]["loss"]) or (not judge and kept < len(rows)):
        raise Diverged(
            f"system {training.system}, fold {training.fold}: the loss is infinite or undefined at learning rate "
            f"{options.lr:g}; lower it in params.yaml"
        )
    if state:
        module.load_state_dict(state)
    return rows, kept


class _Steps:
    """Training passes of a module."""

    def __init__(self, module: nn.Module, batch: Batch, learn: Training, options: Trained) -> None:
        self.module, self.batch, self.learn, self.options = module, batch, learn, options
        self.optimizer = OPTIMISERS[options.optimiser](module.parameters(), options)
        waits = options.plateau_patience
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau
        self.plateau = (
            None if waits is None else schedule(self.optimizer, factor=options.plateau_factor, patience=waits)
        )
        where = learn.source.device
        share = class_weights(learn.label) if options.balance == "weights" else np.ones(2)
        self.weight = torch.from_numpy(share[learn.label]).float().to(where)
        self.target = torch.from_numpy(learn.label).float().to(where)

    def epoch(self, number: int) -> float:
        """Make one pass; its mean loss."""
        self.module.train()
        rng = np.random.default_rng(self.learn.seed(number, what="order"))
        order = rng.permutation(SAMPLERS[self.options.balance](self.learn.label, rng))
        torch.manual_seed(self.learn.seed(number, what="dropout"))
        total = torch.zeros((), device=self.target.device)
        for positions in batches(order, self.options.batch_size):
            logit = self.module(self.batch(positions, number)).squeeze(1)
            at = torch.from_numpy(positions).to(self.target.device)
            loss = binary_cross_entropy_with_logits(logit, self.target[at], weight=self.weight[at])
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            total += loss.detach() * len(positions)
        return total.item() / len(order)


def logits(module: nn.Module, feed: Feed, cells: Cells, size: int) -> torch.Tensor:
    """Logits of images as they are, float64, on the CPU."""
    module.eval()
    batch = feed(cells)
    with torch.inference_mode():
        found = [module(batch(part, None)).squeeze(1) for part in batches(np.arange(len(cells)), size)]
    return torch.cat(found).cpu().double()


def probability(module: nn.Module, feed: Feed, cells: Cells, size: int) -> np.ndarray:
    """Probability of the positive class, of each image."""
    found: np.ndarray = torch.sigmoid(logits(module, feed, cells, size)).numpy()
    return found


def _loss(module: nn.Module, feed: Feed, judge: Training, size: int) -> float:
    logit = logits(module, feed, judge, size)
    return binary_cross_entropy_with_logits(logit, torch.from_numpy(judge.label).double()).item()


def judged(training: Training, options: Trained, head: Head) -> float:
    """Accuracy of a head on an inner part of the training images that the others trained; 0 if it diverges."""
    inside, outside = training.inner()[0]
    judge = training.part(outside)
    try:
        model = fit(training.part(inside), options.model_copy(update={"depth": "frozen"}), head)
    except Diverged:
        return 0.0
    found = model.probability(judge)
    return float((decide(found) == judge.label).mean()) if np.isfinite(found).all() else 0.0


def outputs(network: str, kind: Kind) -> Feed:
    """Stored outputs of a network, of images as they are whatever the view."""

    def of(cells: Cells) -> Batch:
        if kind == "pooled":  # few numbers, which a search reads many times
            values = torch.from_numpy(cells.pooled([network])).float().to(cells.source.device)
            return lambda positions, _: values[torch.from_numpy(positions).to(values.device)]
        stored = cells.source.stored(network, kind)
        return lambda positions, _: next(stored.batches([cells.rows[positions]], None))

    return of


def images(options: Trained) -> Feed:
    """The images themselves, in [0, 1], as random views where one is asked for."""
    flips = options.views.model_dump(exclude={"rotation"})

    def of(cells: Cells) -> Batch:
        stored, seed = cells.source.stored("", "images"), cells.source.params.seed

        def batch(positions: np.ndarray, view: int | None) -> torch.Tensor:
            rows = cells.rows[positions]
            pixels = next(stored.batches([rows], None)) / 255
            if view is None:
                return pixels
            drawn = draw(Augment(views=1, **flips), seed, view, rows)
            if options.views.rotation:
                turns = np.random.default_rng(seed_for(seed, view, what="rotation")).random(rows.max() + 1)[rows]
                pixels = rotate(pixels, torch.from_numpy(turns).float().to(pixels.device))
            return augment(pixels, drawn)

        return batch

    return of


class WithHead(nn.Module):
    """A whole network, from images in [0, 1] to a logit.

    Parameters
    ----------
    network : Module
        Of timm, as `wen.network.backbone.build` makes it; its own classifier is left out.
    head : callable
        Makes what comes behind it.
    kind : str
        What that takes: ``pooled`` features, or the last ``maps``.
    dtype : torch.dtype
        Of the network's arithmetic.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, network: nn.Module, head: Head, kind: Kind, dtype: torch.dtype) -> None:
        super().__init__()
        pretrained: Any = network.pretrained_cfg
        parts = cut(network, head_name(network), dtype)
        self.trunk, self.pool = parts.trunk, parts.pool if kind == "pooled" else nn.Identity()
        self.head = head(parts.head.in_features if kind == "pooled" else int(network.num_features))  # type: ignore[arg-type]
        for key in ("mean", "std"):
            self.register_buffer(key, torch.tensor(pretrained[key])[:, None, None])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logit: torch.Tensor = self.head(self.pool(self.trunk((images - self.mean) / self.std)))
        return logit
