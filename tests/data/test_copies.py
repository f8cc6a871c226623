"""Altered copies are found, and different cells are not taken for copies."""

import io
import itertools
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import binary_erosion, gaussian_filter

from wen.config.params import Params
from wen.config.paths import Paths
from wen.data import copies, pictures, prepare, proposals, synthetic
from wen.data.readers import cnmc
from wen.data.symmetry import TURNS, inverse, turned
from wen.files import read_json, sha256

SIDE = 120
DIFFERENCE = 3.0
Alteration = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def cell(look: int, side: int = SIDE) -> np.ndarray:
    """A blotchy, uneven disc on black, unlike every other look's."""
    rng = np.random.default_rng(look)
    y, x = np.meshgrid(*2 * [np.linspace(-1, 1, side)], indexing="ij")
    outline = rng.uniform(0.45, 0.6) + 0.05 * np.sin(3 * np.arctan2(y, x) + rng.uniform(0, 6))
    blotches = gaussian_filter(rng.normal(size=(side, side, 3)), (side / 25, side / 25, 0.5))
    levels = np.array([110, 60, 130]) + 18 * blotches / blotches.std()
    inside = (np.hypot(y - 0.05, x + 0.08) < outline)[..., None]
    return (levels.clip(20, 235) * inside).round().astype(np.uint8)


def moved(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.roll(image, rng.integers(-6, 7, 2), axis=(0, 1))


def brightened(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (image * rng.uniform(0.85, 1.15)).clip(0, 255).round().astype(np.uint8)


def compressed(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    with io.BytesIO() as data:
        Image.fromarray(image).save(data, "JPEG", quality=int(rng.integers(70, 96)))
        return np.asarray(Image.open(data).convert("RGB"))


def cut_again(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Take the rim away, or a slice at one side."""
    kept = image.any(axis=2)
    if rng.integers(2):
        kept = binary_erosion(kept, iterations=int(rng.integers(1, 3)))
    else:
        rows = np.flatnonzero(kept.any(axis=1))
        kept = kept & (np.arange(len(image)) > rows[0] + len(rows) // 12)[:, None]
    return np.where(kept[..., None], image, 0).astype(np.uint8)


def photographed_again(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    noisy = gaussian_filter(image.astype(float), (0.6, 0.6, 0)) + rng.normal(0, 3, image.shape)
    return (noisy.clip(0, 255) * image.any(axis=2, keepdims=True)).round().astype(np.uint8)


ALTERATIONS = (moved, brightened, compressed, cut_again, photographed_again)
BLURRED = {2, 4}
"""Compressed and photographed again: of cells with little texture, both together can hide a copy."""


def index_of(folder: Path, images: dict[str, np.ndarray], **columns: list[object]) -> pd.DataFrame:
    """Write images and list them as data/index.csv does."""
    rows = []
    for name, image in images.items():
        Image.fromarray(np.ascontiguousarray(image)).save(folder / f"{name}.bmp")
        height, width = image.shape[:2]
        look = {"width": width, "height": height, "pixels": sha256(np.ascontiguousarray(image).tobytes())}
        rows.append({"id": name, "path": f"{name}.bmp"} | look)
    return pd.DataFrame(rows).assign(**{"subject": list(images), "label": 1} | columns)


def found(folder: Path, images: dict[str, np.ndarray], difference: float | None = DIFFERENCE) -> pd.DataFrame:
    return copies.find(index_of(folder, images), folder, difference)


def pairs(table: pd.DataFrame) -> set[tuple[str, str]]:
    return set(zip(table.one, table.other, strict=True))


@example(seed=901467, turn=0, alterations={0, 2, 4})
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32 - 1),
    turn=st.sampled_from(list(TURNS)),
    alterations=st.sets(st.sampled_from(range(len(ALTERATIONS))), min_size=1, max_size=3).filter(
        lambda chosen: not chosen >= BLURRED
    ),
)
def test_an_altered_copy_is_found_and_different_cells_are_not(
    tmp_path: Path, seed: int, turn: int, alterations: set[int]
) -> None:
    images = {f"cell-{k}": cell(seed + k) for k in range(5)}
    altered, rng = turned(images["cell-2"], turn), np.random.default_rng(seed)
    for k in sorted(alterations):
        altered = ALTERATIONS[k](np.ascontiguousarray(altered), rng)
    table = found(tmp_path, images | {"copy": altered})
    assert pairs(table) == {("cell-2", "copy")}
    assert inverse(turn) == table.turn[0]


@pytest.mark.parametrize("alter", ALTERATIONS, ids=lambda alter: alter.__name__)
@pytest.mark.parametrize("side", [48, 450])
def test_each_alteration_is_found_at_every_size(tmp_path: Path, alter: Alteration, side: int) -> None:
    images = {f"cell-{k}": cell(k, side) for k in range(3)}
    table = found(tmp_path, images | {"copy": alter(images["cell-1"], np.random.default_rng(0))})
    assert pairs(table) == {("cell-1", "copy")}


def test_a_background_that_is_not_black_does_not_hide_a_copy(tmp_path: Path) -> None:
    lighter = (cell(0).astype(int) + 10).clip(0, 255).astype(np.uint8)
    assert pairs(found(tmp_path, {"a": cell(0), "b": np.roll(lighter, 4, axis=0), "c": cell(1)})) == {("a", "b")}


@pytest.mark.parametrize("turn", TURNS)
def test_the_recorded_turn_maps_the_second_image_to_the_first_in_either_order(tmp_path: Path, turn: int) -> None:
    for names in (("a", "b"), ("b", "a")):
        images = dict(zip(names, (cell(3), turned(cell(3), turn)), strict=True))
        (pair,) = found(tmp_path, images).itertuples()
        assert (pair.one, pair.other, pair.kind) == ("a", "b", "near" if turn else "exact")
        assert np.array_equal(images["a"], turned(images["b"], pair.turn))
        assert (pair.difference, pair.equal) == (0, 1)


def test_only_exact_copies_are_listed_if_near_copies_are_not_searched_for(tmp_path: Path) -> None:
    images = {"a": cell(0), "b": cell(0), "c": cell(0)[::-1], "d": cell(1)}
    assert found(tmp_path, images, None).to_numpy().tolist() == [["a", "b", "exact", 0, 1.0, 0.0, 1.0]]
    assert pairs(found(tmp_path, images)) == {("a", "b"), ("a", "c"), ("b", "c")}


def test_a_pair_is_a_near_copy_only_below_the_limit_of_the_difference(tmp_path: Path) -> None:
    coarse = (cell(5) // 24 * 24).astype(np.uint8)
    images = {"a": cell(5), "b": coarse}
    (pair,) = found(tmp_path, images, 50.0).itertuples()
    assert found(tmp_path, images, pair.difference).empty
    assert len(found(tmp_path, images, pair.difference + 0.001)) == 1


def test_images_without_a_cell_or_texture_are_never_near_copies(tmp_path: Path) -> None:
    disc = np.where(cell(0).any(axis=2, keepdims=True), np.uint8(90), np.uint8(0)).repeat(3, axis=2)
    black = np.zeros_like(disc)
    assert found(tmp_path, {"a": black, "b": disc, "c": disc + (disc > 0), "d": black}).kind.tolist() == ["exact"]
    assert found(tmp_path, {"a": cell(0)}).empty


def test_of_very_many_copies_the_most_similar_are_listed_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proposals, "MOST", 3)
    monkeypatch.setattr(copies, "MANY", 2)
    images = {f"copy-{k}": np.roll(cell(0), k, axis=0) for k in range(9)} | {"cell": cell(1)}
    index = index_of(tmp_path, images)
    with pytest.warns(UserWarning, match="5 images have 2 or more near-copies each.*bring the original images alone"):
        table = copies.find(index, tmp_path, DIFFERENCE)
    assert table.one.value_counts().max() == 3
    assert set(table.one) | set(table.other) == images.keys() - {"cell"}


def test_the_table_of_copies_does_not_depend_on_the_order_of_images(tmp_path: Path) -> None:
    images = {
        f"cell-{k}": cell(k // 2) if k % 2 else brightened(cell(k // 2), np.random.default_rng(k)) for k in range(8)
    }
    index = index_of(tmp_path, images)
    tables = [copies.find(rows, tmp_path, DIFFERENCE).drop(columns="difference") for rows in (index, index[::-1])]
    assert tables[0].equals(tables[1])
    assert pairs(tables[0]) == {(f"cell-{k}", f"cell-{k + 1}") for k in range(0, 8, 2)}


def test_the_summary_counts_pairs_people_and_classes() -> None:
    index = pd.DataFrame({"id": list("abcd"), "subject": ["1", "1", "2", "H3"], "label": [1, 1, 1, 0]})
    table = pd.DataFrame([("a", "b"), ("a", "c"), ("b", "c"), ("c", "d")], columns=["one", "other"])
    assert copies.summary(index, table) == {
        "pairs": 4,
        "pairs_across_subjects": 3,
        "pairs_by_subjects": {"1 and 2": 2, "2 and H3": 1},
        "subjects": ["1", "2", "H3"],
        "across_subjects": [["a", "c"], ["b", "c"], ["c", "d"]],
        "between_classes": [["c", "d"]],
    }


def test_near_copies_between_subjects_are_shown_first_and_doubtful_ones_last() -> None:
    index = pd.DataFrame({"id": list("abcd"), "subject": ["1", "1", "2", "2"]})
    rows = [("a", "b", "near", 2.0), ("a", "c", "near", 1.0), ("b", "c", "exact", 0.0), ("b", "d", "near", 0.5)]
    table = pd.DataFrame(rows, columns=["one", "other", "kind", "difference"])
    assert copies.most_doubtful(index, table, 9).index.tolist() == [2, 3, 1, 0]
    assert copies.most_doubtful(index, table, 3).index.tolist() == [3, 1, 0]
    assert copies.most_doubtful(index, table, 1).index.tolist() == [1]


def test_equal_data_give_equal_pictures_and_pairs_not_drawn_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "SHOWN", 2)
    index = index_of(tmp_path, {"a": cell(0), "b": cell(0)[::-1], "c": cell(0)[:, ::-1]}, label=[1, 0, 1])
    table = copies.find(index, tmp_path, DIFFERENCE)
    for name in ("first", "second"):
        pictures.draw(index, table, tmp_path, tmp_path / name)
    first, second = ({file.name: file.read_bytes() for file in (tmp_path / n).iterdir()} for n in ("first", "second"))
    assert first == second
    assert first.keys() == {"0.png", "1.png", "pairs.json"}
    drawn = read_json(tmp_path / "first/pairs.json")
    assert (drawn["rest"], drawn["pairs"][0]["subjects"], drawn["pairs"][0]["labels"]) == (1, ["a", "b"], [1, 0])
    picture = np.asarray(Image.open(tmp_path / "first/0.png"))
    assert np.array_equal(picture[:, : pictures.SIDE], picture[:, -pictures.SIDE :])  # the other was turned back


@pytest.mark.parametrize("searched", [True, False])
def test_prepare_lists_the_embedded_data_s_altered_copies(tmp_path: Path, tiny: Params, searched: bool) -> None:
    dataset = tiny.dataset.model_copy(update={"near_copies": searched, "side": 80})
    paths = Paths(tmp_path)
    prepare.run(tiny.model_copy(update={"dataset": dataset}), paths)
    table, index = pd.read_csv(paths.copies), pd.read_csv(paths.index).set_index("id")
    assert table.columns.tolist() == list(copies.COPIES)
    assert (table.one < table.other).all()
    assert table.kind.value_counts().to_dict() == {"exact": 2} | ({"near": 2} if searched else {})
    assert (index.subject[table.one].to_numpy() != index.subject[table.other].to_numpy()).all()
    counts = read_json(paths.dataset_metrics)["copies"]
    assert counts["exact"]["pairs"] == read_json(paths.dataset_metrics)["duplicate_pairs"] == 2
    assert (counts["near"] and counts["near"]["pairs_across_subjects"]) == (2 if searched else None)
    assert read_json(paths.copies_plots / "pairs.json")["rest"] == 0


def test_without_copies_the_table_has_only_its_header(tmp_path: Path, tiny: Params) -> None:
    assert tiny.dataset.synthetic
    unaltered = tiny.dataset.synthetic.model_copy(update={"duplicates": 0, "altered": 0})
    dataset = tiny.dataset.model_copy(update={"synthetic": unaltered})
    prepare.run(tiny.model_copy(update={"dataset": dataset}), Paths(tmp_path))
    assert Paths(tmp_path).copies.read_text() == ",".join(copies.COPIES) + "\n"


def test_a_near_copy_with_another_label_is_a_warning_that_names_both_images(tmp_path: Path, tiny: Params) -> None:
    assert tiny.dataset.synthetic
    paths = Paths(tmp_path)
    synthetic.write(paths.raw, tiny.dataset.synthetic, 80, seed=1)
    blast = next(entry for entry in cnmc.read(paths.raw).cells if entry.label)
    healthy = next(paths.raw.rglob("fold_1/hem")) / "UID_H77_1_1_hem.bmp"
    with Image.open(blast.path) as image:
        image.transpose(Image.Transpose.ROTATE_90).save(healthy)
    dataset = tiny.dataset.model_copy(update={"source": "cnmc", "side": 80})
    with pytest.warns(UserWarning, match="different labels") as caught:
        prepare.run(tiny.model_copy(update={"dataset": dataset}), paths)
    assert str(caught[0].message).startswith(
        f"pairs of near-copies with different labels (1): {blast.id} and {healthy.stem}; look"
    )
    assert read_json(paths.dataset_metrics)["copies"]["near"]["between_classes"] == [[blast.id, healthy.stem]]


def test_in_c_nmc_the_near_copies_of_subject_17_are_found_and_no_other_pair_of_people(
    tmp_path: Path, real_sample: Path
) -> None:
    """Subject 17 shares cells with 20 and 21, under other light; 14 shares none with any of them."""
    wanted = ("UID_17_", "UID_20_", "UID_21_", "UID_14_")
    with zipfile.ZipFile(real_sample) as archive:
        names = [name for name in archive.namelist() if Path(name).name.startswith(wanted)]
        images = {Path(name).stem: np.asarray(Image.open(io.BytesIO(archive.read(name)))) for name in names}
    index = index_of(tmp_path, images).assign(subject=[name.split("_")[1] for name in images])
    table = copies.find(index, tmp_path, DIFFERENCE)
    near = copies.summary(index, table[table.kind == "near"])
    assert near["subjects"] == ["17", "20", "21"]
    assert (table[table.kind == "near"].turn == 0).all()


def test_only_its_inverse_undoes_a_turn() -> None:
    image = np.arange(9).reshape(3, 3)
    assert len({turned(image, turn).tobytes() for turn in TURNS}) == 8
    for turn, again in itertools.product(TURNS, repeat=2):
        assert np.array_equal(turned(turned(image, turn), again), image) == (again == inverse(turn))
