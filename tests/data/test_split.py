import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wen.data.split import assign, audit, components
from wen.data.table import DEVELOPMENT, EXCLUDED, TEST
from wen.errors import WenError
from wen.params import Split


def by(unit: str, test: str = "random") -> Split:
    return Split(unit=unit, test=test, test_fraction=0.2)


def make_index(seed: int, subjects: int, duplicates: int) -> pd.DataFrame:
    """Images of random subjects of both classes, some copied under another subject of the class."""
    rng = np.random.default_rng(seed)
    owner = np.concatenate([np.arange(subjects), rng.integers(0, subjects, 4 * subjects)])
    label = owner % 2
    pixels = np.arange(len(owner))
    for one, other in rng.integers(0, len(owner), (duplicates, 2)):
        if label[one] == label[other]:
            pixels[one] = pixels[other]
    preliminary = owner >= subjects - 4
    return pd.DataFrame(
        {
            "id": [f"{k:04}" for k in range(len(owner))],
            "label": label,
            "subject": [f"{'' if c else 'H'}{s}" for s, c in zip(owner, label, strict=True)],
            "source": np.where(preliminary, "preliminary", "fold_0"),
            "pixels": pixels.astype(str),
        }
    )


def leaks(one: pd.DataFrame, other: pd.DataFrame) -> tuple[set[str], set[str], int]:
    """Subjects and images (by pixels) on both sides of a boundary, and how many of ``one`` are such an image."""
    images = set(other.pixels)
    return set(one.subject) & set(other.subject), set(one.pixels) & images, sum(own in images for own in one.pixels)


@settings(deadline=None, max_examples=1000)
@given(
    st.integers(0, 10**6), st.integers(40, 60), st.integers(0, 12),
    st.sampled_from(["image", "subject"]), st.sampled_from(["random", "preliminary"]),
)  # fmt: skip
def test_no_leak_by_subject_and_by_image_each_leak_is_counted(
    seed: int, subjects: int, duplicates: int, unit: str, test: str
) -> None:
    cells = assign(make_index(seed, subjects, duplicates), by(unit, test), 5, seed)
    report = audit(cells)
    development = cells[cells.part == DEVELOPMENT]
    boundaries = [(cells[cells.part == TEST], development, report["test_and_development"])]
    for fold in range(5):
        inside = development.fold == fold
        boundaries.append((development[inside], development[~inside], report["validation_and_train"][str(fold)]))
    assert (cells.part != EXCLUDED).all() or (unit, test) == ("subject", "preliminary")
    for one, other, counted in boundaries:
        shared, images, copies = leaks(one, other)
        assert (counted["shared_subjects"], counted["duplicate_images"]) == (len(shared), copies)
        assert not set(one.id) & set(other.id)
        if unit == "subject":
            assert not shared
            assert not images


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from(["image", "subject"]))
def test_every_development_image_validates_once_and_no_other_image_does(seed: int, unit: str) -> None:
    cells = assign(make_index(seed, 50, 3), by(unit), 5, seed)
    assert set(cells.fold[cells.part == DEVELOPMENT]) == set(range(5))
    assert (cells.fold[cells.part != DEVELOPMENT] == -1).all()


def test_the_largest_subject_is_not_in_every_test_set() -> None:
    """As subjects 20 and 21 of C-NMC would be, which share images and make a tenth of a partial download."""
    index = make_index(1, 60, 0)
    index.loc[index.index[(index.label == 1)][:50], "subject"] = "big"
    draws = [assign(index, by("subject"), 5, seed) for seed in range(20)]
    tested = [(own.part[own.subject == "big"] == TEST).all() for own in draws]
    assert 0 < sum(tested) < 12


def test_by_image_a_fifth_tests_and_classes_keep_their_shares() -> None:
    cells = assign(make_index(1, 60, 0), by("image"), 5, seed=1)
    assert (cells.part == TEST).mean() == pytest.approx(0.2, abs=0.01)
    for _, own in cells.groupby(["part", "fold"]):
        assert own.label.mean() == pytest.approx(cells.label.mean(), abs=0.03)


def test_equal_seeds_split_equally_and_others_differently() -> None:
    index = make_index(1, 50, 3)
    first, again, other = (assign(index, by("subject"), 5, seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


def test_subjects_that_share_an_image_are_one_component_also_by_way_of_a_third() -> None:
    index = pd.DataFrame({"subject": ["1", "2", "2", "3", "4"], "pixels": ["a", "a", "b", "b", "c"]})
    one, *rest, alone = components(index)
    assert set(rest) == {one}
    assert alone != one


def test_the_audit_counts_what_a_split_by_image_lets_through() -> None:
    cells = pd.DataFrame(
        {
            "id": ["a", "b", "c", "d", "e", "f"],
            "label": [1, 0, 1, 0, 1, 0],
            "subject": ["1", "H1", "1", "H2", "2", "H3"],
            "pixels": ["p", "q", "r", "s", "p", "t"],
            "part": [TEST, TEST, *[DEVELOPMENT] * 4],
            "fold": [-1, -1, 0, 0, 1, 1],
        }
    )
    shared = audit(cells)["test_and_development"]
    assert shared == {
        "images": 2,
        "shared_subjects": 1,
        "images_of_shared_subjects": 1,
        "duplicate_images": 1,
        "duplicates": ["a"],
    }


def test_what_a_preliminary_test_set_shares_with_training_is_excluded_from_it() -> None:
    index = make_index(1, 60, 0)
    inside, outside = np.flatnonzero(index.source == "preliminary")[0], np.flatnonzero(index.source == "fold_0")
    twin = next(k for k in outside if index.label[k] == index.label[inside])
    index.loc[twin, "pixels"] = index.pixels[inside]
    cells = assign(index, by("subject", "preliminary"), 5, seed=1)
    same_subject = index.subject == index.subject[twin]
    assert (cells.part[same_subject] == EXCLUDED).all()
    assert (cells.part == EXCLUDED).sum() == same_subject.sum()


@pytest.mark.parametrize("unit", ["image", "subject"])
def test_too_few_groups_for_the_folds_are_refused(unit: str) -> None:
    index = make_index(1, 60, 0).groupby("label").head(4)
    with pytest.raises(WenError, match="too few for 5 parts"):
        assign(index.reset_index(drop=True), by(unit), 5, seed=1)


def test_a_preliminary_test_set_needs_preliminary_images() -> None:
    index = make_index(1, 50, 0).assign(source="fold_0")
    with pytest.raises(WenError, match=r"split\.test: preliminary"):
        assign(index, by("image", "preliminary"), 5, seed=1)
