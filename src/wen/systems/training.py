"""Training loop of published systems: a head on stored outputs of a network, or a network with its head."""

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
from wen.network.cut import cut, precisions
from wen.network.inputs import batches
from wen.network.steps import class_weights
from wen.network.views import augment, draw, rotate
from wen.systems.blocks import ChannelsFirst, begin_of_head, untrainable
from wen.systems.fold import Cells, Training
from wen.systems.samplers import SAMPLERS
from wen.systems.system import Kind, Model, Trained

Batch = Callable[[np.ndarray, int | None], torch.Tensor]
"""Maps indices of images, and the number of a random view or None, to the input of a module."""
Feed = Callable[[Cells], Batch]
"""Maps images to a function that returns their batches."""
Head = Callable[[int], nn.Module]
"""Maps a number of channels to a new module that returns one logit."""
Row = dict[str, float]
"""Metrics of an epoch."""

OPTIMISERS: dict[str, Callable[[Any, Trained], torch.optim.Optimizer]] = {
    "adam": lambda weights, options: torch.optim.Adam(weights, options.lr),
    "adamax": lambda weights, options: torch.optim.Adamax(weights, options.lr),
    "rmsprop": lambda weights, options: torch.optim.RMSprop(weights, options.lr),
    "sgd": lambda weights, options: torch.optim.SGD(weights, options.lr, momentum=options.momentum),
}


class Diverged(WenError):
    """No epoch had a finite loss, or no step finite gradients."""


def fit(
    training: Training,
    options: Trained,
    head: Head,
    kind: Kind = "pooled",
    attach: Callable[[nn.Module], None] | None = None,
    start: dict[str, torch.Tensor] | None = None,
) -> Model:
    """Train a head on the first of ``options.networks``, at depth ``options.depth``.

    Parameters
    ----------
    training : Training
    options : Trained
    head : callable
        Creates the head from its number of input channels.
    kind : str
        Input of the head: ``pooled`` features or ``maps``.
    attach : callable, optional
        Adds modules inside the network, at depth ``finetune``.
    start : dict of str to Tensor, optional
        Initial weights of the head; by default random, with the same seed for all variants of a system.
    """
    source, name = training.source, options.networks[0]
    torch.manual_seed(training.seed(what="start"))
    if options.depth == "frozen":
        options = options.model_copy(update={"lr": options.frozen_lr or options.lr})
        module, feed = head(source.channels(name, kind)), stored_outputs(name, kind)
    else:
        network = source.network(name)
        if attach:
            attach(network)
        torch.manual_seed(training.seed(what="start"))  # again: the head does not depend on what is attached
        module = WithHead(network, head, kind, device.precision(source.device, source.params.compute))
        feed = image_views(options)
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
    """Train a head on pooled features; at depth ``finetune``, then train the network, starting from this head."""
    stage_1 = fit(training, options.model_copy(update={"depth": "frozen"}), head)
    if options.depth == "frozen":
        return stage_1
    return fit(training, options, head, start=tensors_of(stage_1.content))


def train(module: nn.Module, feed: Feed, training: Training, options: Trained) -> tuple[list[Row], int]:
    """Train a module, and load the weights of its best epoch into it.

    With ``patience`` or ``plateau_patience``, one part of the training images is held out for validation, and the best
    epoch is the one with the lowest loss on it. Otherwise all images are trained on, and the last epoch is used.

    Returns
    -------
    list of dict
        For each epoch its training ``loss``, its loss on the held-out part, ``judged`` (NaN without one), and ``lr``.
    int
        Number of the best epoch, from 1.

    Raises
    ------
    Diverged
        If no epoch had a finite loss, or no step finite gradients.
    """
    train_part, validation_part = training, None
    if options.patience or options.plateau_patience:
        train_positions, validation_positions = training.inner()[0]
        train_part, validation_part = training.part(train_positions), training.part(validation_positions)
    trainer = _Trainer(module, feed(train_part), train_part, options)
    rows: list[Row] = []
    lowest, best_epoch, state = math.inf, 0, {}
    for epoch in range(options.epochs):
        lr = trainer.optimizer.param_groups[0]["lr"]
        loss = trainer.run_epoch(epoch)
        validation_loss = _loss(module, feed, validation_part, options.batch_size) if validation_part else math.nan
        rows.append({"loss": loss, "judged": validation_loss, "lr": lr})
        score = validation_loss if validation_part else -epoch
        if not math.isfinite(loss) or (validation_part and not math.isfinite(validation_loss)):
            break
        if trainer.took_a_step and score < lowest:
            lowest, best_epoch = score, epoch + 1
            state = {key: value.clone() for key, value in module.state_dict().items()} if validation_part else {}
        if options.patience and epoch + 1 - best_epoch >= options.patience:
            break
        if trainer.plateau and validation_part:
            trainer.plateau.step(validation_loss)
    if not trainer.took_a_step:
        raise Diverged(
            f"system {training.system}, fold {training.fold}: no step has finite gradients in float16; set "
            "compute.precision: float32"
        )
    diverged_without_validation = not validation_part and best_epoch < len(rows)
    if not best_epoch or not math.isfinite(rows[best_epoch - 1]["loss"]) or diverged_without_validation:
        raise Diverged(
            f"system {training.system}, fold {training.fold}: the loss is infinite or undefined at learning rate "
            f"{options.lr:g}; lower it in params.yaml or, if a search chose it, set another number of trials or depth: "
            "frozen"
        )
    if state:
        module.load_state_dict(state)
    return rows, best_epoch


class _Trainer:
    """Optimiser, learning rate schedule and training epochs of a module."""

    def __init__(self, module: nn.Module, batch: Batch, training: Training, options: Trained) -> None:
        self.module, self.batch, self.training, self.options = module, batch, training, options
        self.optimizer = OPTIMISERS[options.optimiser](module.parameters(), options)
        self.plateau = None
        if patience := options.plateau_patience:
            self.plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
                self.optimizer,
                factor=options.plateau_factor,
                patience=patience - 1,  # torch's is the number of epochs that change nothing
                threshold=0.0,
            )
        where = training.source.device
        half = torch.float16 in precisions(module)
        self.scaler = torch.amp.GradScaler(where.type, enabled=half)
        self.took_a_step = not half
        """Whether any optimiser step was taken; in float16, steps with infinite gradients are skipped."""
        class_weight = class_weights(training.label) if options.balance == "weights" else np.ones(2)
        self.weight = torch.from_numpy(class_weight[training.label]).float().to(where)
        self.target = torch.from_numpy(training.label).float().to(where)

    def run_epoch(self, number: int) -> float:
        """Train for one epoch, and return the mean loss."""
        self.module.train()
        rng = np.random.default_rng(self.training.seed(number, what="order"))
        order = rng.permutation(SAMPLERS[self.options.balance](self.training.label, rng))
        torch.manual_seed(self.training.seed(number, what="dropout"))
        total = torch.zeros((), device=self.target.device)
        for positions in batches(order, self.options.batch_size):
            logit = self.module(self.batch(positions, number)).squeeze(1)
            at = torch.from_numpy(positions).to(self.target.device)
            loss = binary_cross_entropy_with_logits(logit, self.target[at], weight=self.weight[at])
            self.optimizer.zero_grad(set_to_none=True)
            self.scaler.scale(loss).backward()
            scale = self.scaler.get_scale()
            self.scaler.step(self.optimizer)
            self.scaler.update()
            self.took_a_step |= self.scaler.get_scale() >= scale  # which is lowered if the step was skipped
            total += loss.detach() * len(positions)
        return total.item() / len(order)


def logits(module: nn.Module, feed: Feed, cells: Cells, size: int) -> torch.Tensor:
    """Return the logits of the unchanged images, of shape (images,), float64, on the CPU."""
    module.eval()
    batch = feed(cells)
    with torch.inference_mode():
        outputs = [module(batch(part, None)).squeeze(1) for part in batches(np.arange(len(cells)), size)]
    return torch.cat(outputs).cpu().double()


def probability(module: nn.Module, feed: Feed, cells: Cells, size: int) -> np.ndarray:
    """Return the probability of the positive class for each image."""
    positive: np.ndarray = torch.sigmoid(logits(module, feed, cells, size)).numpy()
    return positive


def _loss(module: nn.Module, feed: Feed, cells: Training, size: int) -> float:
    logit = logits(module, feed, cells, size)
    return binary_cross_entropy_with_logits(logit, torch.from_numpy(cells.label).double()).item()


def inner_accuracy(training: Training, options: Trained, head: Head) -> float:
    """Train a head on one part of the training images, and return its accuracy on the rest; 0 if it diverges."""
    train_positions, validation_positions = training.inner()[0]
    validation_part = training.part(validation_positions)
    try:
        model = fit(training.part(train_positions), options.model_copy(update={"depth": "frozen"}), head)
    except Diverged:
        return 0.0
    probability = model.probability(validation_part)
    is_correct = decide(probability) == validation_part.label
    return float(is_correct.mean()) if np.isfinite(probability).all() else 0.0


def stored_outputs(network: str, kind: Kind) -> Feed:
    """Return a feed of a network's stored outputs for the unchanged images; the number of the view is ignored."""

    def feed(cells: Cells) -> Batch:
        if kind == "pooled":  # small enough to keep in memory, since a search reads them many times
            values = torch.from_numpy(cells.pooled([network])).float().to(cells.source.device)
            return lambda positions, _: values[torch.from_numpy(positions).to(values.device)]
        stored = cells.source.stored(network, kind)
        return lambda positions, _: next(stored.batches([cells.rows[positions]], None))

    return feed


def image_views(options: Trained) -> Feed:
    """Return a feed of images in [0, 1], as the given random view or unchanged."""
    flips = options.views.model_dump(exclude={"rotation"})

    def feed(cells: Cells) -> Batch:
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

    return feed


class WithHead(nn.Module):
    """A network with another head: maps images in [0, 1] to a logit.

    Parameters
    ----------
    network : Module
        A timm network, as `wen.network.backbone.build` returns it; its classifier is not used.
    head : callable
        Creates the head from its number of input channels.
    kind : str
        Input of the head: ``pooled`` features or the last feature ``maps``.
    dtype : torch.dtype
        Precision of the network.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, network: nn.Module, head: Head, kind: Kind, dtype: torch.dtype) -> None:
        super().__init__()
        pretrained: Any = network.pretrained_cfg
        parts = cut(network, begin_of_head(network), dtype)
        if not parts.is_traced:
            raise WenError(untrainable(network))
        self.trunk = parts.trunk
        self.pool = parts.pool if kind == "pooled" else ChannelsFirst(parts.channels)
        self.head = head(parts.head.in_features if kind == "pooled" else int(network.num_features))  # type: ignore[arg-type]
        for key in ("mean", "std"):
            self.register_buffer(key, torch.tensor(pretrained[key])[:, None, None])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logit: torch.Tensor = self.head(self.pool(self.trunk((images - self.mean) / self.std)))
        return logit
