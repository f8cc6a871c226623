from pathlib import Path

import numpy as np
import pytest

from wen.errors import WenError
from wen.network.arrays import array_path, read, writers


def test_what_is_written_in_batches_is_one_array_that_numpy_reads(tmp_path: Path) -> None:
    values = np.arange(7 * 2 * 3, dtype=np.float32).reshape(7, 2, 3)
    half, path = tmp_path / "half.npy", tmp_path / "whole.npy"
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


@pytest.mark.parametrize("content", [None, b"", b"not an array"])
def test_a_missing_or_broken_array_is_said(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "pooled-0.npy"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WenError, match=r"pooled-0\.npy: .*`dvc repro`"):
        next(read(path, [np.array([0])]))
