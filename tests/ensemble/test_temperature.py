import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.metrics import log_loss

from wen.config.member import Member
from wen.ensemble.combined import ensemble
from wen.ensemble.temperature import HIGHEST, LOWEST, fit, scale
from wen.ensemble.weights import SCHEMES
from wen.members.predictions import Predictions

away = st.floats(0, 1).filter(lambda p: p == 0.5 or abs(p - 0.5) > 1e-9)
"""Not next to 0.5, where rounding decides."""
temperatures = st.floats(LOWEST, HIGHEST)


def overconfident(n: int = 400, by: float = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    score = rng.normal(0, 2, n)
    return (rng.random(n) < expit(score)).astype(int), expit(by * score)


@pytest.mark.parametrize("by", [0.3, 1, 3])
def test_the_fitted_temperature_is_the_best_of_a_grid(by: float) -> None:
    label, probability = overconfident(by=by)
    low, high = LOWEST, HIGHEST
    for _ in range(3):  # each grid between the neighbours of the last one's best: the loss has one minimum
        grid = np.geomspace(low, high, 41)
        k = int(np.argmin([log_loss(label, expit(logit(probability) / at)) for at in grid]))
        low, high = grid[max(k - 1, 0)], grid[min(k + 1, 40)]
    assert fit(label, probability) == pytest.approx(grid[k], rel=2e-3)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_certain_error_has_the_clipped_logit(mirrored: bool) -> None:
    label, probability = overconfident()
    probability[np.flatnonzero(label)[0]] = 0
    grid = np.geomspace(1, 10, 201)
    logits = logit(probability.clip(2.0**-52, 1 - 2.0**-52))
    expected = grid[np.argmin([log_loss(label, expit(logits / at)) for at in grid])]
    case = (1 - label, 1 - probability) if mirrored else (label, probability)
    assert fit(*case) == pytest.approx(expected, rel=6e-3)


def test_the_fitted_temperature_restores_logits_that_were_too_large() -> None:
    assert fit(*overconfident(20_000)) == pytest.approx(3, rel=0.05)


@given(st.lists(away, min_size=1, max_size=10), temperatures)
@pytest.mark.filterwarnings("error")
def test_a_temperature_keeps_every_decision_and_the_order(values: list[float], temperature: float) -> None:
    probability = np.sort(values)
    scaled = scale(probability, temperature)
    assert ((scaled >= 0.5) == (probability >= 0.5)).all()
    assert (np.diff(scaled) >= -1e-15).all()
    assert ((scaled >= 0) & (scaled <= 1)).all()


@given(st.lists(st.floats(0.001, 0.999), min_size=1, max_size=10), temperatures)
def test_scaling_divides_the_logit(values: list[float], temperature: float) -> None:
    probability = np.array(values)
    np.testing.assert_allclose(scale(probability, temperature), expit(logit(probability) / temperature), rtol=1e-9)


def test_probabilities_rounded_to_0_or_1_are_scaled_as_they_were_fitted() -> None:
    """A float64 has no probability between 1 - 2^-53 and 1, so logits above 36.7 give 1; those below -745 give 0."""
    label, probability = np.repeat([0, 1, 0, 1], [9, 9, 1, 1]), np.repeat([0.0, 1.0, 1.0, 0.0], [9, 9, 1, 1])
    scaled = scale(probability, fit(label, probability))
    assert log_loss(label, scaled) < 0.4 < log_loss(label, probability)
    np.testing.assert_allclose(scaled[label != probability].sum(), 1)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10))
def test_a_temperature_of_1_changes_no_probability(values: list[float]) -> None:
    assert scale(np.array(values), 1.0).tolist() == values


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("label", [[0, 1, 1], [1, 1, 1], [0, 0, 0]])
@pytest.mark.parametrize("probability", [[0.0, 1.0, 1.0], [1.0, 1.0, 1.0], [0.5, 0.5, 0.5], [0.2, 0.9, 0.6]])
def test_every_validation_fold_gives_a_temperature_within_the_bounds(
    label: list[int], probability: list[float]
) -> None:
    found = fit(np.array(label), np.array(probability))
    assert LOWEST <= found <= HIGHEST
    right = [(p >= 0.5) == (kind == 1) for p, kind in zip(probability, label, strict=True)]
    if set(probability) == {0.5}:
        assert found == 1
    elif all(right):
        assert found == pytest.approx(LOWEST)
    elif not any(right):
        assert found == pytest.approx(HIGHEST)


def made_up(fold: int, by: float) -> Predictions:
    label, probability = overconfident(by=by, seed=fold)
    ids = np.arange(len(label)).astype(str)
    return Predictions(
        Member("0.001", fold), validation_id=ids, validation_label=label, validation_probability=probability,
        test_id=ids, test_label=label, test_probability=probability[::-1], test_map=np.zeros((len(ids), 0, 0)),
        diverged=np.array(False), stage=np.array("head"), epoch=np.array(1), computed=np.array(["", ""]),
    )  # fmt: skip


@pytest.mark.parametrize("scheme", SCHEMES)
def test_calibrated_ensembles_combine_scaled_probabilities_by_the_same_weights(scheme: str) -> None:
    members = [made_up(0, 4), made_up(1, 0.5)]
    plain, scaled = (ensemble(members, scheme, calibration) for calibration in ("none", "temperature"))
    assert scaled.weight.tolist() == plain.weight.tolist()
    assert plain.temperature.tolist() == [1, 1]
    first, second = (expit(logit(m.test_probability) / at) for m, at in zip(members, scaled.temperature, strict=True))
    np.testing.assert_allclose(scaled.probability, scaled.weight[0] * first + scaled.weight[1] * second)
    expected = (plain.weight[:, None] * np.stack([m.test_probability for m in members])).sum(axis=0)
    assert plain.probability.tolist() == expected.tolist()


@given(st.lists(st.tuples(st.integers(0, 1), away), min_size=2, max_size=20), temperatures)
@pytest.mark.parametrize("scheme", ["accuracy", "f1", "kappa"])
def test_no_score_of_decisions_depends_on_a_temperature(
    scheme: str, rows: list[tuple[int, float]], temperature: float
) -> None:
    label, probability = (np.array(column) for column in zip(*rows, strict=True))
    assert SCHEMES[scheme](label, scale(probability, temperature)) == SCHEMES[scheme](label, probability)
