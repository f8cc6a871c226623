import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from wen.evaluation.metrics import OF_DECISIONS, Confusion, absent_class, decide, evaluate, row_of, weighted_f1
from wen.evaluation.metrics import precision as precision_of
from wen.evaluation.metrics import recall as recall_of

PREDICTIONS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.1, 0.49, 0.5, 0.51, 0.9, 1.0]) | st.floats(0, 1)),
    min_size=2,
    max_size=60,
)


@given(PREDICTIONS)
def test_every_measure_is_scikit_learns(pairs: list[tuple[int, float]]) -> None:
    label, probability = (np.array(column) for column in zip(*pairs, strict=True))
    called = decide(probability)
    row = evaluate(label, probability)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = {
            "accuracy": sk.accuracy_score(label, called),
            "precision": sk.precision_score(label, called, zero_division=0),
            "recall": sk.recall_score(label, called, zero_division=0),
            "f1": sk.f1_score(label, called, zero_division=0),
            "specificity": sk.recall_score(label, called, pos_label=0, zero_division=0),
            "weighted_f1": sk.f1_score(label, called, average="weighted", zero_division=0),
            "kappa": sk.cohen_kappa_score(label, called, labels=[0, 1]),
        }
    if len(set(label)) == 2:
        expected["auc"] = sk.roc_auc_score(label, probability)
        expected["balanced_accuracy"] = sk.balanced_accuracy_score(label, called)
    else:
        assert math.isnan(row["auc"])
    if math.isnan(expected["kappa"]):  # one class only, all called so: chance explains everything
        expected["kappa"] = 0.0
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, abs=1e-12), name
    assert (row["tn"], row["fp"], row["fn"], row["tp"]) == tuple(
        sk.confusion_matrix(label, called, labels=[0, 1]).ravel()
    )


@pytest.mark.parametrize(("label", "absent"), [([0, 1, 1], None), ([1, 1, 1], 0), ([0, 0, 0], 1)])
def test_a_row_has_none_for_what_an_absent_class_leaves_undefined(label: list[int], absent: int | None) -> None:
    probability, called = [0.2, 0.7, 0.4], [0, 1, 0]
    recall, specificity = (sk.recall_score(label, called, pos_label=kind, zero_division=np.nan) for kind in (1, 0))
    expected = evaluate(np.array(label), np.array(probability)) | {"recall": recall, "specificity": specificity}
    expected |= {"balanced_accuracy": (recall + specificity) / 2}
    assert absent_class(np.array(label)) == absent
    assert row_of(np.array(label), np.array(probability)) == pytest.approx(
        {name: None if math.isnan(value) else value for name, value in expected.items()}
    )


def test_a_probability_of_one_half_is_all() -> None:
    assert decide(np.array([0.5, np.nextafter(0.5, 0)])).tolist() == [1, 0]


def test_the_published_confusion_of_prellberg_and_kramer() -> None:
    published = Confusion(tn=536, fp=112, fn=77, tp=1142)
    assert weighted_f1(published) == pytest.approx(0.8981, abs=5e-5)
    weights = np.array([published.tn + published.fp, published.fn + published.tp]) / sum(published)
    hem = Confusion(tn=published.tp, fp=published.fn, fn=published.fp, tp=published.tn)
    assert weights @ [precision_of(hem), precision_of(published)] == pytest.approx(0.8981, abs=5e-5)
    assert weights @ [recall_of(hem), recall_of(published)] == pytest.approx(0.8988, abs=5e-5)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", OF_DECISIONS)
def test_resampled_test_sets_without_a_class_are_measured_as_a_single_one_is(name: str) -> None:
    counts = [(0, 0, 0, 0), (3, 2, 0, 0), (0, 0, 3, 2), (4, 0, 3, 0), (0, 4, 0, 3), (5, 1, 2, 7)]
    together = OF_DECISIONS[name](Confusion(*np.array(counts, dtype=float).T))
    np.testing.assert_allclose(together, [OF_DECISIONS[name](Confusion(*of_one)) for of_one in counts])
