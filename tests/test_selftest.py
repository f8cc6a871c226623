"""`wen selftest` on the CPU: its checks pass, and each fails where what it looks for is wrong."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import linear

from wen.errors import WenError
from wen.members import finetune
from wen.network import fit, inputs, steps
from wen.selftest import checks as selftest
from wen.selftest.checks import CHECKS, Result, Study

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return Study(selftest.demo(32), tmp_path_factory.mktemp("study"), CPU)


def result(study: Study, name: str) -> Result:
    (check,) = (check for label, check in CHECKS.items() if name in label)
    return selftest._result(check, study)


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_passes_on_the_cpu_or_does_not_apply(study: Study, name: str) -> None:
    found = result(study, name)
    assert found.passed is (None if "memory" in name else True), found


def noisy(run: Callable[[torch.Tensor], tuple[torch.Tensor, ...]]) -> Any:
    return lambda images: tuple(output * 1.02 for output in run(images))


def test_a_device_that_computes_other_numbers_is_detected(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    assert study.first.features.exists()
    runner = inputs.runner
    monkeypatch.setattr(inputs, "runner", lambda *options: noisy(runner(*options)))
    found = result(study, "in float32")
    assert found.passed is False, found


def test_logits_of_eight_bits_are_detected(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    assert study.first.features.exists()

    def forward(head: nn.Linear, values: torch.Tensor) -> torch.Tensor:
        return linear(values.bfloat16(), head.weight.bfloat16(), head.bias.bfloat16()).float()

    monkeypatch.setattr(nn.Linear, "forward", forward)
    found = result(study, "keep their digits")
    assert found.passed is False, found


def test_runs_that_differ_are_detected(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    assert study.first.features.exists()
    monkeypatch.setattr(finetune, "initialise", lambda head, *_: nn.init.xavier_uniform_(head.weight))
    found = result(study, "equal runs")
    assert found.passed is False, found


def test_a_resumed_training_without_its_optimiser_state_is_detected(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "restore_optimizer", lambda *_: None)
    found = result(study, "resumed")
    assert found.passed is False, found


def test_a_step_that_waits_is_detected(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    loss = steps.binary_cross_entropy_with_logits

    def asking(*args: Any, **options: Any) -> torch.Tensor:
        found = loss(*args, **options)
        assert float(found) > -1
        return found

    monkeypatch.setattr(steps, "binary_cross_entropy_with_logits", asking)
    found = result(study, "no step waits")
    assert found.passed is False, found


def test_a_memory_peak_far_from_the_plan_is_detected() -> None:
    assert selftest.compare_memory(1.1e9, 1e9).passed is True
    assert selftest.compare_memory(1.6e9, 1e9).passed is False
    assert selftest.compare_memory(0.4e9, 1e9).passed is False


def broken(_: Study) -> Result:
    raise RuntimeError("CUDA error: misaligned address")


def test_the_table_says_what_failed_and_the_end_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a folder without params.yaml, which is left as it was."""
    monkeypatch.chdir(tmp_path)
    checks = {
        "good": lambda _: Result(True, "0.1", "<= 1"),
        "bad": lambda _: Result(False, "2.5", "<= 1"),
        "elsewhere": lambda _: Result(None, "3", "<= 4"),
        "breaks": broken,
    }
    monkeypatch.setattr(selftest, "CHECKS", checks)
    with pytest.raises(WenError, match="2 of 4 checks failed on cpu: bad, breaks; do not trust results"):
        selftest.run("cpu", 32)
    printed = capsys.readouterr().out
    assert re.search("check +┃ +┃ measured +┃ required", printed)
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed.splitlines()]
    assert [row[:3] for row in rows if row] == [
        ["good", "passed", "0.1"],
        ["bad", "FAILED", "2.5"],
        ["elsewhere", "not applicable", "3"],
        ["breaks", "FAILED", "CUDA error: misaligned address"],
    ]
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(selftest, "CHECKS", {"good": checks["good"], "elsewhere": checks["elsewhere"]})
    selftest.run("cpu", 32)
