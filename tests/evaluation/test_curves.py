"""Curves of a classifier against scikit-learn's."""

import hypothesis.strategies as st
import numpy as np
from hypothesis import given
from sklearn.metrics import precision_recall_curve, roc_curve

from wen.evaluation.curves import precision_recall, roc

# Few levels, so that many images have equal probabilities.
images = st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=40)
of_both_classes = images.filter(lambda drawn: len({label for label, _ in drawn}) == 2)


@given(of_both_classes)
def test_curves_are_those_of_scikit_learn(drawn: list[tuple[bool, int]]) -> None:
    label, probability = np.array([one for one, _ in drawn], dtype=int), np.array([p / 8 for _, p in drawn])
    np.testing.assert_array_equal(roc(label, probability), roc_curve(label, probability)[:2])
    np.testing.assert_array_equal(precision_recall(label, probability), precision_recall_curve(label, probability)[:2])


def test_the_rate_of_an_absent_class_is_zero() -> None:
    fpr, tpr = roc(np.ones(2, dtype=int), np.array([0.2, 0.7]))
    assert (fpr == 0).all()
    assert tpr[-1] == 1
    assert (precision_recall(np.zeros(2, dtype=int), np.array([0.2, 0.7]))[1] == 0).all()
