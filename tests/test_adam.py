"""Adam as the thesis writes it, (2.11) to (2.17), and Adam as it is meant; docs/ERRATA.md has these numbers."""

import math

import pytest
import torch

RATE, STEPS = 0.001, 1610


def losses(negated: bool, epsilon: float) -> list[float]:
    """Train a weight and a bias from 0 on one ALL cell (x = 1, t = 1); the binary cross entropy (2.8) at each step.

    ``negated`` takes the gradient of (2.13) and (2.14), else that of (2.8); ``epsilon`` is added to the denominator.
    As x is 1, weight and bias stay equal, so one number stands for both.
    """
    weight = first = second = 0.0
    found = []
    for step in range(1, STEPS + 1):
        y = 1 / (1 + math.exp(-2 * weight))
        found.append(-math.log(y))
        gradient = (1 - y) * y * (1 - y) if negated else y - 1  # (2.13); (2.8) derived
        first = 0.9 * first + 0.1 * gradient  # (2.11)
        second = 0.999 * second + 0.001 * gradient**2  # (2.12)
        unbiased, scale = first / (1 - 0.9**step), second / (1 - 0.999**step)  # (2.15), (2.16)
        weight -= RATE * unbiased / (math.sqrt(scale) + epsilon)  # (2.17)
    return found


def test_with_the_update_as_the_thesis_writes_it_the_loss_climbs_from_0_693_to_2_77() -> None:
    found = losses(negated=True, epsilon=-1e-8)
    assert found == sorted(found)
    assert found[0] == pytest.approx(0.693, abs=5e-4)
    assert found[-1] == pytest.approx(2.77, abs=5e-3)


def test_with_the_gradient_of_its_loss_the_loss_falls() -> None:
    found = losses(negated=False, epsilon=1e-8)
    assert found == sorted(found, reverse=True)
    assert found[-1] == pytest.approx(0.11, abs=5e-3)


def test_the_loss_climbs_by_the_sign_of_the_gradient_and_not_by_that_of_epsilon() -> None:
    assert losses(negated=True, epsilon=1e-8)[-1] == pytest.approx(losses(negated=True, epsilon=-1e-8)[-1], rel=1e-5)


def test_the_correct_update_is_that_of_torch() -> None:
    weights = torch.zeros(2, dtype=torch.float64, requires_grad=True)  # weight and bias
    adam = torch.optim.Adam([weights], lr=RATE, betas=(0.9, 0.999), eps=1e-8)
    for expected in losses(negated=False, epsilon=1e-8)[:50]:
        adam.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(weights.sum(), torch.tensor(1.0).double())
        assert loss.item() == pytest.approx(expected, rel=1e-9)
        loss.backward()
        adam.step()
