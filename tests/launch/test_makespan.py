"""How long independent jobs take on so many workers."""

import math
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wen.config.params import Params
from wen.config.paths import Paths
from wen.errors import WenError
from wen.launch import makespan
from wen.times import spent

SECONDS = st.lists(st.floats(0.1, 1e4), min_size=1, max_size=20)


@given(SECONDS)
def test_one_worker_takes_the_sum_and_a_worker_each_the_longest(seconds: list[float]) -> None:
    assert math.isclose(makespan.makespan(seconds, 1), sum(seconds))
    assert makespan.makespan(seconds, len(seconds)) == max(seconds)
    assert makespan.makespan(seconds, 3 * len(seconds)) == max(seconds)


@given(SECONDS, st.integers(1, 20))
def test_the_makespan_keeps_to_grahams_bounds(seconds: list[float], workers: int) -> None:
    """No schedule beats the mean load or the longest job; a greedy one is within one job of that (Graham 1966)."""
    found = makespan.makespan(seconds, workers)
    assert found >= max(max(seconds), sum(seconds) / workers) * (1 - 1e-9)
    assert found <= (sum(seconds) / workers + max(seconds) * (1 - 1 / workers)) * (1 + 1e-9)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(1, 3))
def test_the_makespan_is_at_most_twice_that_of_the_best_assignment(seconds: list[int], workers: int) -> None:
    loads = (
        [sum(job for job, at in zip(seconds, places, strict=True) if at == worker) for worker in range(workers)]
        for places in product(range(workers), repeat=len(seconds))
    )
    assert makespan.makespan([*map(float, seconds)], workers) <= 2 * min(max(load) for load in loads)


@pytest.fixture
def recorded(tmp_path: Path, values: dict[str, Any]) -> tuple[Params, Paths]:
    """Three learning rates, two folds; every training two minutes, every prediction one."""
    paths = Paths(tmp_path)
    paths.times.parent.mkdir()
    rows = ["prepare,60", "features,120", *["train-fold,120", "predict-fold,60"] * 6, "ensemble-intra,0", "report,60"]
    paths.times.write_text("".join(f"{row}\n" for row in rows))
    return Params.model_validate(values), paths


def test_the_makespan_counts_the_stages_that_no_worker_can_share(
    recorded: tuple[Params, Paths], capsys: pytest.CaptureFixture[str]
) -> None:
    makespan.run(*recorded, [1, 2, 6, 45])
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["1", "22.00", "1.00"] in rows  # 3 before, 6 x 3, 1 after
    assert ["2", "13.00", "1.69"] in rows
    assert ["6", "7.00", "3.14"] in rows
    assert ["45", "7.00", "3.14"] in rows


def test_after_an_incomplete_run_the_missing_times_are_named(recorded: tuple[Params, Paths]) -> None:
    params, paths = recorded
    paths.times.write_text("train-fold,120\n")
    with pytest.raises(WenError, match="1 trainings and 0 predictions, 6 of each are needed"):
        makespan.run(params, paths, [1])


TORN = [
    b"", b"train-fold", b"train-fold,", b"train-fold,1,2", b"train-fold,1predict-fold,2.0", b"train-fold,nan", b"\0\0",
    b'"', b"\xff,1", b"train-fold,9" * 20_000,
]  # fmt: skip


@pytest.mark.parametrize("row", TORN, ids=lambda row: repr(row[:30]))
def test_a_torn_row_of_the_times_is_ignored(recorded: tuple[Params, Paths], row: bytes) -> None:
    _, paths = recorded
    known = spent(paths)
    head, *rest = paths.times.read_bytes().splitlines(keepends=True)
    paths.times.write_bytes(head + row + b"\r\n" + b"".join(rest))
    assert spent(paths) == known
