"""``wen selftest``: check that a device computes the same as the CPU, reproducibly and without waiting.

The project's tests run on a CPU. This runs the same code on the device of a study, with a bundled network and synthetic
cells.
"""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from wen.bar import track
from wen.errors import WenError
from wen.members import finetune
from wen.network import backbone, device
from wen.network.cost import count, memory_of_stage_2
from wen.network.cut import cut
from wen.network.inputs import inputs_for
from wen.selftest.trial import MEMBER, Study, demo, outputs, quietly, stopped_after
from wen.selftest.waits import CountWaits

TOLERANCES = {torch.float32: 1e-3, torch.bfloat16: 0.3, torch.float16: 0.1}
"""Largest root mean square deviation from the CPU's float32 logits, in standard deviations of the logits."""
DISTINCT = 0.99
"""Smallest fraction of distinct logits; it would be about a half if the head computed in bfloat16."""
MEMORY = 0.8, 1.5
"""Bounds of the peak memory relative to the figure of `wen plan`, which does not include cuDNN's workspaces."""


@dataclass(frozen=True)
class Result:
    """Result of a check."""

    passed: bool | None
    """None if the check does not apply to this device."""
    measured: str
    limit: str
    """Requirement on the measured value."""


def run(device_name: str = "auto", size: int = 96) -> None:
    """Run the checks and print a table of their results and measurements.

    All files are written to a temporary folder; params.yaml is not read.

    Parameters
    ----------
    device_name : str
    size : int
        Side of the images, in px.

    Raises
    ------
    WenError
        If a check failed.
    """
    where = device.choose(device_name, demo(size).compute)
    with tempfile.TemporaryDirectory() as folder:
        study = Study(demo(size), Path(folder), where)
        checks = track(CHECKS.items(), "selftest")
        results = {name: _result(check, study) for name, check in checks}
    Console(width=110).print(_table(results, where))
    if failed := [name for name, result in results.items() if result.passed is False]:
        raise WenError(
            f"{len(failed)} of {len(results)} checks failed on {where}: {', '.join(failed)}; do not trust results "
            "computed on this device"
        )


def logits_in_float32(study: Study) -> Result:
    return _compare_logits(study, torch.float32)


def logits_in_mixed_precision(study: Study) -> Result:
    return _compare_logits(study, study.half)


def _compare_logits(study: Study, dtype: torch.dtype) -> Result:
    """Measure the deviation of the device's logits from the CPU's."""
    reference = study.reference
    deviation = ((study.logits(dtype) - reference).square().mean().sqrt() / reference.std()).item()
    limit = TOLERANCES[dtype]
    return Result(deviation <= limit, f"{device.name_of(dtype)}: {deviation:.2g} sd off", f"<= {limit:g} sd")


def logits_are_distinct(study: Study) -> Result:
    """Check that mixed precision does not round the logits of different images to the same value."""
    logits = study.logits(study.half)
    fraction = len(logits.unique()) / len(logits)
    return Result(fraction >= DISTINCT, f"{len(logits.unique())} values of {len(logits)} logits", f">= {DISTINCT:.0%}")


def equal_runs_give_equal_bytes(study: Study) -> Result:
    first, second = outputs(study.first), outputs(study.trained("again"))
    differing = [name for name in first if first[name] != second.get(name)]
    return Result(not differing, f"{len(differing)} of {len(first)} files differ", "0")


def a_resumed_training_gives_equal_bytes(study: Study) -> Result:
    """Interrupt a training after its first epoch and again in stage 2, and compare its outputs."""
    paths = study.copy("resumed")
    shutil.copytree(study.first.features, paths.features)
    for epochs in (1, 2):
        with stopped_after(epochs):
            finetune.run(study.params, paths, MEMBER, str(study.where))
    finetune.run(study.params, paths, MEMBER, str(study.where))
    uninterrupted, resumed = outputs(study.first), outputs(paths)
    differing = [name for name in uninterrupted if uninterrupted[name] != resumed.get(name)]
    return Result(not differing, f"stopped twice; {len(differing)} of {len(uninterrupted)} files differ", "0")


def no_step_waits(study: Study) -> Result:
    """Check that the number of waits in an epoch does not depend on its number of steps."""
    params = study.at(study.half)
    network, parts = study.network(study.where, study.half)
    inputs = inputs_for("activations", params, study.first, network, study.where)

    def waits(steps: int) -> int:
        with CountWaits(study.where) as counter:
            study.fit(params, parts.tail, inputs, steps)
        return counter.total

    waits(2)  # excludes the waits of the first call in a process
    few, many = waits(2), waits(4)
    return Result(many == few, f"{few} waits in epochs of 2 steps, {many} in epochs of 4", "equal")


def peak_memory_is_as_planned(study: Study) -> Result:
    """Compare the peak memory of stage 2 with the plan, in float32 with all blocks trained and a large batch.

    In this setting, the counted memory dominates.
    """
    finetune = study.params.finetune.model_copy(update={"unfreeze_from": "blocks.0"})
    batch = study.params.train.model_copy(update={"batch_size": 32})
    params = study.at(torch.float32).model_copy(update={"finetune": finetune, "train": batch})
    planned = memory_of_stage_2(params, count(params))
    if study.where.type != "cuda":
        return Result(None, f"planned {planned / 1e9:.2f} GB", f"{MEMORY[0]:g} to {MEMORY[1]:g} times the plan")
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    network = backbone.load(params, study.first.backbone, study.where)
    parts = cut(network, "blocks.0")
    inputs = inputs_for("activations", params, study.first, network, study.where)
    study.fit(params, parts.tail, inputs, 1)
    return compare_memory(torch.cuda.max_memory_allocated() - before, planned)


def compare_memory(measured: float, planned: float) -> Result:
    """Compare a measured peak with the planned memory, both in bytes."""
    ratio, (least, most) = measured / planned, MEMORY
    text = f"{measured / 1e9:.2f} GB, {ratio:.2f} times the plan"
    return Result(least <= ratio <= most, text, f"{least:g} to {most:g} times")


CHECKS: dict[str, Callable[[Study], Result]] = {
    "logits in float32 agree with timm on the CPU": logits_in_float32,
    "logits in mixed precision agree with timm on the CPU": logits_in_mixed_precision,
    "logits in mixed precision keep their digits": logits_are_distinct,
    "equal runs give equal bytes": equal_runs_give_equal_bytes,
    "a resumed training gives equal bytes": a_resumed_training_gives_equal_bytes,
    "no step waits for the device": no_step_waits,
    "peak memory of stage 2 agrees with `wen plan`": peak_memory_is_as_planned,
}


def _result(check: Callable[[Study], Result], study: Study) -> Result:
    """Run a check; an exception counts as a failure."""
    try:
        with quietly(study.root):
            return check(study)
    except (RuntimeError, WenError) as error:
        return Result(False, " ".join(str(error).split())[:200], "to end")


def _table(results: dict[str, Result], where: torch.device) -> Table:
    about = torch.cuda.get_device_name(where) if where.type == "cuda" else where.type
    table = Table(title=f"{where} ({about}), torch {torch.__version__}", title_justify="left")
    for heading in ("check", "", "measured", "required"):
        table.add_column(heading)
    words = {True: "passed", False: "FAILED", None: "not applicable"}
    for name, result in results.items():
        table.add_row(name, words[result.passed], result.measured, result.limit)
    return table
