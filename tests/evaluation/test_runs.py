"""The test of learning rates over runs against analyses of variance by hand and by statsmodels, and by simulation."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import chi2, f, ncf, norm, t, ttest_rel
from statsmodels.stats.anova import AnovaRM

from wen.evaluation.runs import Runs, compare_runs
from wen.evaluation.statistics import compare_several


def simulated(
    rng: np.random.Generator, deviation: float, images: int, effect: tuple[float, ...] = (0.0, 0.0, 0.0),
    folds: int = 5, habit: float = 0.0,
) -> np.ndarray:  # fmt: skip
    """Decisions of runs whose accuracies spread by ``deviation``; so much of their variance is a rate's at an image."""
    rates = len(effect)
    accuracy = 0.85 + np.array(effect)[:, None] + deviation * rng.normal(size=(rates, folds))
    trouble = np.sqrt(0.3) * rng.normal(size=images) + np.sqrt(habit) * rng.normal(size=(rates, 1, images))
    noise = np.sqrt(0.7 - habit) * rng.normal(size=(rates, folds, images))
    return (norm.ppf(accuracy)[:, :, None] > trouble + noise).astype(int)


def on_common_images(wrong: np.ndarray, images: int) -> np.ndarray:
    """Runs that are wrong on so many of the first images, of shape (k, r, images)."""
    return (np.arange(images) >= wrong[:, :, None]).astype(int)


def test_mean_squares_are_those_worked_out_by_hand() -> None:
    right = on_common_images(np.array([[250, 250, 0], [250, 250, 500]]), 1000)
    runs = compare_runs(right, np.arange(1000))
    # Accuracies .75 .75 1 and .75 .75 .5 have means .8333 and .6667; the differences are 0, 0 and .5.
    assert runs.difference == pytest.approx(1 / 6)
    assert runs.deviation**2 == pytest.approx(1 / 24)  # half the variance of the differences
    assert runs.variance == pytest.approx(1 / 24 + _images_part_by_brute_force(right))
    assert runs.statistic == pytest.approx(3 * (1 / 6) ** 2 / 2 / runs.variance)
    assert runs.p == pytest.approx(f.sf(runs.statistic, *runs.df))


def _covariance(right: np.ndarray, unit: np.ndarray | None) -> np.ndarray:
    """Covariance of the runs' accuracies, of sums over units (by default images), for their effective number."""
    n = right.shape[2]
    unit = np.arange(n) if unit is None else unit
    centred = (right - right.mean(axis=2, keepdims=True)) / n
    sums = np.stack([centred[:, :, unit == one].sum(axis=2) for one in set(unit)], axis=2)
    effective = n**2 / sum((unit == one).sum() ** 2 for one in set(unit))
    return np.einsum("aiu,bju->aibj", sums, sums) * effective / (effective - 1)


def _images_part_by_brute_force(right: np.ndarray, unit: np.ndarray | None = None) -> float:
    """r (Cov2 - Cov3) of Obuchowski & Rockette: mean covariance of two folds' accuracies, within less between rates."""
    k, r, _ = right.shape
    covariance = _covariance(right, unit)
    within = [covariance[a, i, a, j] for a in range(k) for i in range(r) for j in range(r) if i != j]
    between = [
        covariance[a, i, b, j] for a in range(k) for b in range(k) for i in range(r) for j in range(r)
        if a != b and i != j
    ]  # fmt: skip
    return float(r * (np.mean(within) - np.mean(between)))


def _noise_by_brute_force(right: np.ndarray, unit: np.ndarray | None = None) -> float:
    """Var - Cov1 - (Cov2 - Cov3): what images explain of the mean square between runs."""
    k, r, _ = right.shape
    covariance = _covariance(right, unit)
    one = np.mean([covariance[a, i, a, i] for a in range(k) for i in range(r)])
    cross = np.mean([covariance[a, i, b, i] for a in range(k) for b in range(k) if a != b for i in range(r)])
    return float(one - cross) - _images_part_by_brute_force(right, unit) / r


@given(arrays(int, (3, 4, 12), elements=st.integers(0, 1)))
def test_the_error_is_obuchowski_and_rockette_s(right: np.ndarray) -> None:
    assert_error(right, np.arange(12))


def assert_error(right: np.ndarray, unit: np.ndarray) -> None:
    runs = compare_runs(right, unit)
    between_runs = max(runs.deviation**2, _noise_by_brute_force(right, unit))
    expected = between_runs + max(_images_part_by_brute_force(right, unit), 0)
    assert runs.variance == pytest.approx(max(expected, 4 / 14**2))


@pytest.mark.parametrize("size", [[2] + [1] * 10, [6, 4, 2]])
def test_by_subject_the_error_is_that_of_sums_over_subjects(size: list[int]) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        assert_error(rng.integers(0, 2, (3, 4, 12)), np.arange(len(size)).repeat(size))


def test_few_runs_that_are_alike_by_chance_have_the_error_of_their_images() -> None:
    rng, by_noise = np.random.default_rng(11), 0
    for _ in range(60):
        right = (rng.random((3, 4, 60)) < 0.7).astype(int)
        runs, noise = compare_runs(right, np.arange(60)), _noise_by_brute_force(right)
        images = max(_images_part_by_brute_force(right), 0)
        by_noise += noise > runs.deviation**2
        assert runs.variance == pytest.approx(max(runs.deviation**2, noise) + images)
    assert by_noise > 10


def _df_by_brute_force(right: np.ndarray) -> tuple[float, float]:
    """Lecoutre's correction of Huynh & Feldt (1976), of the covariance of rates less their mean."""
    k, r, n = right.shape
    less_mean = right - right.mean(axis=0)
    runs = np.cov(less_mean.mean(axis=2))
    covariance = np.cov(less_mean.reshape(k * r, n)).reshape(k, r, k, r) / n
    images = r * np.mean([covariance[:, i, :, j] for i in range(r) for j in range(r) if i != j], axis=0)
    at_random = max(np.trace(runs) / (k - 1), _noise_by_brute_force(right))
    share = max(np.trace(images) / (k - 1), 0)
    freedom = (at_random + share) ** 2 / (at_random**2 / (r - 1) + share**2 / (n - 1))
    if share:
        values, vectors = np.linalg.eigh(images)
        values = np.maximum(values, 0)
        runs = runs + vectors @ np.diag(values) @ vectors.T * share * (k - 1) / values.sum()
    epsilon = np.trace(runs) ** 2 / (k - 1) / (runs**2).sum()
    above, below = (freedom + 1) * (k - 1) * epsilon - 2, freedom - (k - 1) * epsilon
    if abs(below) < 1e-9 and abs(above) < 1e-9:  # 0 / 0: of two folds, only one contrast can be seen to vary
        between = 1.0
    else:
        between = k - 1 if below <= 0 else min(max(above / below, 1), k - 1)
    return between, between * freedom


@pytest.mark.parametrize("folds", [2, 3, 9])
def test_degrees_of_freedom_are_huynh_and_feldt_s(folds: int) -> None:
    rng, seen = np.random.default_rng(12), []
    for seed in range(40):
        habit = (0.0, 0.3)[seed % 2]
        right = simulated(np.random.default_rng(seed), 0.05, 60, (0.0,) * 4, folds=folds, habit=habit)
        right[0] ^= rng.random((folds, 60)) < 0.2 * rng.random((folds, 1))  # this rate's runs spread more
        runs = compare_runs(right, np.arange(60))
        assert runs.df == pytest.approx(_df_by_brute_force(right))
        assert runs.p == pytest.approx(f.sf(runs.statistic, *runs.df))
        seen.append(round(runs.df[0], 6))
    assert {1.0, 3.0} & set(seen)
    assert len(set(seen)) > 2


@pytest.mark.parametrize("seed", [1, 7, 56])
def test_two_folds_keep_all_degrees_of_freedom_where_images_give_the_variance(seed: int) -> None:
    right = simulated(np.random.default_rng(seed), 0.05, 60, folds=2)
    runs = compare_runs(right, np.arange(60))
    assert runs.df == pytest.approx(_df_by_brute_force(right))
    assert runs.df[0] == 2


def test_where_images_explain_nothing_it_is_statsmodels_analysis_of_repeated_measures() -> None:
    # All runs are wrong on the first images, more or fewer: no rate has images of its own.
    wrong = np.array([[100, 300, 210, 160, 250], [160, 310, 280, 190, 260], [90, 330, 200, 240, 310]])
    right = on_common_images(wrong, 1000)
    runs = compare_runs(right, np.arange(1000))
    table = pd.DataFrame(
        [(rate, fold, 1 - wrong[rate, fold] / 1000) for rate in range(3) for fold in range(5)],
        columns=["rate", "fold", "accuracy"],
    )
    anova = AnovaRM(table, "accuracy", "fold", within=["rate"]).fit().anova_table
    images = max(_images_part_by_brute_force(right), 0)
    assert runs.statistic * runs.variance / (runs.variance - images) == pytest.approx(anova["F Value"].iloc[0])
    assert images < 0.1 * runs.variance


def test_two_rates_on_countless_images_are_student_s_paired_t() -> None:
    wrong = np.array([[8000, 6000, 9000, 7000, 5000], [9500, 7000, 9800, 9000, 5200]])
    rng = np.random.default_rng(0)
    order = np.stack([rng.permutation(100_000) for _ in range(10)]).reshape(2, 5, -1)  # each run errs elsewhere
    right = np.take_along_axis(on_common_images(wrong, 100_000), order, axis=2)
    runs = compare_runs(right, np.arange(100_000))
    paired = ttest_rel(*(1 - wrong / 100_000))
    assert runs.p == pytest.approx(paired.pvalue, rel=0.05)
    interval = paired.confidence_interval()
    assert (runs.low, runs.high) == pytest.approx((interval.low, interval.high), rel=0.05)


def test_runs_that_spread_alike_keep_the_degrees_of_freedom_of_the_textbook() -> None:
    right = simulated(np.random.default_rng(4), 0.05, 4000, folds=12, effect=(0.0, 0.0))
    assert compare_runs(right, np.arange(4000)).df == pytest.approx((1, 11), abs=0.5)


def test_rates_whose_runs_spread_unequally_cost_degrees_of_freedom() -> None:
    rng = np.random.default_rng(1)
    wrong = np.stack([np.full(8, 200), np.full(8, 210), 200 + (60 * rng.normal(size=8)).astype(int)])
    runs = compare_runs(on_common_images(wrong, 1000), np.arange(1000))
    assert runs.df[0] == pytest.approx(1, abs=0.1)  # a single contrast varies


studies = st.tuples(st.integers(2, 4), st.integers(2, 5), st.integers(2, 10)).flatmap(
    lambda shape: arrays(int, shape, elements=st.integers(0, 1))
)


@given(studies, st.randoms(use_true_random=False))
def test_the_order_of_rates_folds_and_images_changes_nothing(right: np.ndarray, random: object) -> None:
    rng = np.random.default_rng(random.randrange(2**32))  # type: ignore[attr-defined]
    unit = np.arange(right.shape[2]) // 2 if right.shape[2] > 3 else np.arange(right.shape[2])
    images = rng.permutation(right.shape[2])
    shuffled = right[rng.permutation(len(right))][:, rng.permutation(right.shape[1])][:, :, images]
    first, second = compare_runs(right, unit), compare_runs(shuffled, unit[images])
    for name in ("p", "statistic", "difference", "low", "high", "variance", "deviation"):
        assert getattr(first, name) == pytest.approx(getattr(second, name), abs=1e-9), name


@given(studies)
def test_p_and_interval_lie_in_their_ranges(right: np.ndarray) -> None:
    runs = compare_runs(right, np.arange(right.shape[2]))
    assert 0 <= runs.p <= 1
    assert -1 <= runs.low <= runs.difference <= runs.high <= 1
    assert 1 <= runs.df[0] <= len(right) - 1
    few, fewer = runs.smallest(0.05), runs.smallest(0.005)
    assert fewer is None or (few is not None and few < fewer <= 1)


@given(studies, st.integers(1, 10))
def test_images_that_every_run_reads_alike_change_no_difference(right: np.ndarray, more: int) -> None:
    n = right.shape[2]
    easy = np.concatenate([right, np.ones((*right.shape[:2], more), dtype=int)], axis=2)
    hard = np.concatenate([right, np.zeros((*right.shape[:2], more), dtype=int)], axis=2)
    first, second = (compare_runs(longer, np.arange(n + more)) for longer in (easy, hard))
    for name in ("p", "difference", "low", "high", "deviation"):
        assert getattr(first, name) == pytest.approx(getattr(second, name), abs=1e-9), name


@given(arrays(int, (2, 5), elements=st.integers(0, 20)), st.integers(0, 20))
def test_an_effect_of_a_fold_on_every_rate_changes_nothing(wrong: np.ndarray, shift: int) -> None:
    shifted = wrong + np.array([shift, 0, 0, shift, 2 * shift])
    apart = [compare_runs(on_images_apart(counts), np.arange(5 * 2 * 60)) for counts in (wrong, shifted)]
    assert apart[0].deviation == pytest.approx(apart[1].deviation)
    assert apart[0].difference == pytest.approx(apart[1].difference)


def on_images_apart(wrong: np.ndarray) -> np.ndarray:
    """Runs of which each is wrong on so many images of its own sixty."""
    right = np.ones((wrong.size, wrong.size, 60), dtype=int)
    for run, count in enumerate(wrong.ravel()):
        right[run, run, :count] = 0
    return right.reshape(*wrong.shape, -1)


def test_rates_that_decide_alike_do_not_differ() -> None:
    right = np.broadcast_to(np.arange(300) % 9 > 0, (3, 5, 300)).astype(int)
    runs = compare_runs(right, np.arange(300))
    assert (runs.p, runs.difference, runs.statistic) == (1, 0, 0)
    assert runs.high == -runs.low == pytest.approx(0.0115, abs=0.0005)  # as if two images were disputed
    few = compare_runs(right[:, :, :10], np.arange(10))
    assert few.df == (2, 18)
    assert few.high == pytest.approx(t.isf(0.05 / 6, 18) * np.sqrt(2) / 12)  # Bonferroni's of three pairs, two-sided


def test_folds_that_differ_do_not_count_as_runs_that_do() -> None:
    folds = np.arange(300) % (7 + np.arange(5))[:, None] > 0  # their mean accuracies are rounded
    runs = compare_runs(np.stack([folds] * 3).astype(int), np.arange(300))
    assert (runs.p, runs.difference, runs.deviation) == (1, 0, 0)
    assert runs.df == (2, 2 * 299)
    assert runs.high == pytest.approx(t.isf(0.05 / 6, 2 * 299) * np.sqrt(2) / 302)


def test_rates_of_which_one_is_always_right_and_one_always_wrong_differ() -> None:
    right = np.stack([np.ones((5, 40), dtype=int), np.zeros((5, 40), dtype=int)])
    runs = compare_runs(right, np.arange(40))
    assert runs.p < 1e-6
    assert np.isfinite(runs.statistic)


@pytest.mark.parametrize("between", [1.0, 1.4, 2.0])
def test_the_smallest_difference_is_that_of_the_noncentral_f(between: float) -> None:
    k, r, variance, within = 3, 5, 4e-4, 7.0
    runs = Runs(k, r, 0, (between, within), 1, 0, 0, 0, 0, variance)
    difference = runs.smallest(0.05)
    assert difference is not None
    # One rate is half the difference above the mean and one below it; F's degrees of freedom are corrected.
    shift = r * difference**2 / 2 / variance * between / (k - 1)
    true = chi2.ppf((np.arange(3000) + 0.5) / 3000, within) / within  # estimated error over true error, squared
    power = ncf.sf(f.isf(0.05, between, within), between, within, shift * true).mean()
    assert power == pytest.approx(0.8, abs=0.003)


def test_two_folds_detect_only_very_large_differences() -> None:
    right = simulated(np.random.default_rng(0), 0.01, 130)
    of_five = compare_runs(right, np.arange(130)).smallest(0.005)
    assert of_five is not None
    assert of_five < 0.2
    of_two = compare_runs(right[:, :2], np.arange(130)).smallest(0.005)
    assert of_two is None or of_two > 0.5
    rates = simulated(np.random.default_rng(1), 0.05, 40, (0.0,) * 5, folds=2)
    assert compare_runs(rates, np.arange(40)).smallest(0.0125) is None  # it would be above 100 points


def test_cells_of_one_person_count_as_one() -> None:
    # Each person's five cells are read alike by every run; a rate misreads people of its own.
    people = simulated(np.random.default_rng(2), 0.01, 60, habit=0.3)
    cells, unit = people.repeat(5, axis=2), np.arange(60).repeat(5)
    of_people, of_cells = compare_runs(people, np.arange(60)), compare_runs(cells, unit)
    assert of_cells.p == pytest.approx(of_people.p)
    assert compare_runs(cells, np.arange(300)).variance < of_cells.variance


def test_few_subjects_of_unequal_sizes_find_a_rate_without_effect_hardly_more_often_than_stated() -> None:
    rng, unit = np.random.default_rng(2), np.repeat(np.arange(7), (120, 60, 30, 20, 10, 5, 5))
    found = 0
    for _ in range(2000):
        of_subject = 0.6 * rng.normal(size=(3, 1, 7))[:, :, unit]
        of_run = 0.15 * rng.normal(size=(3, 5, 1)) + 0.5 * rng.normal(size=(3, 5, 250))
        right = 1.2 + rng.normal(size=250) + of_subject + of_run > 0
        found += compare_runs(right.astype(int), unit).p < 0.05
    assert found / 2000 < 0.07  # 8.6% if the subjects counted as seven of equal size


@pytest.mark.parametrize("shape", [(1, 5, 9), (3, 1, 9), (3, 5, 1)])
def test_one_rate_one_fold_or_one_image_is_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="two rates, folds and units"):
        compare_runs(np.ones(shape, dtype=int), np.arange(shape[2]))


STUDIES = 500
ERROR = 2.6 * np.sqrt(0.05 * 0.95 / STUDIES)


@pytest.mark.parametrize("images", [130, 1000])
@pytest.mark.parametrize("deviation", [0.004, 0.017])
def test_a_rate_without_effect_is_found_in_at_most_one_of_twenty_studies(images: int, deviation: float) -> None:
    rng, unit = np.random.default_rng(images), np.arange(images)
    by_runs, by_champions = [], []
    for _ in range(STUDIES):
        right = simulated(rng, deviation, images)
        by_runs.append(compare_runs(right, unit).p < 0.05)
        by_champions.append(compare_several(right[:, 0].T, unit, 0).p < 0.05)
    assert np.mean(by_runs) <= 0.05 + ERROR
    if (images, deviation) == (1000, 0.017):
        assert np.mean(by_champions) > 0.3


def test_a_rate_that_misreads_other_images_is_not_found_worse() -> None:
    rng = np.random.default_rng(6)
    found = [compare_runs(simulated(rng, 0.005, 130, habit=0.3), np.arange(130)).p < 0.05 for _ in range(STUDIES)]
    assert np.mean(found) <= 0.05 + ERROR


def test_a_difference_of_five_points_is_found_in_full_size_studies() -> None:
    rng, unit = np.random.default_rng(7), np.arange(2506)
    found = [compare_runs(simulated(rng, 0.012, 2506, (0.0, 0.0, -0.05)), unit).p < 0.005 for _ in range(40)]
    assert np.mean(found) > 0.6


@pytest.mark.parametrize("alpha", [0.05, 0.0125])
def test_the_smallest_difference_is_found_in_four_of_five_studies(alpha: float) -> None:
    rng, unit, found = np.random.default_rng(8), np.arange(261), []
    for _ in range(STUDIES):
        half = (compare_runs(simulated(rng, 0.012, 261), unit).smallest(alpha) or 1.0) / 2
        found.append(compare_runs(simulated(rng, 0.012, 261, (half, 0.0, -half)), unit).p < alpha)
    assert np.mean(found) == pytest.approx(0.8, abs=0.07)


def test_the_interval_holds_the_true_difference_in_nineteen_of_twenty_studies() -> None:
    rng, unit, held = np.random.default_rng(9), np.arange(261), []
    for _ in range(STUDIES):
        runs = compare_runs(simulated(rng, 0.017, 261), unit)
        held.append(runs.low <= 0 <= runs.high)
    assert np.mean(held) >= 0.95 - ERROR
