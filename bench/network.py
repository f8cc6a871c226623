"""Compare the cost of a network in the study with that of plainly written peers."""

import json
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import chdir, contextmanager
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import safetensors.torch
import timm
import torch
from dvclive import Live
from joblib import cpu_count
from table import Row

from wen.config.member import Member
from wen.config.params import Params
from wen.config.paths import Paths
from wen.config.read import load
from wen.data import prepare, split
from wen.data.images import network_input
from wen.data.table import DEVELOPMENT, TEST, read_cells
from wen.members.finetune import initialise
from wen.network import backbone, device, features, pretrained
from wen.network.compiled import on_cpu
from wen.network.converted import to_openvino
from wen.network.cost import count
from wen.network.cut import Cut, cut
from wen.network.fit import Curves, Stage, fit
from wen.network.frozen import KINDS, Frozen, runner
from wen.network.inputs import ComputedInputs, Inputs, StoredInputs, batches, computed_inputs
from wen.network.steps import Task, class_weights, logits, shuffled
from wen.network.views import augment, draw

BENCH = Path(__file__).parent
CPU = torch.device("cpu")
MODELS, EPOCHS, LR, FOLD = 15, 50, 1e-4, 0
REPEATS = 3
TOLERANCES = {
    "float32": {"head": 2e-3, "finetune": 1e-2, "probability": 5e-3},
    "bfloat16": {"head": 1e-2, "finetune": 3e-2, "probability": 5e-2},
}
"""How far from the float32 peers' losses (relative) and probabilities (absolute) the study may be, by its precision."""


FORWARD = (
    ("tf_efficientnet_lite0", "blocks.5", 128, 16),
    ("tf_efficientnetv2_m", "blocks.5", 224, 8),
    ("resnet50", "layer4", 224, 8),
    ("vgg16", "pre_logits", 224, 8),
)
"""Networks whose forward pass is timed: name, first module that is trained, side of an image in px, batch."""


def frozen_forward(envs: Path) -> Iterator[Row]:
    """Compare the frozen network on batches of images with OpenVINO in a separate environment."""
    import openvino  # not before wen.network, which disables its telemetry

    for name, unfreeze_from, size, batch in FORWARD:
        params = load(BENCH.parent / "params.yaml")
        options = params.compute.model_copy(update={"threads": cpu_count()})
        params = params.model_copy(
            update={
                "compute": options,
                "backbone": params.backbone.model_copy(update={"name": name}),
                "images": params.images.model_copy(update={"size": size}),
                "finetune": params.finetune.model_copy(update={"unfreeze_from": unfreeze_from}),
            }
        )
        cost = count(params)
        device.settle(options)
        torch.manual_seed(0)
        images = (torch.arange(batch * size * size * 3) % 251 / 250).float().reshape(batch, size, size, 3)
        frozen = Frozen(
            settled(backbone.build(params.backbone, size), images.numpy() * 2 - 1),
            params.finetune.unfreeze_from,
            ("pooled",),
        )
        run, graph = runner(frozen, size, CPU, options), to_openvino(frozen, torch.zeros(2, size, size, 3))
        output, pooled = run(images)[0], _pooled(frozen.pool, on_cpu(graph, options.threads))
        study_seconds, peer_seconds, least = [], [], []
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder) / "model.xml"
            openvino.save_model(graph, model, compress_to_fp16=False)
            script = [envs / "openvino/bin/python", BENCH / "peers/openvino_forward.py"]
            for _ in range(3 * REPEATS):  # in turns, since a shared machine is now faster, now slower
                for values, work in ((study_seconds, run), (least, pooled)):
                    values += [seconds(work, images) for _ in range(max(3, int(1 / seconds(work, images))))]
                peer = _json([*script, model, batch, size, options.threads, 1], Path(folder))
                peer_seconds += peer["seconds"]
                np.testing.assert_allclose(output[:, :8], peer["output"], atol=1e-3)
        yield Row(
            f"frozen forward, {name} at {size} px, batch {batch}", "OpenVINO float32", peer_seconds, study_seconds,
            0.9, operations=(batch * (cost.trunk + cost.tail),) * 2,
            least=("the same, and PyTorch's pooling, after which its threads wait actively", least),
        )  # fmt: skip


def _pooled(pool: torch.nn.Module, compiled: Callable[..., Any]) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function that does what a peer does, and then pools its maps with PyTorch."""
    return lambda images: pool(torch.from_numpy(compiled(images.numpy())[0]).movedim(-1, 1))


def training(envs: Path) -> Iterator[Row]:
    """Compare both stages and prediction of EfficientNetV2-M at 128 px with Keras and timm in float32."""
    with _mini_study() as study:
        epochs = 1 + REPEATS  # the first one warms up
        counts = ["--head-epochs", epochs, "--finetune-epochs", epochs, "--predictions", REPEATS]
        plain = _json([sys.executable, BENCH / "peers/plain.py", "--lr", LR, *counts], study.paths.root)
        keras = _keras(envs, study)
        for precision in precisions():
            study.compute_in(precision)
            features.run(study.params, study.paths, "cpu")
            yield from _stage_1(study, plain["head"], keras)
            yield from _stage_2(study, plain["finetune"])
            yield _prediction(study, plain["test"])


def precisions() -> list[str]:
    """Return the values of `compute.precision` that do not slow this processor down."""
    import openvino

    here = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ["float32", *(["bfloat16"] if "BF16" in here else [])]


class Study:
    """One fold of a small study in a separate folder, at one learning rate."""

    def __init__(self, params: Params, root: Path) -> None:
        self.params, self.paths = params, Paths(root)
        prepare.run(params, self.paths)
        split.run(params, self.paths)
        self.cells = read_cells(self.paths)
        images = normalised(self, self.rows("train")[:8], None)
        untrained = settled(backbone.build(params.backbone, params.images.size), images)
        safetensors.torch.save_file(untrained.state_dict(), params.backbone.weights)
        pretrained.run(params, self.paths)
        self.cost = count(params)
        self.network, self.parts = self.start()

    def compute_in(self, precision: str) -> None:
        """Start again with another ``compute.precision``."""
        self.computed.cache_clear()
        options = self.params.compute.model_copy(update={"precision": precision})
        self.params = self.params.model_copy(update={"compute": options})
        self.network, self.parts = self.start()

    @property
    def precision(self) -> str:
        return self.params.compute.precision

    def name(self, work: str) -> str:
        return work if self.precision == "float32" else f"{work}, {self.precision}"

    def start(self) -> tuple[torch.nn.Module, Cut]:
        """Return the pretrained network with the new head of the fold."""
        network = backbone.load(self.params, self.paths.backbone, CPU)
        parts = cut(network, self.params.finetune.unfreeze_from, device.precision(CPU, self.params.compute))
        initialise(parts.head, self.params.seed, FOLD)
        return network, parts

    def rows(self, part: str) -> np.ndarray:
        validates = (self.cells.fold == FOLD).to_numpy()
        mask = {"train": ~validates, "validation": validates, "test": True}[part]
        return np.flatnonzero((self.cells.part == (TEST if part == "test" else DEVELOPMENT)).to_numpy() & mask)

    def fit(self, stage: str, epochs: int, inputs: Inputs) -> "Clock":
        """Train a stage of the current network; the clock records seconds and validation loss of each epoch."""
        task = Task(
            self.params, Member(str(LR), FOLD), self.parts.tail, self.cells.label.to_numpy(),
            self.rows("train"), self.rows("validation"), CPU,
        )  # fmt: skip
        module = self.parts.head if stage == "head" else self.parts.tail
        options = (self.params.head if stage == "head" else self.params.finetune).model_copy(
            update={"epochs": epochs, "patience": epochs}
        )
        with Clock(self.paths.root / "curves") as clock:
            fit(task, Stage(stage, module, inputs, options), Curves(clock))
        return clock

    @cache  # noqa: B019  # to convert a network for OpenVINO takes seconds
    def computed(self, *kinds: str) -> ComputedInputs:
        """Run the frozen network on the study's images."""
        return computed_inputs(kinds, self.params, self.paths.features, self.network, CPU)

    def stored(self, kind: str) -> StoredInputs:
        return StoredInputs(self.paths.features, kind, CPU)

    def seconds_of_a_view(self, kinds: tuple[str, ...], views: Iterable[int | None], rows: np.ndarray) -> list[float]:
        """Return the time of the frozen network for some images, one view after another."""
        frozen, every = self.computed(*kinds), batches(rows, features.BATCH)
        deque(frozen.outputs(every[:1], None), maxlen=0)
        return [seconds(lambda view=view: deque(frozen.outputs(every, view), maxlen=0)) for view in views]

    def seconds_of_an_image(self, kinds: tuple[str, ...]) -> float:
        """Return the time of the forward pass of the frozen network only, without reading and augmenting."""
        size, batch = self.params.images.size, features.BATCH
        run = self.computed(*kinds).run
        images = torch.rand(batch, size, size, 3, generator=torch.Generator().manual_seed(0))
        run(images)
        return median(seconds(run, images) for _ in range(5)) / batch


class Clock(Live):
    """DVCLive that also records when each epoch ended, and its validation loss."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder), dvcyaml=None, save_dvc_exp=False)
        self.times, self.losses = [time.perf_counter()], []

    def log_metric(self, name: str, value: Any, **options: Any) -> None:
        super().log_metric(name, value, **options)
        if name == "loss/validation":
            self.losses.append(value)

    def next_step(self) -> None:
        super().next_step()
        self.times.append(time.perf_counter())

    @property
    def seconds(self) -> list[float]:
        return np.diff(self.times).tolist()


def _stage_1(study: Study, plain: dict[str, Any], keras: dict[str, Any]) -> Iterator[Row]:
    learnt = np.concatenate([study.rows("train"), study.rows("validation")])
    pace = study.seconds_of_a_view(KINDS, range(REPEATS), learnt)
    image_seconds = study.seconds_of_an_image(KINDS)
    pooled = study.stored("pooled")
    heads = []
    for _ in range(REPEATS):
        study.network, study.parts = study.start()
        heads.append(sum(study.fit("head", EPOCHS, pooled).seconds))
    study.network, study.parts = study.start()
    losses = study.fit("head", 1 + REPEATS, pooled).losses
    for peer in (plain, keras):
        np.testing.assert_allclose(losses, peer["losses"], rtol=TOLERANCES[study.precision]["head"])
    for views, goal in ((EPOCHS, 20), (8, 100)):
        study_seconds = [(1 + views) * view + MODELS * head for view, head in zip(pace, heads, strict=True)]
        passes = MODELS * EPOCHS * len(learnt), (1 + views) * len(learnt)
        operations = tuple(images * (study.cost.trunk + study.cost.tail) for images in passes)
        for name, peer in (("Keras 3 on TensorFlow", keras), ("timm + DataLoader", plain)):
            peer_seconds = [MODELS * EPOCHS * epoch for epoch in peer["seconds"][1:]]
            work = study.name(f"stage 1, 15 models x 50 epochs, {views} views")
            least = "the frozen network's forward passes", [passes[1] * image_seconds]
            yield Row(work, name, peer_seconds, study_seconds, goal, operations=operations, least=least)


def _stage_2(study: Study, plain: dict[str, Any]) -> Iterator[Row]:
    """Measure stage 2 after the end of stage 1, with activations from disk and without."""
    cost, train, validation = study.cost, len(study.rows("train")), len(study.rows("validation"))
    tail = (3 * train + validation) * cost.tail
    total = tail + (train + validation) * cost.trunk
    initial = {key: value.clone() for key, value in study.parts.tail.state_dict().items()}
    trunk = (train + validation) * study.seconds_of_an_image(("activations",))
    convolution_seconds = convolutions(lambda: study.fit("finetune", 1, study.stored("activations")))
    for cached, goal in ((False, 1.3), (True, 2)):
        study.parts.tail.load_state_dict(initial)
        inputs = study.stored("activations") if cached else study.computed("activations")
        clock = study.fit("finetune", 1 + REPEATS, inputs)
        np.testing.assert_allclose(clock.losses, plain["losses"], rtol=TOLERANCES[study.precision]["finetune"])
        work = study.name(f"stage 2, one epoch, {'cached activations' if cached else 'nothing cached'}")
        operations = total, tail if cached else total
        least = (
            ("PyTorch's convolutions of the trained part", [convolution_seconds]) if cached else
            ("the frozen network's forward passes, and PyTorch's convolutions", [convolution_seconds + trunk])
        )  # fmt: skip
        peer_seconds, study_seconds = plain["seconds"][1:], clock.seconds[1:]
        yield Row(
            work, "timm, complete graph forward", peer_seconds, study_seconds, goal, operations=operations, least=least
        )


def _prediction(study: Study, plain: dict[str, Any]) -> Row:
    rows, size = study.rows("test"), study.params.train.batch_size
    trunk = study.seconds_of_a_view(("activations",), [None] * REPEATS, rows)
    inputs = study.stored("activations")
    image_seconds = study.seconds_of_an_image(("activations",))

    def again() -> torch.Tensor:
        return logits(study.parts.tail, inputs, rows, size)

    tail = [seconds(again) for _ in range(REPEATS)]
    np.testing.assert_allclose(
        torch.sigmoid(again()), plain["probability"], atol=TOLERANCES[study.precision]["probability"]
    )  # fmt: skip
    least = (
        "the frozen network's forward pass, and PyTorch's convolutions",
        [len(rows) * image_seconds + MODELS * convolutions(again)],
    )
    study_seconds = [once + MODELS * model for once, model in zip(trunk, tail, strict=True)]
    peer_seconds = [MODELS * model for model in plain["seconds"]]
    cost = study.cost
    operations = len(rows) * MODELS * (cost.trunk + cost.tail), len(rows) * (cost.trunk + MODELS * cost.tail)
    work = study.name("prediction of the test set, 15 models")
    return Row(work, "timm, 15 forward passes", peer_seconds, study_seconds, 2.5, operations=operations, least=least)


@contextmanager
def _mini_study() -> Iterator[Study]:
    """EfficientNetV2-M on 200 cells in batches of 64: 128 for training, 32 for validation, 40 for testing."""
    size = 128
    values = load(BENCH.parent / "params.yaml").model_dump()
    values["dataset"]["side"] = size
    values["dataset"]["synthetic"] |= {
        "subjects": 12, "cells": 160, "preliminary_subjects": 4, "preliminary_cells": 40, "duplicates": 0, "altered": 0,
    }  # fmt: skip
    values["images"] = {"crop": size, "size": size}
    values["train"]["batch_size"] = 64  # the thesis's
    values["augment"]["views"] = 1 + REPEATS
    values["finetune"]["unfreeze_from"] = "blocks.5"
    values["compute"]["threads"] = cpu_count()
    with tempfile.TemporaryDirectory() as folder:
        values["backbone"] = {"name": "tf_efficientnetv2_m", "weights": str(Path(folder) / "weights.safetensors")}
        params = Params.model_validate(values)
        device.settle(params.compute)
        torch.manual_seed(0)
        (Path(folder) / "params.yaml").write_text(json.dumps(values))
        with chdir(folder):
            yield Study(params, Path())


def _keras(envs: Path, study: Study) -> dict[str, Any]:
    """Measure stage 1 in Keras, on the study's decoded views, from its weights and its head."""
    params, cells = study.params, study.cells
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = {
            key: value.numpy()
            for key, value in study.network.state_dict().items()
            if not key.startswith("classifier") and not key.endswith("num_batches_tracked")
        }
        np.savez(folder / "weights.npz", **weights)
        label = cells.label.to_numpy()
        train, validation = study.rows("train"), study.rows("validation")
        orders = [shuffled(train, params.seed, FOLD, "head", epoch) for epoch in range(1 + REPEATS)]
        arrays = {
            "head": study.parts.head.weight.detach().numpy(),
            "views": np.stack([normalised(study, rows, view) for view, rows in enumerate(orders)]),
            "labels": np.stack([label[rows] for rows in orders]),
            "class_weights": class_weights(label[train]),
            "validation": normalised(study, validation, None),
            "validation_labels": label[validation],
        }
        for key, value in arrays.items():
            np.save(folder / f"{key}.npy", value)
        task = {"lr": LR, "batch_size": params.train.batch_size, "threads": params.compute.threads}
        (folder / "task.json").write_text(json.dumps(task))
        return _json([envs / "keras/bin/python", BENCH / "peers/keras_stage1.py", folder], folder)


def normalised(study: Study, rows: np.ndarray, view: int | None) -> np.ndarray:
    crop, size = study.params.images.crop, study.params.images.size
    files = zip(study.cells.path.iloc[rows], study.cells.sha256.iloc[rows], strict=True)
    images = np.stack([network_input(study.paths.root / path, digest, crop, size) for path, digest in files])
    pixels = torch.from_numpy(images).movedim(-1, 1) / 255
    if view is not None:
        pixels = augment(pixels, draw(study.params.augment, study.params.seed, view, rows))
    return ((pixels - 0.5) / 0.5).movedim(1, -1).contiguous().numpy()


def settled(network: Any, images: np.ndarray) -> torch.nn.Module:
    """Give untrained weights the properties of trained ones: batch statistics, and small residual branches.

    Otherwise activations grow without bounds, and so do the differences between two engines.
    """
    for block in network.modules():
        if getattr(block, "has_skip", False) or isinstance(block, timm.models.resnet.Bottleneck):
            torch.nn.init.constant_(
                [child for child in block.children() if hasattr(child, "running_var")][-1].weight, 0.1
            )
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # of all batches alike
    with torch.no_grad():
        network.train()(torch.from_numpy(images).movedim(-1, 1))
    return network.eval()


def convolutions(work: Callable[[], Any]) -> float:
    """Return the seconds that PyTorch's convolutions take in forward and backward passes."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        work()
    return sum(row.self_cpu_time_total for row in profile.key_averages() if "conv" in row.key) / 1e6


def seconds(work: Callable[..., Any], *arguments: Any) -> float:
    begin = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - begin


def _json(command: list[Any], folder: Path) -> Any:
    """Run a peer in a folder and parse the JSON in its last line."""
    done = subprocess.run([str(word) for word in command], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command[1]}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])
