"""Stage ``repeats``: repeat the study with frozen features on many random splits, to measure how much results vary.

For every split, the heads of stage 1, both kinds of ensembles and the baselines are fitted and selected again. Heads
train on the unchanged images, because random views are stored for the study's development images only, and predict
with `predict.tta`.
"""

import os
import signal
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context, parent_process
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from wen.config.params import Params
from wen.config.paths import Paths
from wen.data.table import has_subjects, read_copies, read_index
from wen.errors import WenError
from wen.members.baseline import Batch
from wen.members.classical import BATCH, BaselineInputs, numbers_of
from wen.network import device
from wen.network.inputs import batches, views_of
from wen.repeats import table
from wen.repeats.one_split import Material, run_split
from wen.repeats.table import IMAGE, SUBJECT
from wen.signals import end_with_parent

Draw = tuple[str, int]
"""The unit of a split and the number of the repeat."""
Result = list[dict[str, Any]] | str
"""Rows of data/repeats.csv, or the reason why a draw is not a valid split."""


def run(params: Params, paths: Paths, device_name: str = "auto") -> None:
    """Write data/repeats.csv; `wen.repeats.table.write` describes its columns.

    ``compute.threads`` splits run in parallel, each on one core, so that the results do not depend on it. Draws that
    are not a valid split, such as one with too few people of a class, are skipped and counted.

    Raises
    ------
    WenError
        If an output of an earlier stage is missing, or holds an infinite or NaN value.
    """
    numbers = {SUBJECT: params.repeats.subject, IMAGE: params.repeats.image}
    if numbers[SUBJECT] and not has_subjects(read_index(paths)):
        raise WenError("repeats.subject: the subjects of the images are unknown; set 0")
    draws = [(unit, repeat) for unit, number in numbers.items() for repeat in range(number)]
    results = _run_in_parallel(_material(params, paths, device_name), draws, params.compute.threads) if draws else []
    skipped = [reason for reason in results if isinstance(reason, str)]
    table.write(paths.repeats, [row for rows in results if not isinstance(rows, str) for row in rows])
    if skipped:
        print(f"repeats: {len(skipped)} of {len(draws)} draws gave no valid split and are left out. {skipped[0]}")


def _material(params: Params, paths: Paths, device_name: str) -> Material:
    """Read or compute the data that all splits share."""
    params = params.model_copy(update={"compute": device.for_storage(params.compute)})
    index, copies = read_index(paths), read_copies(paths)
    device.settle(params.compute)
    inputs = BaselineInputs(params, paths, device_name)
    all_batches = batches(np.arange(len(index)), BATCH)
    values = []
    for view in views_of(params.predict):
        features = np.concatenate([inputs.pooled(rows, view) for rows in all_batches])
        values.append(np.column_stack([features, np.ones(len(features), np.float32)]))
    pooled = values[0][:, :-1]

    def batch(rows: np.ndarray) -> Batch:
        return Batch(lambda: inputs.images(rows), lambda: pooled[rows])

    return Material(
        params, index, copies, values, {name: numbers_of(name, batch, index.id) for name in params.baselines}
    )


def _run_in_parallel(material: Material, draws: Sequence[Draw], workers: int) -> list[Result]:
    """Run the splits in several processes; with a single worker, in this process."""
    workers = min(workers, len(draws))
    if workers == 1:
        return _run_serially(material, draws)
    shares = [draws[k::workers] for k in range(workers)]
    try:
        with ProcessPoolExecutor(workers, get_context("spawn"), _initialise_worker) as pool:
            return [result for share in pool.map(partial(_run_serially, material), shares) for result in share]
    except BrokenProcessPool:
        raise WenError(
            "repeats: the system ended a process, most likely for lack of memory; end other programs, then run `dvc "
            "repro`"
        ) from None


def _run_serially(material: Material, draws: Sequence[Draw]) -> list[Result]:
    with threadpool_limits(1):
        return [run_split(material, *draw) for draw in draws]


def _initialise_worker() -> None:
    """Leave signals to the parent process, and exit when it ends, also if it was killed while this worker started."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_parent()
    parent = parent_process()
    if parent and not parent.is_alive():
        os._exit(1)
