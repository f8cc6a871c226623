import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from wen.ensemble.selection import JUDGED_BY, champion, mean_ranks


def row(accuracy: float, precision: float, recall: float, f1: float, kappa: float) -> dict[str, float]:
    return {"accuracy": accuracy, "precision": precision, "recall": recall, "f1": f1, "kappa": kappa}


def test_the_lowest_mean_rank_wins_though_another_is_best_in_two_metrics() -> None:
    # Ranks by hand: first 1+3+3+1+3 = 11, second 2+1+1+2+1 = 7, third 3+2+2+3+2 = 12.
    rows = [row(0.9, 0.7, 0.7, 0.9, 0.5), row(0.8, 0.9, 0.9, 0.8, 0.7), row(0.7, 0.8, 0.8, 0.7, 0.6)]
    assert champion(rows) == 1


def test_equal_mean_ranks_are_decided_by_kappa() -> None:
    # 1+2+1+2+1.. against 2+1+2+1+..: both sum to 7.5 with the tie in accuracy.
    rows = [row(0.8, 0.9, 0.9, 0.7, 0.5), row(0.8, 0.7, 0.7, 0.9, 0.6)]
    assert champion(rows) == 1


def test_full_ties_go_to_the_earlier_fold() -> None:
    assert champion([row(0.8, 0.8, 0.8, 0.8, 0.6)] * 3) == 0


@given(st.lists(st.tuples(*[st.integers(0, 3)] * 5), min_size=1, max_size=6))
def test_the_champion_has_the_best_mean_rank_of_those_that_scipy_ranks(scores: list[tuple[int, ...]]) -> None:
    rows = [row(*(value / 3 for value in values)) for values in scores]
    reference = np.mean([rankdata([-r[metric] for r in rows]) for metric in JUDGED_BY], axis=0)
    assert mean_ranks(rows) == pytest.approx(reference)
    best = [k for k, value in enumerate(reference) if value <= reference.min() + 1e-9]
    highest = max(rows[k]["kappa"] for k in best)
    assert champion(rows) == next(k for k in best if rows[k]["kappa"] == highest)
