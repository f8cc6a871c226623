"""One training of two stages, epoch by epoch: which epoch is kept, and when training stops."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dvclive import Live
from torch import nn

from wen.config.member import Member
from wen.config.params import Finetune, Head, Params
from wen.config.seeds import seed_for
from wen.errors import WenError
from wen.network import fit as fitting
from wen.network.checkpoint import Checkpoint
from wen.network.cut import Convolutions
from wen.network.fit import BestEpoch, Curves, Stage, fit
from wen.network.progress import Position
from wen.network.steps import Task


class Scripted:
    """Inputs whose validation logits follow a script, one entry an epoch."""

    def __init__(self, script: list[list[float]]) -> None:
        self.script = iter(script)

    def batches(self, rows: list[np.ndarray], view: int | None) -> Any:
        if view is not None:
            return iter([torch.zeros(len(batch), 1) for batch in rows])
        logits = next(self.script)
        return iter([torch.tensor(logits)[:, None]])


def scripted_fit(
    tmp_path: Path, values: dict[str, Any], script: list[list[float]], patience: int, last: nn.Module | None = None
) -> tuple[Any, int]:
    """Fit a head that passes its input through, on two validation images: one HEM, one ALL."""
    task = passing_on(values, last or Still())
    with Live(str(tmp_path), dvcyaml=None, save_dvc_exp=False) as live:
        stage = Stage("head", task.tail, Scripted(script), Head(epochs=len(script), patience=patience))
        best = fit(task, stage, Curves(live))
        return best, live.step


def passing_on(values: dict[str, Any], last: nn.Module) -> Task:
    head = nn.Linear(1, 1)
    nn.init.ones_(head.weight)
    nn.init.zeros_(head.bias)
    head.requires_grad_(False)
    return Task(
        params=Params.model_validate(values), member=Member("0.001", 0), tail=nn.Sequential(head, last),
        label=np.array([0, 1, 0, 1]), train_rows=np.array([0, 1]), validation_rows=np.array([2, 3]),
        device=torch.device("cpu"),
    )  # fmt: skip


class Still(nn.Module):
    """A parameter for the optimiser that changes no output."""

    def __init__(self) -> None:
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 0 * self.nothing


class Steep(Still):
    """The same, but with an infinite gradient."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * (1 + self.nothing.sqrt())


class Clamped(Still):
    """The same, but with a weight that becomes infinite where no output shows it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.nothing.data.fill_(torch.inf)
        return x + 0 * self.nothing.clamp(max=6)


RIGHT, SURER, WRONG = [-1.0, 1.0], [-2.0, 2.0], [1.0, 1.0]


def test_the_best_epoch_is_the_most_accurate_one(tmp_path: Path, values: dict[str, Any]) -> None:
    best, _ = scripted_fit(tmp_path, values, [WRONG, RIGHT, WRONG], patience=10)
    assert (best.epoch, best.accuracy) == (2, 1.0)


def test_equal_accuracies_go_to_the_lower_loss_then_to_the_earlier_epoch(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    best, _ = scripted_fit(tmp_path, values, [RIGHT, SURER, SURER, RIGHT], patience=10)
    assert best.epoch == 2


def test_training_stops_after_patience_epochs_without_a_better_one(tmp_path: Path, values: dict[str, Any]) -> None:
    _, steps = scripted_fit(tmp_path, values, [RIGHT, WRONG, WRONG, SURER], patience=2)
    assert steps == 3


@pytest.mark.parametrize(("monitor", "epochs"), [("accuracy", 3), ("loss", 5)])
def test_training_stops_by_the_measure_in_monitor_and_keeps_the_most_accurate_epoch(
    tmp_path: Path, values: dict[str, Any], monitor: str, epochs: int
) -> None:
    values["train"]["monitor"] = monitor
    surer_but_wrong, worse = [0.05, 9.0], [0.1, 9.0]
    script = [[-0.1, 0.1], worse, surer_but_wrong, worse, worse, worse]
    best, steps = scripted_fit(tmp_path, values, script, patience=2)
    assert (steps, best.epoch, best.accuracy) == (epochs, 1, 1.0)


def test_a_nonfinite_loss_stops_training_and_keeps_the_best_epoch_before(
    tmp_path: Path, values: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    best, steps = scripted_fit(tmp_path, values, [RIGHT, [math.nan, math.nan], SURER], patience=10)
    assert (best.epoch, best.diverged, steps) == (1, True, 2)
    warning = capsys.readouterr().err
    assert "LR 0.001, fold 0: after epoch 2 of head the loss is" in warning
    assert "training stopped, and epoch 1 of head is kept" in warning


@pytest.mark.parametrize("first", [[math.inf, -math.inf], [math.nan, 1.0]])
def test_a_training_without_one_finite_loss_ends_in_an_error_and_not_in_a_model(
    tmp_path: Path, values: dict[str, Any], first: list[float]
) -> None:
    message = r"LR 0\.001, fold 0: after epoch 1 of head the loss is .*no model was saved; lower this learning rate"
    with pytest.raises(WenError, match=message) as caught:
        scripted_fit(tmp_path, values, [first, RIGHT], patience=10)
    assert "precision" not in str(caught.value)  # float32 is in use already
    half = Convolutions(Still(), dtype=torch.bfloat16)
    with pytest.raises(WenError, match=r"lower this learning rate .* or set compute\.precision: float32"):
        scripted_fit(tmp_path, values, [first, RIGHT], patience=10, last=half)


def test_a_weight_that_overflows_behind_a_finite_loss_stops_training(tmp_path: Path, values: dict[str, Any]) -> None:
    with pytest.raises(WenError, match=r"after epoch 1 of head a weight overflows: 1\.nothing holds infinite numbers"):
        scripted_fit(tmp_path, values, [RIGHT, RIGHT], patience=10, last=Clamped())


def test_an_epoch_without_a_step_is_never_the_best(tmp_path: Path, values: dict[str, Any]) -> None:
    """Each of few steps is left out, as its gradients are infinite in float16: nothing was learnt."""
    steep = Convolutions(Steep(), dtype=torch.float16)
    with pytest.raises(WenError, match="after epoch 3 of head no step has finite gradients in float16"):
        scripted_fit(tmp_path, values, 3 * [RIGHT], patience=10, last=steep)


def test_an_epoch_without_a_step_is_never_the_best_if_patience_ends_first(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    steep = Convolutions(Steep(), dtype=torch.float16)
    with pytest.raises(WenError, match="after epoch 2 of head no step has finite gradients in float16"):
        scripted_fit(tmp_path, values, 5 * [RIGHT], patience=2, last=steep)


def test_gradients_that_always_overflow_float16_stop_training(tmp_path: Path, values: dict[str, Any]) -> None:
    steep = Convolutions(Steep(), dtype=torch.float16)
    message = "after epoch 17 of head no step has finite gradients in float16"  # 2^16 halved 17 times is below 1
    with pytest.raises(WenError, match=message):
        scripted_fit(tmp_path, values, 20 * [RIGHT], patience=30, last=steep)


def of_both_stages(
    tmp_path: Path, values: dict[str, Any], first: list[list[float]], second: list[list[float]], keep: str
) -> tuple[BestEpoch, int]:
    """Fit stage 1, then stage 2 with a patience of 2; also how many epochs stage 2 ran."""
    task = passing_on(values, Still())
    options = Finetune.model_validate({"epochs": len(second), "patience": 2, "keep": keep, "unfreeze_from": "auto"})
    with Live(str(tmp_path), dvcyaml=None, save_dvc_exp=False) as live:
        curves = Curves(live)
        best = fit(task, Stage("head", task.tail, Scripted(first), Head(epochs=len(first), patience=9)), curves)
        best = fit(task, Stage("finetune", task.tail, Scripted(second), options, keep == "always"), curves, best)
        return best, live.step - len(first)


@pytest.mark.parametrize(
    ("second", "best", "always"),
    [
        ([WRONG, WRONG], ("head", 2), ("finetune", 1)),
        ([SURER, RIGHT], ("finetune", 1), ("finetune", 1)),
        ([RIGHT, WRONG], ("head", 2), ("finetune", 1)),  # a tie goes to the earlier epoch
        ([WRONG, RIGHT], ("head", 2), ("finetune", 2)),
        ([], ("head", 2), ("head", 2)),
    ],
    ids=["stage 2 is worse", "stage 2 is better", "stage 2 is equal", "stage 2 catches up", "there is no stage 2"],
)
def test_the_best_epoch_of_both_stages_is_kept_or_always_that_of_stage_2(
    tmp_path: Path, values: dict[str, Any], second: list[list[float]], best: tuple[str, int], always: tuple[str, int]
) -> None:
    for keep, expected in (("best", best), ("always", always)):
        kept, _ = of_both_stages(tmp_path / keep, values, [WRONG, RIGHT], second, keep)
        assert (kept.stage, kept.epoch) == expected


def test_patience_counts_from_the_epoch_that_is_kept(tmp_path: Path, values: dict[str, Any]) -> None:
    second = [WRONG, RIGHT, WRONG, WRONG, SURER]
    assert of_both_stages(tmp_path / "best", values, [RIGHT], second, "best")[1] == 2
    assert of_both_stages(tmp_path / "always", values, [RIGHT], second, "always")[1] == 4


@pytest.mark.parametrize("keep", ["best", "always"])
def test_a_stage_2_that_diverges_at_once_keeps_stage_1_and_says_so(
    tmp_path: Path, values: dict[str, Any], keep: str, capsys: pytest.CaptureFixture[str]
) -> None:
    best, _ = of_both_stages(tmp_path, values, [RIGHT], [[math.nan, math.nan], SURER], keep)
    assert (best.stage, best.epoch, best.diverged) == ("head", 1, True)
    assert "after epoch 1 of finetune the loss is" in (warning := capsys.readouterr().err)
    assert "training stopped, and epoch 1 of head is kept" in warning


def test_a_stage_2_that_diverges_later_keeps_its_own_best_epoch_if_always(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    best, _ = of_both_stages(tmp_path, values, [RIGHT], [WRONG, [math.nan, math.nan]], "always")
    assert (best.stage, best.epoch, best.diverged) == ("finetune", 1, True)


FEATURES = torch.randn(30, 4, generator=torch.Generator().manual_seed(2))


class Stored:
    """The same features for each view of an image, but for a shift, and without one for the image itself."""

    def batches(self, rows: list[np.ndarray], view: int | None) -> Any:
        return (FEATURES[batch] + (0 if view is None else view / 5) for batch in rows)


class Interrupted(Exception):
    pass


class Stopping(Curves):
    """Fails when the metrics of an epoch arrive; a later one never does."""

    def __init__(self, live: Live, at: int) -> None:
        super().__init__(live)
        self.at = at

    def log(self, row: dict[str, float]) -> None:
        if len(self.rows) + 1 == self.at:
            raise Interrupted
        super().log(row)


def interruptible(
    folder: Path,
    values: dict[str, Any],
    stages: list[str],
    at: int = 99,
    dtype: torch.dtype = torch.float32,
    dropout: float = 0.0,
) -> tuple[list[Any], BestEpoch]:
    """Fit a network of which stage 1 trains all but the first layer; all metrics so far, and the best epoch."""
    values["train"] = {"batch_size": 4, "schedule": "cosine", "ema": 0.6}
    values["augment"]["views"] = 2
    torch.manual_seed(21)
    tail = nn.Sequential(
        nn.Linear(4, 4), Convolutions(nn.BatchNorm1d(4), nn.Dropout(dropout), dtype=dtype), nn.Linear(4, 1)
    )
    task = Task(
        params=Params.model_validate(values), member=Member("0.02", 1), tail=tail, label=np.arange(30) % 3 % 2,
        train_rows=np.arange(18), validation_rows=np.arange(18, 30), device=torch.device("cpu"),
    )  # fmt: skip
    checkpoint, best = Checkpoint(folder / "checkpoint", "same"), None
    saved = checkpoint.load()
    tuned = Finetune.model_validate({"epochs": 3, "patience": 3, "keep": "best", "unfreeze_from": "auto"})
    module = {"head": (tail[1:], Head(epochs=3, patience=3)), "finetune": (tail, tuned)}
    with Live(str(folder / "live"), dvcyaml=None, save_dvc_exp=False) as live:
        curves = Stopping(live, at)
        curves.rows += saved.rows if saved else []
        for name in stages:
            trained, options = module[name]
            best = fit(
                task, Stage(name, trained, Stored(), options, ignores_earlier_best=True), curves, best, checkpoint
            )
    assert best is not None
    return curves.rows, best


@pytest.mark.parametrize(
    ("stages", "dtype", "dropout"),
    [
        (["head"], torch.float32, 0.0),
        (["head"], torch.float16, 0.0),
        (["head", "finetune"], torch.float32, 0.0),
        (["head", "finetune"], torch.float32, 0.2),
    ],
)
def test_an_interrupted_training_ends_like_an_uninterrupted_one(
    tmp_path: Path, values: dict[str, Any], stages: list[str], dtype: torch.dtype, dropout: float
) -> None:
    rows, best = interruptible(tmp_path / "uninterrupted", values, stages, dtype=dtype, dropout=dropout)
    assert [row["stage"] for row in rows] == [1] * 3 + [2] * (len(rows) - 3)
    assert best.epoch < 3  # which is known to a later run from the checkpoint alone
    for at in (len(rows) - 1, len(rows)):
        with pytest.raises(Interrupted):
            interruptible(tmp_path / str(at), values, stages, at, dtype, dropout)
        saved = Checkpoint(tmp_path / str(at) / "checkpoint", "same").load()
        assert saved is not None
        assert bool(saved.scaler) == (dtype == torch.float16)
        resumed, found = interruptible(tmp_path / str(at), values, stages, dtype=dtype, dropout=dropout)
        assert resumed == rows
        assert found.figures == best.figures
        assert found.weights.keys() == best.weights.keys()
        for key, value in best.weights.items():
            assert torch.equal(found.weights[key], value), key


def test_the_weights_kept_are_those_of_the_best_epoch_and_frozen_ones_stay(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    rows, best = interruptible(tmp_path, values, ["head"])
    first = nn.Linear(4, 4)
    torch.manual_seed(21)
    first.reset_parameters()
    assert torch.equal(best.weights["0.weight"], first.weight)
    tail = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.BatchNorm1d(4)), nn.Linear(4, 1)).eval()
    tail.load_state_dict(best.weights)
    score, label = tail[1:](FEATURES[18:])[:, 0].double(), torch.from_numpy(np.arange(18, 30) % 3 % 2)
    loss = nn.functional.binary_cross_entropy_with_logits(score, label.double())
    accuracy = ((score >= 0) == (label == 1)).double().mean()
    row = max(rows, key=lambda row: (row["accuracy/validation"], -row["loss/validation"]))
    assert (best.stage, best.epoch, best.diverged) == ("head", rows.index(row) + 1, False)
    assert (best.accuracy, best.loss) == (row["accuracy/validation"], row["loss/validation"])
    assert (accuracy.item(), loss.item()) == (pytest.approx(best.accuracy), pytest.approx(best.loss))
    assert best.figures == {
        "stage": "head", "epoch": best.epoch, "accuracy": best.accuracy, "loss": best.loss, "diverged": False,
    }  # fmt: skip


def test_a_finished_stage_keeps_only_the_weights_of_its_best_epoch(tmp_path: Path, values: dict[str, Any]) -> None:
    rows, best = interruptible(tmp_path, values, ["head"])
    saved = Checkpoint(tmp_path / "checkpoint", "same").load()
    assert saved is not None
    of_batches = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    trained = {*(f"1.0.{name}" for name in of_batches), "2.weight", "2.bias"}
    assert set(saved.tensors) == {f"best.{key}" for key in trained}
    assert (saved.stage, saved.epoch, saved.waited) == ("head", len(rows), len(rows) - best.epoch)


def test_a_training_without_an_epoch_is_refused(tmp_path: Path, values: dict[str, Any]) -> None:
    task = passing_on(values, Still())
    none = Finetune.model_validate({"epochs": 0, "patience": 2, "keep": "best", "unfreeze_from": "auto"})
    with (
        Live(str(tmp_path), dvcyaml=None, save_dvc_exp=False) as live,
        pytest.raises(ValueError, match="a first stage needs at least one epoch"),
    ):
        fit(task, Stage("finetune", task.tail, Scripted([]), none), Curves(live))


def test_each_epoch_trains_on_the_next_view_and_validates_without_one(
    tmp_path: Path, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int | None] = []
    batches = Stored.batches
    monkeypatch.setattr(Stored, "batches", lambda self, rows, view: asked.append(view) or batches(self, rows, view))
    interruptible(tmp_path, values, ["head"])
    assert [(type(view), view) for view in asked if view is not None] == [(int, 0), (int, 1), (int, 0)]
    assert asked[1::2] == [None] * 3


class Drawing(Still):
    """The same, but with a random number for each training batch, as dropout draws them."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[float] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.drawn.append(torch.rand(1).item())
        return super().forward(x)


@pytest.mark.parametrize("rate", ["0.001", "0.0001"])
def test_what_dropout_draws_depends_on_seed_fold_stage_and_epoch_alone(
    tmp_path: Path, values: dict[str, Any], rate: str
) -> None:
    last = Drawing()
    task = replace(passing_on(values | {"seed": 7}, last), member=Member(rate, 2))
    with Live(str(tmp_path), dvcyaml=None, save_dvc_exp=False) as live:
        fit(task, Stage("finetune", task.tail, Scripted([RIGHT] * 3), Head(epochs=3, patience=3)), Curves(live))
    seeds = [seed_for(7, 2, "finetune", epoch, what="dropout") for epoch in range(3)]
    assert last.drawn == [torch.rand(1, generator=torch.Generator().manual_seed(seed)).item() for seed in seeds]


def test_the_progress_bar_gets_each_epoch_and_the_best_accuracy(
    tmp_path: Path, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []

    @contextmanager
    def bar(position: Position, *about: Any) -> Iterator[Callable[[str], None]]:
        shown.append((position.title, *about))
        yield shown.append

    monkeypatch.setattr(fitting, "epoch_bar", bar)
    scripted_fit(tmp_path, values, [WRONG, RIGHT, WRONG], patience=9)
    assert shown.pop(0) == ("LR 0.001, fold 0", "head", 3, 0)
    assert [text.partition("validation loss ")[2] for text in shown] == [
        "0.813, accuracy 0.500\nbest validation accuracy so far: 0.500",
        "0.313, accuracy 1.000\nbest validation accuracy so far: 1.000",
        "0.813, accuracy 0.500\nbest validation accuracy so far: 1.000",
    ]
    assert all(text.startswith("training loss 0.693, accuracy 0.500; ") for text in shown)
    folder = tmp_path / "resumed"
    with pytest.raises(Interrupted):
        interruptible(folder, values, ["head"], at=3)
    interruptible(folder, values, ["head"])
    assert shown[-2] == ("LR 0.02, fold 1", "head", 3, 2)
