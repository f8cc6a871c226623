"""Stage ``repeats``: the study of frozen features over many splits, and so the distribution behind the one it reports.

Stage 1's heads, both kinds of ensembles and the baselines are trained and chosen anew on every split. They learn from
images as they are: random views exist of this study's development images alone. Heads predict as `predict.tta` says.
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
from wen.repeats.one_split import Material, studied
from wen.repeats.table import IMAGE, SUBJECT
from wen.signals import end_with_parent

Draw = tuple[str, int]
"""The unit of a split, and the number of the repeat."""
Found = list[dict[str, Any]] | str


def run(params: Params, paths: Paths, device_name: str = "auto") -> None:
    """Write data/repeats.csv; `wen.repeats.table.write` describes its columns.

    ``compute.threads`` splits are studied side by side, each on one core, so the numbers do not depend on it. A draw
    that gives no split, such as one with a fold of one class, is left out and counted.

    Raises
    ------
    WenError
        If an earlier stage's output is missing, or a number in it is infinite or undefined.
    """
    numbers = {SUBJECT: params.repeats.subject, IMAGE: params.repeats.image}
    if numbers[SUBJECT] and not has_subjects(read_index(paths)):
        raise WenError("repeats.subject: the subjects of the images are unknown; set 0")
    draws = [(unit, repeat) for unit, number in numbers.items() for repeat in range(number)]
    found = _side_by_side(_material(params, paths, device_name), draws, params.compute.threads) if draws else []
    refused = [reason for reason in found if isinstance(reason, str)]
    table.write(paths.repeats, [row for rows in found if not isinstance(rows, str) for row in rows])
    if refused:
        print(f"repeats: {len(refused)} of {len(draws)} draws gave no valid split and are left out. {refused[0]}")


def _material(params: Params, paths: Paths, device_name: str) -> Material:
    """Read or compute all that the splits share."""
    params = params.model_copy(update={"compute": device.for_storage(params.compute)})
    index, copies = read_index(paths), read_copies(paths)
    device.settle(params.compute)
    stored = BaselineInputs(params, paths, device_name)
    every = batches(np.arange(len(index)), BATCH)
    values = []
    for view in views_of(params.predict):
        features = np.concatenate([stored.pooled(rows, view) for rows in every])
        values.append(np.column_stack([features, np.ones(len(features), np.float32)]))
    pooled = values[0][:, :-1]

    def batch(rows: np.ndarray) -> Batch:
        return Batch(lambda: stored.images(rows), lambda: pooled[rows])

    return Material(
        params, index, copies, values, {name: numbers_of(name, batch, index.id) for name in params.baselines}
    )


def _side_by_side(material: Material, draws: Sequence[Draw], workers: int) -> list[Found]:
    """Study the splits in so many processes; with one, in this one."""
    workers = min(workers, len(draws))
    if workers == 1:
        return _in_turn(material, draws)
    shares = [draws[k::workers] for k in range(workers)]
    try:
        with ProcessPoolExecutor(workers, get_context("spawn"), _begin) as pool:
            return [found for share in pool.map(partial(_in_turn, material), shares) for found in share]
    except BrokenProcessPool:
        raise WenError(
            "repeats: the system ended a process, most likely for lack of memory; end other programs, then run `dvc "
            "repro`"
        ) from None


def _in_turn(material: Material, draws: Sequence[Draw]) -> list[Found]:
    with threadpool_limits(1):
        return [studied(material, *draw) for draw in draws]


def _begin() -> None:
    """Leave signals to the stage's own process, and end with it, even if it was killed while this one started."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_parent()
    stage = parent_process()
    if stage and not stage.is_alive():
        os._exit(1)
