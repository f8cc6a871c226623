from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wen.data.held_out import EVEN, EXHAUSTIVE, NEAR, choose

Groups = list[tuple[int, int]]


def possible(counts: Groups, left: int) -> list[tuple[bool, ...]]:
    """Every set of groups with both classes inside that leaves enough of each outside."""
    found = []
    for chosen in product([False, True], repeat=len(counts)):
        inside = [count for count, is_in in zip(counts, chosen, strict=True) if is_in]
        outside = [count for count, is_in in zip(counts, chosen, strict=True) if not is_in]
        if all(any(count[c] for count in inside) and sum(count[c] > 0 for count in outside) >= left for c in (0, 1)):
            found.append(chosen)
    return found


def missed(counts: Groups, chosen: tuple[bool, ...], share: float) -> float:
    inside = sum(sum(count) for count, is_in in zip(counts, chosen, strict=True) if is_in)
    return abs(inside / sum(map(sum, counts)) - share)


def difference(counts: Groups, chosen: tuple[bool, ...]) -> float:
    one, other = (
        sum(count[c] for count, is_in in zip(counts, chosen, strict=True) if is_in) / sum(count[c] for count in counts)
        for c in (0, 1)
    )
    return abs(one - other)


def group() -> st.SearchStrategy[tuple[int, int]]:
    size = st.integers(1, 60)
    return st.one_of(st.tuples(size, st.just(0)), st.tuples(st.just(0), size), st.tuples(size, size))


@settings(deadline=None, max_examples=150)
@given(
    st.lists(group(), min_size=3, max_size=9), st.sampled_from([0.05, 0.1, 0.2, 0.3, 0.4, 0.5]),
    st.integers(1, 3), st.integers(0, 10**6),
)  # fmt: skip
def test_with_few_groups_one_of_the_best_of_all_sets_is_chosen(
    counts: Groups, share: float, left: int, seed: int
) -> None:
    chosen = tuple(choose(np.array(counts), share, left, np.random.default_rng(seed)).tolist())
    sets = possible(counts, left)
    if not sets:
        assert not any(chosen)
        return
    assert chosen in sets
    least = max(min(missed(counts, candidate, share) for candidate in sets), NEAR)
    assert missed(counts, chosen, share) <= least + 1e-9
    near = [candidate for candidate in sets if missed(counts, candidate, share) <= least]
    assert difference(counts, chosen) <= min(difference(counts, candidate) for candidate in near) + EVEN + 1e-9


@pytest.mark.parametrize("share", [0.05, 0.2, 0.3, 0.4, 0.5])
@pytest.mark.parametrize("groups", [EXHAUSTIVE + 1, 20, 40, 100, 300])
def test_with_many_groups_the_share_is_as_near_as_exact_subset_sums_allow(groups: int, share: float) -> None:
    for seed in range(5):
        rng = np.random.default_rng([seed, groups])
        sizes = np.ceil(rng.lognormal(3.5, 1, groups)).astype(int)
        of_one = rng.permutation(np.arange(groups) % 5 < 3)
        counts = np.stack([sizes * of_one, sizes * ~of_one], axis=1)
        chosen = choose(counts, share, 5, np.random.default_rng(seed))
        sums = 1
        for size in sizes.tolist():
            sums |= sums << size
        best = min(abs(total / sizes.sum() - share) for total in range(sizes.sum() + 1) if sums >> total & 1)
        assert abs(sizes[chosen].sum() / sizes.sum() - share) <= max(best, NEAR) + 1e-9
        assert all((counts[chosen] > 0).sum(axis=0) >= 1)
        assert all((counts[~chosen] > 0).sum(axis=0) >= 5)


def test_other_seeds_choose_other_sets_where_many_are_equally_good() -> None:
    counts = np.array([(10, 0)] * 10 + [(0, 10)] * 10)
    drawn = [choose(counts, 0.2, 5, np.random.default_rng(seed)) for seed in range(100)]
    assert len({tuple(choice) for choice in drawn}) > 75
    assert np.allclose(np.mean(drawn, axis=0), 0.2, atol=0.1)
