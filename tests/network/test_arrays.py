from pathlib import Path

import numpy as np
import pytest

from wen.errors import WenError
from wen.network.arrays import array_path, read, writers
from wen.network.inputs import batches


def test_what_is_written_in_batches_is_one_array_that_numpy_reads(tmp_path: Path) -> None:
    values = np.arange(7 * 2 * 3, dtype=np.float32).reshape(7, 2, 3)
    half, path = tmp_path / "half.npy", tmp_path / "complete.npy"
    with writers([path, half], rows=7) as files:
        for batch in (values[:3], values[3:6], values[6:]):
            files[0].append(batch)
            files[1].append(batch.astype(np.float16))
    assert (np.load(path) == values).all()
    assert np.load(half).dtype == np.float16


def test_rows_are_read_in_the_order_asked_for(tmp_path: Path) -> None:
    path = array_path(tmp_path, "pooled", 3)
    np.save(path, np.arange(20).reshape(10, 2))
    batches = list(read(path, [np.array([7, 1]), np.array([3])]))
    assert [batch.tolist() for batch in batches] == [[[14, 15], [2, 3]], [[6, 7]]]


@pytest.mark.parametrize(("rows", "error"), [(6, MemoryError), (8, ValueError)])
def test_an_array_with_fewer_or_more_rows_than_announced_is_an_error(
    tmp_path: Path, rows: int, error: type[Exception]
) -> None:
    path = tmp_path / "pooled-0.npy"
    with pytest.raises(error, match=rf"pooled-0\.npy: .*{rows}.* rows"), writers([path], 7) as files:
        files[0].append(np.zeros((rows, 2)))
    assert files[0].file.closed


def test_an_error_while_writing_is_raised_rather_than_one_about_missing_rows(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no space"), writers([tmp_path / "a.npy", tmp_path / "b.npy"], 7) as files:
        files[0].append(np.zeros((3, 2)))
        raise OSError("no space")
    assert all(file.file.closed for file in files)


@pytest.mark.parametrize("shape", [(5, 2), ()])
def test_an_array_with_fewer_rows_than_asked_for_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "pooled-0.npy"
    np.save(path, np.zeros(shape))
    with pytest.raises(WenError, match=r"pooled-0\.npy: .*too short for row 5 of data/index\.csv; .*`dvc repro`"):
        list(read(path, [np.array([0]), np.array([5, 2])][shape == () :]))


@pytest.mark.parametrize("content", [None, b"", b"not an array"])
def test_a_missing_or_broken_array_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "pooled-0.npy"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WenError, match=r"pooled-0\.npy: .*`dvc repro`"):
        next(read(path, [np.array([0])]))


@pytest.mark.parametrize(("images", "size"), [(2, 2), (3, 2), (5, 2), (8, 2), (4, 3), (17, 16)])
def test_no_batch_holds_a_single_image(images: int, size: int) -> None:
    rows = batches(np.arange(images), size)
    assert np.concatenate(rows).tolist() == list(range(images))
    assert min(map(len, rows)) >= 2
    assert max(map(len, rows)) <= max(size, 3)


def test_a_fold_without_images_names_the_split() -> None:
    with pytest.raises(WenError, match=r"data/split\.csv: no image .*`dvc repro split`"):
        batches(np.arange(0), 16)
