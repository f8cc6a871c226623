"""``wen classify --address``: classify images on a Ray cluster, with the results in the order of the images."""

import hashlib
import logging
import os
import socket
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import wen
from wen.code.executed import LITTER
from wen.config.member import Member
from wen.config.params import Params
from wen.config.paths import Paths
from wen.errors import WenError
from wen.files import atomic
from wen.launch.connect import connected
from wen.members.apply import Answer, Preparation, classify, models, predictor_of
from wen.network import device

BATCH = 256
"""Images that a worker receives at once; the network's batch size is ``train.batch_size``."""


@dataclass(frozen=True)
class Work:
    """Everything that a worker needs besides the weights."""

    members: list[Member]
    params: Params
    how: Preparation
    code: str
    """Result of `code` on the machine that sends the images."""


def on_cluster(files: Sequence[str], work: Work, paths: Paths, address: str) -> Iterator[Answer | str]:
    """Classify files on all nodes of a cluster, like `wen.members.apply.classify`. The nodes must see the files.

    The weights are sent to the nodes. The code is not, so a node whose code differs is rejected. Results are streamed,
    so that memory holds only a few batches.

    Raises
    ------
    WenError
        If Ray is not installed, no cluster answers, the address is that of a Ray client (which Ray Data does not
        support), or a node fails or has other code.
    """
    if address.startswith("ray://"):
        raise WenError(f"--address {address}: run this on a node of the cluster, with --address auto")
    with connected(address) as ray:
        options = ray.data.DataContext.get_current()
        options.execution_options.preserve_order = True
        options.enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)  # importing ray.data resets the level
        weights = ray.put({path.relative_to(paths.root): path.read_bytes() for path in models(work.members, paths)})
        resources = ray.cluster_resources()
        gpus = int(resources.get("GPU", 0))
        max_workers = gpus or max(1, int(resources["CPU"]) // work.params.compute.threads)
        names = [{"file": os.fsencode(os.path.abspath(file))} for file in files]  # Arrow strings must be UTF-8
        rows = ray.data.from_items(names).map_batches(
            _Worker,
            fn_constructor_args=(weights, work),
            batch_size=BATCH,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=max_workers),
            num_cpus=work.params.compute.threads,
            num_gpus=1 if gpus else 0,
        )
        try:
            for row in rows.iter_rows():
                if row["refused"]:
                    raise WenError(row["refused"])
                yield row["problem"] or Answer(np.asarray(row["probability"]), row["warning"])
        except ray.exceptions.RayError as error:
            last = str(error).strip().splitlines()[-1]
            raise WenError(
                f"--address {address}: a node failed: {last}. Every node needs `wen` at the same commit"
            ) from None


def code() -> str:
    """Return the SHA-256 of the Python files of the imported ``wen``, independent of their line ends."""
    root = Path(wen.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(path for path in root.rglob("*.py") if not path.name.startswith(LITTER)):
        digest.update(f"{file.relative_to(root).as_posix()}\0".encode())
        digest.update(file.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()


class _Worker:
    """Ray actor that holds the classifier on a node."""

    def __init__(self, weights: Any, work: Work) -> None:
        import ray

        self.how, self.width, self.refused = work.how, 0, ""
        if code() != work.code:
            self.refused = (
                f"node {socket.gethostname()} runs other code: {Path(wen.__file__).parent} differs from that of the "
                "machine that sends the images; check out the same commit on both"
            )
            return
        params = work.params
        device.settle(params.compute)
        content = ray.get(weights)
        with tempfile.TemporaryDirectory() as name:
            paths = Paths(Path(name))
            for path, weight in content.items():
                with atomic(paths.root / path) as partial:
                    partial.write_bytes(weight)
            self.predictor = predictor_of(work.members, params, paths, device.choose("auto", params.compute))
        self.width = len(work.members)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        files = [os.fsdecode(name) for name in batch["file"]]
        found = [""] * len(files) if self.refused else list(classify(files, self.predictor, self.how))
        no_answer = Answer(np.full(self.width, np.nan), "")
        answers = [no_answer if isinstance(row, str) else row for row in found]
        return {
            "probability": np.stack([answer.probability for answer in answers]),
            "warning": np.array([answer.warning for answer in answers]),
            "problem": np.array([row if isinstance(row, str) else "" for row in found]),
            "refused": np.array([self.refused] * len(files)),
        }
