"""One pass over images: its loss, its accuracy and its draws, against scikit-learn, NumPy and the formulas."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.metrics import accuracy_score, log_loss
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

from wen.config.member import Member
from wen.config.params import Params
from wen.config.seeds import seed_for
from wen.errors import WenError
from wen.network.cut import Convolutions
from wen.network.steps import Task, Trainer, class_weights, evaluate, initialise, logits, shuffled, smoothed

LABEL = np.array([0, 1, 1, 0, 1, 1, 1, 0, 1, 1])
SCORE = np.array([-1.5, 0.0, 2.0, 0.5, -0.3, 0.0, 0.2, -0.1, 0.0, 2.0])
"""The logit of each image; of exactly 0, it counts as positive."""
TRAIN, VALIDATION = np.array([8, 0, 1, 3, 4, 6, 2]), np.array([9, 5, 7])


class Scores:
    """The logit of each image as the network's input; remembers the view."""

    def batches(self, rows: list[np.ndarray], view: int | None) -> Any:
        self.view, self.sizes = view, [len(batch) for batch in rows]
        return (torch.tensor(SCORE[batch])[:, None].float() for batch in rows)


class Shifted(nn.Module):
    """Adds a trainable number, which is 0 at first."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.was_training = self.training
        return x + self.shift


def task_of(values: dict[str, Any], **train: float) -> Task:
    values["train"] = {"batch_size": 2} | train
    return Task(
        params=Params.model_validate(values), member=Member("0.25", 0), tail=Shifted(), label=LABEL, train_rows=TRAIN,
        validation_rows=VALIDATION, device=torch.device("cpu"),
    )  # fmt: skip


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_a_pass_returns_the_weighted_mean_loss_and_the_accuracy_of_its_images(
    values: dict[str, Any], smoothing: float
) -> None:
    task, inputs = task_of(values, label_smoothing=smoothing), Scores()
    trainer = Trainer(task, task.tail)
    rows = [TRAIN[:3], TRAIN[3:5], TRAIN[5:]]
    loss, accuracy = trainer.run(inputs, rows, 4, rate=0.0)
    target = LABEL[TRAIN] * (1 - smoothing) + smoothing / 2
    entropy = -(target * np.log(expit(SCORE[TRAIN])) + (1 - target) * np.log(expit(-SCORE[TRAIN])))
    share = 7 / (2 * np.bincount(LABEL[TRAIN]))  # (2.38)
    assert loss == pytest.approx((share[LABEL[TRAIN]] * entropy).mean(), rel=1e-6)
    assert accuracy == pytest.approx(accuracy_score(LABEL[TRAIN], SCORE[TRAIN] >= 0))
    assert (inputs.view, inputs.sizes, task.tail.was_training) == (4, [3, 2, 2], True)
    assert task.tail.shift == 0  # at a rate of 0


def test_a_first_step_of_adam_is_the_learning_rate_times_that_of_the_schedule(values: dict[str, Any]) -> None:
    for rate, options in ((1.0, {}), (0.5, {"rate": 0.5})):
        task = task_of(values)
        Trainer(task, task.tail).run(Scores(), [TRAIN], 0, **options)
        assert abs(task.tail.shift.item()) == pytest.approx(0.25 * rate, rel=1e-4)


def test_validation_loss_and_accuracy_are_scikit_learns_without_class_weights(values: dict[str, Any]) -> None:
    task, inputs = task_of(values), Scores()
    loss, accuracy = evaluate(task.tail, inputs, task)
    assert loss == pytest.approx(log_loss(LABEL[VALIDATION], expit(SCORE[VALIDATION])), rel=1e-6)
    assert accuracy == pytest.approx(accuracy_score(LABEL[VALIDATION], SCORE[VALIDATION] >= 0))
    assert (inputs.view, inputs.sizes, task.tail.was_training) == (None, [3], False)  # no batch of one


@pytest.mark.parametrize("view", [None, 3])
def test_logits_stand_in_the_order_of_the_rows(view: int | None) -> None:
    inputs = Scores()
    found = logits(Shifted(), inputs, TRAIN, 3, *[view] * (view is not None))
    np.testing.assert_allclose(found.numpy(), SCORE[TRAIN], rtol=1e-6)
    assert found.dtype == torch.float64
    assert not found.requires_grad
    assert inputs.view == view
    assert max(inputs.sizes) == 3


def test_class_weights_are_scikit_learns_balanced_ones_and_need_both_classes() -> None:
    expected = compute_class_weight("balanced", classes=np.array([0, 1]), y=LABEL)
    np.testing.assert_allclose(class_weights(LABEL), expected)
    for label, absent in ((0, "positive"), (1, "negative")):
        with pytest.raises(WenError, match=rf"^data/split\.csv: no {absent} image to train on; run `dvc repro split`$"):
            class_weights(np.full(3, label))


def test_a_new_head_is_drawn_for_its_fold_as_keras_draws_dense_layers() -> None:
    heads = []
    for seed, fold in ((1, 0), (1, 1), (2, 0)):
        head = nn.Linear(50, 1)
        initialise(head, seed, fold)
        generator = torch.Generator().manual_seed(seed_for(seed, fold, what="new head"))
        reach = np.sqrt(6 / 51)  # Glorot's, for 50 inputs and 1 output
        expected = torch.empty(1, 50).uniform_(-reach, reach, generator=generator)
        torch.testing.assert_close(head.weight, expected, rtol=1e-6, atol=1e-7)
        assert not head.bias.any()
        heads.append(head.weight)
    assert not torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_the_order_of_an_epoch_is_numpys_by_seed_fold_stage_and_epoch() -> None:
    rows = np.arange(30) + 5
    found = shuffled(rows, 1, 2, "head", 3)
    np.testing.assert_array_equal(
        found, np.random.default_rng(seed_for(1, 2, "head", 3, what="order")).permutation(rows)
    )
    for other in ((2, 2, "head", 3), (1, 3, "head", 3), (1, 2, "finetune", 3), (1, 2, "head", 4)):
        assert not np.array_equal(found, shuffled(rows, *other))


def test_without_smoothing_a_label_stays_as_it_is() -> None:
    label = torch.tensor([0.0, 1.0])
    assert smoothed(label, 0) is label


def test_only_float16_scales_gradients_and_can_lack_a_step(values: dict[str, Any]) -> None:
    task = task_of(values)
    for dtype, half in ((torch.float32, False), (torch.bfloat16, False), (torch.float16, True)):
        module = Convolutions(Shifted(), dtype=dtype)
        trainer = Trainer(task, module)
        assert trainer.scaler.is_enabled() == half
        assert trainer.took_a_step == (not half)
        trainer.run(Scores(), [TRAIN], 0)
        assert trainer.took_a_step


def test_without_a_moving_average_the_weights_are_evaluated_as_they_are(values: dict[str, Any]) -> None:
    task = task_of(values)
    trainer = Trainer(task, task.tail)
    trainer.run(Scores(), [TRAIN], 0)
    shift = task.tail.shift.item()
    with trainer.evaluation_weights():
        assert task.tail.shift.item() == shift
