"""``wen classify --address``: images spread over a Ray cluster, their results in the images' order."""

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
from wen.config.member import Member
from wen.config.params import Params
from wen.config.paths import Paths
from wen.errors import WenError
from wen.files import atomic
from wen.launch.connect import connected
from wen.members.apply import Answer, Preparation, classify, models, predictor_of
from wen.network import device

BATCH = 256
"""Images that a worker gets at once; it runs the network on ``train.batch_size`` of them."""


@dataclass(frozen=True)
class Work:
    """What a worker needs besides the weights."""

    members: list[Member]
    params: Params
    how: Preparation
    code: str
    """As `code` gives it where the images are sent from."""


def on_cluster(files: Sequence[str], work: Work, paths: Paths, address: str) -> Iterator[Answer | str]:
    """Do what `wen.members.apply.classify` does, on all nodes of a cluster, which have to see the files.

    The weights are sent to the nodes, the code is not: a node with other code is refused. Results come as they are
    read, so memory holds a few batches.

    Raises
    ------
    WenError
        If Ray is not installed, there is no such cluster, the address is of Ray's client, which Ray Data lacks, or a
        node fails or has other code.
    """
    if address.startswith("ray://"):
        raise WenError(f"--address {address}: run this on a node of the cluster, with --address auto")
    with connected(address) as ray:
        options = ray.data.DataContext.get_current()
        options.execution_options.preserve_order = True
        options.enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)  # after ray.data has set it
        weights = ray.put({path.relative_to(paths.root): path.read_bytes() for path in models(work.members, paths)})
        resources = ray.cluster_resources()
        gpus = int(resources.get("GPU", 0))
        most = gpus or max(1, int(resources["CPU"]) // work.params.compute.threads)
        names = [{"file": os.fsencode(os.path.abspath(file))} for file in files]  # bytes: Arrow has no other for some
        rows = ray.data.from_items(names).map_batches(
            _Worker,
            fn_constructor_args=(weights, work),
            batch_size=BATCH,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=most),
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
    """SHA-256 of the Python files that are run as ``wen`` here, whatever their line ends."""
    root = Path(wen.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        digest.update(f"{file.relative_to(root).as_posix()}\0".encode())
        digest.update(file.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()


class _Worker:
    """Holds the networks on a node."""

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
        nothing = Answer(np.full(self.width, np.nan), "")
        answers = [nothing if isinstance(row, str) else row for row in found]
        return {
            "probability": np.stack([answer.probability for answer in answers]),
            "warning": np.array([answer.warning for answer in answers]),
            "problem": np.array([row if isinstance(row, str) else "" for row in found]),
            "refused": np.array([self.refused] * len(files)),
        }
