import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, reject, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, train_test_split

from wen.config.params import Params, Split
from wen.config.paths import Paths
from wen.config.seeds import seed_for
from wen.data import held_out, split
from wen.data.components import components
from wen.data.leaks import audit
from wen.data.split import assign
from wen.data.table import COPIES, DEVELOPMENT, EXCLUDED, NO_FOLD, TEST
from wen.errors import WenError


def by(unit: str, test: str = "random", fraction: float = 0.2) -> Split:
    return Split(unit=unit, test=test, test_fraction=fraction)


def make_index(seed: int, subjects: int, duplicates: int, of_both_classes: int = 0) -> pd.DataFrame:
    """Images of random people, some with cells of both classes, and some images copied exactly."""
    rng = np.random.default_rng(seed)
    owner = np.concatenate([np.arange(subjects), rng.integers(0, subjects, 4 * subjects)])
    label = np.where(owner < of_both_classes, rng.integers(0, 2, len(owner)), owner % 2)
    pixels = np.arange(len(owner))
    for one, other in rng.integers(0, len(owner), (duplicates, 2)):
        if label[one] == label[other]:
            pixels[one] = pixels[other]
    preliminary = owner >= subjects - 4
    return pd.DataFrame(
        {
            "id": [f"{k:04}" for k in range(len(owner))],
            "label": label,
            "subject": [str(person) for person in owner],
            "source": np.where(preliminary, "preliminary", np.where(owner < 20, "fold_2", "fold_0")),
            "pixels": pixels.astype(str),
        }
    )


def make_copies(index: pd.DataFrame, near: Iterable[tuple[str, str]] = ()) -> pd.DataFrame:
    """data/copies.csv of an index: its exact copies and the near ones given."""
    rows = [(*sorted(pair), "near", 3, 0.99, 2.0, 0.1) for pair in near]
    for _, same in index[index.pixels.duplicated(keep=False)].groupby("pixels"):
        ids = sorted(same.id)
        rows += [(one, other, "exact", 0, 1.0, 0.0, 1.0) for k, one in enumerate(ids) for other in ids[k + 1 :]]
    return pd.DataFrame(rows, columns=list(COPIES))


def near_pairs(index: pd.DataFrame, seed: int, count: int) -> set[tuple[str, str]]:
    """Random pairs of images of a class that are not equal."""
    rng, pairs = np.random.default_rng([seed, 1]), set()
    for one, other in rng.integers(0, len(index), (count, 2)):
        if index.label[one] == index.label[other] and index.pixels[one] != index.pixels[other]:
            pairs.add((min(index.id[one], index.id[other]), max(index.id[one], index.id[other])))
    return pairs


class Together:
    """Connected components by joining sets pair by pair, independent of SciPy."""

    def __init__(self) -> None:
        self.parent: dict[str, str] = {}

    def root(self, name: str) -> str:
        self.parent.setdefault(name, name)
        while self.parent[name] != name:
            name = self.parent[name]
        return name

    def join(self, one: str, other: str) -> None:
        self.parent[self.root(one)] = self.root(other)


def belonging(index: pd.DataFrame, near: Iterable[tuple[str, str]]) -> list[str]:
    """Name the component of each image."""
    together = Together()
    for row in index.itertuples():
        together.join(f"image {row.id}", f"person {row.subject}")
        together.join(f"image {row.id}", f"pixels {row.pixels}")
    for one, other in near:
        together.join(f"image {one}", f"image {other}")
    return [together.root(f"image {name}") for name in index.id]


@settings(deadline=None, max_examples=50)
@example(9, 40, 2, 11, 0, "subject", "fold_2")
@given(
    st.integers(0, 10**6), st.integers(40, 60), st.integers(0, 12), st.integers(0, 12), st.integers(0, 20),
    st.sampled_from(["image", "subject"]), st.sampled_from(["random", "preliminary", "fold_2"]),
)  # fmt: skip
def test_a_split_by_subject_has_no_leak_and_one_by_image_counts_each(
    seed: int, subjects: int, duplicates: int, altered: int, of_both_classes: int, unit: str, test: str
) -> None:
    index = make_index(seed, subjects, duplicates, of_both_classes)
    near = near_pairs(index, seed, altered)
    copies = make_copies(index, near)
    try:
        cells = assign(index, copies, by(unit, test), 5, seed).assign(belongs=belonging(index, near))
    except WenError as error:  # what shares a cell with a part of C-NMC is left out, and few people may be left
        if (unit, test) == ("subject", "random") or "independent groups" not in str(error):
            raise
        reject()
    report = audit(cells, copies)
    development = cells[cells.part == DEVELOPMENT]
    boundaries = [(cells[cells.part == TEST], development, report["test_and_development"])]
    for fold in range(5):
        inside = development.fold == fold
        boundaries.append((development[inside], development[~inside], report["validation_and_train"][str(fold)]))
    assert (cells.part != EXCLUDED).all() or (unit == "subject" and test != "random")
    if test != "random":
        assert set(cells.source[cells.part == TEST]) == {test}
        assert test not in set(cells.source[cells.part != TEST])
    for one, other, counted in boundaries:
        people, looks, pairs = set(one.subject) & set(other.subject), list(other.pixels), 0
        ids, others, nearby = set(one.id), set(other.id), defaultdict(set)
        for first, second in near:
            for here, there in ((first, second), (second, first)):
                if here in ids and there in others:
                    nearby[here].add(there)
                    pairs += 1
        assert counted["shared_subjects"] == len(people)
        assert counted["duplicates"] == sorted(one.id[one.pixels.isin(looks)])
        assert counted["duplicate_images"] == len(counted["duplicates"])
        assert counted["duplicate_pairs"] == sum(looks.count(look) for look in one.pixels)
        assert (counted["near_copies"], counted["near_copy_pairs"]) == (sorted(nearby), pairs)
        assert counted["near_copy_images"] == len(nearby)
        assert not ids & others
        if unit == "subject":
            assert not set(one.belongs) & set(other.belongs)
            assert not people
            assert not nearby


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(5, 60), st.integers(0, 12), st.integers(0, 12))
def test_components_are_those_of_an_independent_union(seed: int, subjects: int, duplicates: int, altered: int) -> None:
    index = make_index(seed, subjects, duplicates)
    near = near_pairs(index, seed, altered)
    numbers, names = components(index, make_copies(index, near)), belonging(index, near)
    pairs = set(zip(numbers.tolist(), names, strict=True))
    assert len(pairs) == len(set(numbers.tolist())) == len(set(names))
    assert set(numbers.tolist()) == set(range(len(pairs)))


def test_a_preliminary_person_who_shares_a_near_copy_is_excluded_from_training() -> None:
    index = make_index(1, 60, 0)
    inside = index.id[index.source == "preliminary"].iloc[0]
    outside = index[index.source == "fold_0"].iloc[7]
    copies = make_copies(index, [(inside, outside.id)])
    cells = assign(index, copies, by("subject", "preliminary"), 5, seed=1)
    assert set(cells.subject[cells.part == EXCLUDED]) == {outside.subject}
    assert (cells.part[cells.subject == outside.subject] == EXCLUDED).all()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from(["image", "subject"]))
def test_every_development_image_validates_once_and_no_other_image_does(seed: int, unit: str) -> None:
    index = make_index(seed, 50, 3)
    cells = assign(index, make_copies(index), by(unit), 5, seed)
    assert set(cells.fold[cells.part == DEVELOPMENT]) == set(range(5))
    assert (cells.fold[cells.part != DEVELOPMENT] == -1).all()


def test_the_largest_subject_is_in_some_test_sets_but_not_all() -> None:
    """Such are subjects 20 and 21 of C-NMC, which share images and make a tenth of a partial download."""
    index = make_index(1, 60, 0)
    index.loc[index.index[index.label == 1][:20], "subject"] = "big"
    draws = [assign(index, make_copies(index), by("subject"), 5, seed) for seed in range(20)]
    tested = [(cells.part[cells.subject == "big"] == TEST).all() for cells in draws]
    assert 0 < sum(tested) < 12


def test_over_seeds_people_are_tested_equally_often_whatever_their_number_of_images() -> None:
    index = make_index(1, 60, 0)
    draws = [assign(index, make_copies(index), by("subject"), 5, seed) for seed in range(60)]
    tested = pd.DataFrame([cells.groupby("subject").part.first() == TEST for cells in draws]).mean()
    assert tested.min() > 0.05
    assert tested.max() < 0.4


def test_by_image_a_fifth_tests_and_classes_keep_their_shares() -> None:
    index = make_index(1, 60, 0)
    cells = assign(index, make_copies(index), by("image"), 5, seed=1)
    assert (cells.part == TEST).mean() == pytest.approx(0.2, abs=0.01)
    for _, group in cells.groupby(["part", "fold"]):
        assert group.label.mean() == pytest.approx(cells.label.mean(), abs=0.03)


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5])
def test_by_subject_the_fraction_asked_for_is_reached(fraction: float) -> None:
    index = make_index(1, 60, 3, of_both_classes=5)
    for seed in range(10):
        cells = assign(index, make_copies(index), by("subject", fraction=fraction), 5, seed)
        assert (cells.part == TEST).mean() == pytest.approx(fraction, abs=0.005)
        for label in (0, 1):
            assert (cells.part[cells.label == label] == TEST).mean() == pytest.approx(fraction, abs=0.03)


def test_equal_seeds_give_equal_splits_and_other_seeds_others() -> None:
    index = make_index(1, 50, 3)
    first, again, other = (assign(index, make_copies(index), by("subject"), 5, seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


def test_people_who_share_a_copy_of_either_kind_are_one_component_also_by_way_of_a_third() -> None:
    index = pd.DataFrame(
        {"id": list("abcdefg"), "subject": ["1", "2", "2", "3", "4", "5", "5"], "pixels": list("ppqqrst")}
    )
    copies = make_copies(index, [("d", "g")])
    assert components(index, copies).tolist() == [0, 0, 0, 0, 1, 0, 0]


def test_an_image_of_an_unknown_person_is_a_separate_person_unless_copies_join_it() -> None:
    index = pd.DataFrame({"id": list("abcd"), "subject": ["", "", "", "7"], "pixels": list("pqqr")})
    assert components(index, make_copies(index)).tolist() == [0, 1, 1, 2]


def test_the_audit_counts_the_leaks_of_a_split_by_image() -> None:
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
    report = audit(cells, make_copies(cells, [("b", "d"), ("b", "f"), ("c", "d"), ("c", "f")]))
    assert report["test_and_development"] == {
        "images": 2,
        "shared_subjects": 1,
        "images_of_shared_subjects": 1,
        "duplicate_images": 1,
        "duplicate_pairs": 1,
        "duplicates": ["a"],
        "near_copy_images": 1,
        "near_copy_pairs": 2,
        "near_copies": ["b"],
    }
    of_fold = report["validation_and_train"]
    found = {fold: (leaks["near_copies"], leaks["near_copy_pairs"]) for fold, leaks in of_fold.items()}
    assert found == {"0": (["c"], 1), "1": (["f"], 1)}  # c and d are in one fold
    near = ("near_copy_images", "near_copy_pairs", "near_copies")
    not_searched = audit(cells, make_copies(cells), near_copies=False)["test_and_development"]
    assert not_searched == report["test_and_development"] | dict.fromkeys(near)


def test_the_audit_counts_the_images_of_each_class_and_the_people_of_each_part() -> None:
    rows = [
        *[("P1", 1, TEST), ("H1", 0, TEST), ("H1", 0, TEST), ("H2", 0, TEST)],
        *[("P2", 1, DEVELOPMENT), ("P2", 1, DEVELOPMENT), ("P3", 1, DEVELOPMENT), ("H3", 0, DEVELOPMENT)],
        *[("P4", 1, EXCLUDED), ("P4", 1, EXCLUDED), ("H4", 0, EXCLUDED), ("P4", 1, EXCLUDED), ("P4", 1, EXCLUDED)],
    ]
    cells = pd.DataFrame(rows, columns=["subject", "label", "part"])
    names = [f"{k:02}" for k in range(len(rows))]
    cells = cells.assign(id=names, pixels=names, fold=[-1] * 4 + [0, 0, 1, 1] + [-1] * 5)
    report = audit(cells, make_copies(cells))
    assert report["test"] == {"images": 4, "positive": 1, "negative": 3, "subjects": 3}
    assert report["development"] == {"images": 4, "positive": 3, "negative": 1, "subjects": 3}
    assert report["excluded"] == {"images": 5, "positive": 4, "negative": 1, "subjects": 2}


def test_an_official_fold_without_images_cannot_be_the_test_set() -> None:
    with pytest.raises(WenError, match=r"split\.test: fold_1, but there are no images of fold_1"):
        assign(make_index(1, 60, 0), make_copies(make_index(1, 60, 0)), by("image", "fold_1"), 5, seed=1)


def test_a_person_who_shares_a_copy_with_a_preliminary_test_set_is_excluded_from_training() -> None:
    index = make_index(1, 60, 0)
    inside, outside = np.flatnonzero(index.source == "preliminary")[0], np.flatnonzero(index.source == "fold_0")
    twin = next(k for k in outside if index.label[k] == index.label[inside])
    index.loc[twin, "pixels"] = index.pixels[inside]
    cells = assign(index, make_copies(index), by("subject", "preliminary"), 5, seed=1)
    same_subject = index.subject == index.subject[twin]
    assert (cells.part[same_subject] == EXCLUDED).all()
    assert (cells.part == EXCLUDED).sum() == same_subject.sum()
    assert ((cells.part == TEST) == (index.source == "preliminary")).all()


@pytest.mark.parametrize(
    ("unit", "images", "groups", "purpose", "remedy"),
    [
        ("image", 4, "", "5 folds: 3", "use fewer folds or add images"),  # one of four images is in the test set
        ("subject", 4, "", "a test set and 5 folds: 4", "use fewer folds or add images"),
        (
            "subject",
            60,
            "independent groups of ",
            "a test set and 5 folds: 4",
            "use fewer folds, set split.unit: image, or add images",
        ),
    ],
)
@pytest.mark.parametrize(("label", "name"), [(1, "positive"), (0, "negative")])
def test_too_few_groups_of_a_class_for_the_folds_are_refused(
    unit: str, images: int, groups: str, purpose: str, remedy: str, label: int, name: str
) -> None:
    index = make_index(1, 60, 0)
    few = index[index.label == label].head(images)
    few = few.assign(subject=[f"few {k % 4}" for k in range(len(few))])
    index = pd.concat([few, index[index.label != label].head(9)], ignore_index=True)
    with pytest.raises(WenError, match=f"^split: too few {groups}{name} images for {purpose}; {remedy}$"):
        assign(index, make_copies(index), by(unit), 5, seed=1)


def test_one_person_more_than_folds_is_enough() -> None:
    index = make_index(1, 60, 0)
    index = index[index.subject.astype(int) < 12].reset_index(drop=True)  # six of each class
    for seed in range(20):
        cells = assign(index, make_copies(index), by("subject"), 5, seed)
        assert cells[cells.part == TEST].label.nunique() == 2


@pytest.mark.parametrize("people", range(6))
def test_every_fold_has_both_classes_if_there_are_as_many_people_of_each_as_folds(people: int) -> None:
    rng = np.random.default_rng(people)
    sizes = rng.lognormal(3, 1, 15).astype(int) + 2
    shares = [*rng.permutation([0, 0, 0, 0, 0, 1, 1, 0.5, 0.5]), 0, 0, 1, 1, 0.1, 0.1]
    positive = [max(round(size * share), share > 0) for size, share in zip(sizes, shares, strict=True)]
    index = pd.DataFrame({
        "label": np.concatenate([np.arange(size) < count for size, count in zip(sizes, positive, strict=True)]) * 1,
        "subject": np.repeat(np.arange(15), sizes).astype(str), "source": "cells",
    })  # fmt: skip
    index["id"] = index["pixels"] = [f"{k:04}" for k in index.index]
    for seed in range(5):
        cells = assign(index, make_copies(index), by("subject"), 5, seed)
        assert (cells.groupby(["part", "fold"]).label.nunique() == 2).all()
        assert (cells.groupby("subject").fold.nunique() == 1).all()
        assert cells.fold.nunique() == 6


def test_a_fold_without_classes_gets_the_smallest_group_that_its_own_fold_can_spare_healthy_cells_first() -> None:
    of_both, healthy, sick = [0, 0, 1, 1], [0] * 3, [1] * 5  # fold 0 cannot spare both of the first
    label, group = np.array(of_both + healthy + sick), np.repeat([0, 1, 2], [4, 3, 5])
    fold = split._with_both_classes(np.zeros(12, int), label, group, 2)
    assert fold.tolist() == [0] * 4 + [1] * 8


def test_a_preliminary_test_set_needs_preliminary_images() -> None:
    index = make_index(1, 50, 0).assign(source="fold_0")
    with pytest.raises(WenError, match=r"split\.test: preliminary"):
        assign(index, make_copies(index), by("image", "preliminary"), 5, seed=1)


def written(index: pd.DataFrame, near: Iterable[tuple[str, str]], paths: Paths) -> None:
    paths.index.parent.mkdir(parents=True)
    columns = {"path": "x.bmp", "width": 8, "height": 8, "sha256": "0"}
    order = ["id", "path", "label", "subject", "source", "width", "height", "sha256", "pixels"]
    index.assign(**columns)[order].to_csv(paths.index, index=False)
    make_copies(index, near).to_csv(paths.copies, index=False)


def params_by(tiny: Params, fraction: float) -> Params:
    return tiny.model_copy(update={"split": by("subject", fraction=fraction)})


def test_a_test_fraction_that_people_do_not_allow_is_reported_and_recorded(
    tmp_path: Path, tiny: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    owner = np.repeat(np.arange(6), 10)  # three people of each class, ten images each: of 60, only 20 or 40 can test
    index = pd.DataFrame({
        "id": [f"{k:02}" for k in range(60)], "label": owner % 2, "subject": owner.astype(str), "source": "fold_0",
        "pixels": [str(k) for k in range(60)],
    })  # fmt: skip
    written(index, [], Paths(tmp_path))
    split.run(params_by(tiny, 0.2), Paths(tmp_path))
    report = json.loads(Paths(tmp_path).split_metrics.read_text())
    assert report["test_fraction"] == {"asked": 0.2, "reached": pytest.approx(1 / 3)}
    assert "the test set contains 33.3% of the images instead of split.test_fraction, 20.0%" in capsys.readouterr().out


def test_by_image_the_number_of_test_images_is_rounded_up(
    tmp_path: Path, tiny: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    index = make_index(1, 36, 0).head(36)
    written(index, [], Paths(tmp_path))
    split.run(tiny.model_copy(update={"split": by("image", fraction=0.2)}), Paths(tmp_path))
    assert json.loads(Paths(tmp_path).split_metrics.read_text())["test"]["images"] == 8  # of 36
    printed = capsys.readouterr().out
    assert "instead of split.test_fraction, 20.0%, because their number is rounded up\n" in printed
    assert "people" not in printed


def test_a_test_fraction_that_is_reached_is_recorded_without_a_message(
    tmp_path: Path, tiny: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    index = make_index(1, 60, 3)
    written(index, near_pairs(index, 1, 5), Paths(tmp_path))
    split.run(params_by(tiny, 0.3), Paths(tmp_path))
    report = json.loads(Paths(tmp_path).split_metrics.read_text())
    assert report["test_fraction"]["reached"] == pytest.approx(0.3, abs=0.005)
    assert report["test"]["images"] == round(300 * report["test_fraction"]["reached"])
    assert not capsys.readouterr().out


def test_the_table_written_is_the_split_of_the_study_s_seed(tmp_path: Path, tiny: Params) -> None:
    index, params = make_index(1, 60, 3), params_by(tiny, 0.3)
    written(index, [], Paths(tmp_path))
    split.run(params, Paths(tmp_path))
    cells = assign(index, make_copies(index), params.split, len(params.folds), params.seed)
    rows = [f"{row.id},{row.part},{row.fold}" for row in cells.itertuples()]
    assert Paths(tmp_path).split.read_bytes().decode() == "\n".join(["id,part,fold", *rows, ""])


def test_an_audit_is_reused_only_with_the_parameters_that_made_it(tmp_path: Path, tiny: Params) -> None:
    paths, params = Paths(tmp_path), params_by(tiny, 0.3)
    assert split.audited(params, paths) is None
    index = make_index(1, 60, 3)
    written(index, [], paths)
    split.run(params, paths)
    report = json.loads(paths.split_metrics.read_text())
    assert split.audited(params, paths) == report
    expected = {"unit": "subject", "test_set": "random", "folds": len(params.folds), "seed": params.seed}
    assert {key: report[key] for key in expected} == expected
    preliminary = Split(unit="subject", test="preliminary", test_fraction=0.3)
    others = [{"seed": params.seed + 1}, {"folds": [*params.folds, 9]}, {"split": by("image", fraction=0.3)},
              {"split": by("subject", fraction=0.25)}, {"split": preliminary}]  # fmt: skip
    for other in others:
        assert split.audited(params.model_copy(update=other), paths) is None, other
    split.run(params.model_copy(update={"split": preliminary}), paths)
    for fraction in (0.3, 0.2):  # which bears on random test sets alone
        options = Split(unit="subject", test="preliminary", test_fraction=fraction)
        assert split.audited(params.model_copy(update={"split": options}), paths)["test_set"] == "preliminary"
    paths.split_metrics.write_text("[]")
    assert split.audited(params, paths) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("one,other", "other,one"), "columns"),
        (lambda text: text.replace("near", "alike"), "kind must be exact or near"),
        (lambda text: text.replace("0001,0005", "0005,0001"), "one must come before other"),
        (lambda text: text.replace("0001,0005", "0001,9999"), "other is not an image of"),
        (lambda text: text + text.splitlines()[1] + "\n", "pair occurs twice"),
        (lambda text: text.replace(",3,", ",left,"), "turn must be an integer"),
        (lambda text: text.replace("0.99", "much"), "correlation must be a number"),
        (lambda _: "", "damaged"),
    ],
)
def test_copies_changed_by_hand_are_refused(tmp_path: Path, tiny: Params, change, message: str) -> None:  # type: ignore[no-untyped-def]
    paths = Paths(tmp_path)
    written(make_index(1, 60, 0), [("0001", "0005")], paths)
    paths.copies.write_text(change(paths.copies.read_text()))
    with pytest.raises(WenError, match=message) as caught:
        split.run(params_by(tiny, 0.2), paths)
    assert "copies.csv" in str(caught.value)


def test_a_missing_table_of_copies_says_which_stage_writes_it(tmp_path: Path, tiny: Params) -> None:
    written(make_index(1, 60, 0), [], Paths(tmp_path))
    Paths(tmp_path).copies.unlink()
    with pytest.raises(WenError, match=r"copies\.csv: not found; run `wen prepare` first"):
        split.run(params_by(tiny, 0.2), Paths(tmp_path))


def test_by_image_the_split_is_scikit_learns_stratified_one() -> None:
    index = make_index(3, 40, 4)
    cells = assign(index, make_copies(index), by("image", fraction=0.3), 4, 7)
    _, test = train_test_split(
        np.arange(200), test_size=0.3, stratify=index.label, random_state=seed_for(7, what="test")
    )  # fmt: skip
    folds = StratifiedKFold(4, shuffle=True, random_state=seed_for(7, what="folds"))
    assert_split(cells, test, [validation for _, validation in folds.split(*2 * [np.delete(index.label, test)])])


def test_by_subject_the_split_is_held_out_s_and_scikit_learns_stratified_groups() -> None:
    index = make_index(3, 40, 4, of_both_classes=4)
    copies = make_copies(index)
    cells, group = assign(index, copies, by("subject", fraction=0.3), 4, 7), components(index, copies)
    classes = pd.crosstab(group, index.label)[[1, 0]].to_numpy()
    chosen = held_out.choose(classes, 0.3, 4, np.random.default_rng(seed_for(7, what="test")))
    test = np.flatnonzero(np.isin(group, np.flatnonzero(chosen)))
    folds = StratifiedGroupKFold(4, shuffle=True, random_state=seed_for(7, what="folds"))
    label, left = np.delete(index.label, test), np.delete(group, test)
    assert_split(cells, test, [validation for _, validation in folds.split(label, label, left)])


def assert_split(cells: pd.DataFrame, test: np.ndarray, validation: list[np.ndarray]) -> None:
    """Compare with the rows of the test set, and of each fold among the others."""
    expected = np.full(len(cells), NO_FOLD)
    others = np.setdiff1d(np.arange(len(cells)), test)
    for fold, rows in enumerate(validation):
        expected[others[rows]] = fold
    assert sorted(test) == np.flatnonzero(cells.part == TEST).tolist()
    assert set(cells.part) == {TEST, DEVELOPMENT}
    assert cells.fold.tolist() == expected.tolist()


def test_the_audit_of_images_without_subjects_counts_no_person() -> None:
    index = make_index(1, 60, 3).assign(subject="")
    copies = make_copies(index)
    report = audit(assign(index, copies, by("image"), 5, seed=1), copies)
    assert [report[part]["subjects"] for part in ("test", "development")] == [None, None]
    for leaks in (report["test_and_development"], report["validation_and_train"]["0"]):
        assert leaks["shared_subjects"] is leaks["images_of_shared_subjects"] is None
    message = (
        r"^split\.unit: subject needs .*; provide a table with a column subject \(make study DATA=\.\.\. "
        r"TABLE=cells\.csv\), or set split\.unit: image$"
    )
    with pytest.raises(WenError, match=message):
        assign(index, copies, by("subject"), 5, seed=1)


def test_by_image_a_part_of_the_challenge_tests_and_all_else_trains_though_people_and_copies_are_shared() -> None:
    index = make_index(1, 60, 12)
    index["source"] = np.where(np.arange(300) % 4 == 0, "preliminary", "fold_0")
    cells = assign(index, make_copies(index), by("image", "preliminary"), 5, seed=1)
    assert (cells.part == np.where(index.source == "preliminary", TEST, DEVELOPMENT)).all()


def test_a_random_split_excludes_no_image() -> None:
    index = make_index(1, 60, 3)
    report = audit(assign(index, make_copies(index), by("subject"), 5, seed=1), make_copies(index))
    assert report["excluded"] == {"images": 0, "positive": 0, "negative": 0, "subjects": 0}


@pytest.mark.parametrize(
    ("part", "fold", "name"), [(TEST, NO_FOLD, "the test set"), (DEVELOPMENT, 1, "fold 1"), (EXCLUDED, NO_FOLD, "")]
)
def test_a_test_set_or_a_fold_of_one_class_is_refused(part: str, fold: int, name: str) -> None:
    places = [(TEST, NO_FOLD), (DEVELOPMENT, 0), (DEVELOPMENT, 1), (EXCLUDED, NO_FOLD)]
    rows = [(*place, label) for place in places for label in (0, 1, 1) if place != (part, fold) or label]
    cells = pd.DataFrame(rows, columns=["part", "fold", "label"])
    if not name:
        split._check_classes(cells, 2, None)
        return
    remedies = {None: r"change seed, use fewer folds or set split\.unit: image", "a.csv": "give it images of"}
    for file, remedy in remedies.items():
        with pytest.raises(WenError, match=rf"^split: {name} contains only one class \(2 images\); {remedy}"):
            split._check_classes(cells, 2, file)


def test_too_few_images_for_a_test_set_of_both_classes_are_refused() -> None:
    index = make_index(1, 4, 0).head(4)
    with pytest.raises(WenError, match=r"^split: 4 images are too few for a test set with both classes \(.+\); add"):
        assign(index, make_copies(index), by("image"), 2, seed=1)
