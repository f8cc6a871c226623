"""A training interrupted after any epoch ends like an uninterrupted one."""

import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import PROJECT
from ruamel.yaml import YAML
from torch import nn

from wen.code import listed
from wen.config.member import Member
from wen.config.params import Images, Params
from wen.config.paths import Paths
from wen.members import finetune, predict
from wen.network import backbone, device, fit
from wen.network.checkpoint import DEPENDS_ON, Checkpoint, Progress, fingerprint

MEMBER = Member("0.001", 0)
CPU = torch.device("cpu")
EPOCHS = 5  # of both stages


class Interrupted(Exception):
    pass


@pytest.fixture(scope="module")
def root(featured: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("resumed") / "study"
    shutil.copytree(featured, root)
    return root


@pytest.fixture
def study(root: Path, values: dict[str, Any]) -> tuple[Params, Paths]:
    """A study up to its features."""
    values["head"]["epochs"], values["finetune"]["epochs"] = 3, 2
    return Params.model_validate(values), Paths(root)


def outputs(paths: Paths) -> dict[str, bytes]:
    files = [paths.model(MEMBER), *paths.training(MEMBER).rglob("*.tsv")]
    return {str(path.relative_to(paths.root)): path.read_bytes() for path in files}


def interrupt_after(monkeypatch: pytest.MonkeyPatch, epochs: int) -> None:
    save, count = Checkpoint.save, iter(range(1, 100))

    def saved(checkpoint: Checkpoint, progress: Progress) -> None:
        save(checkpoint, progress)
        if next(count) == epochs:
            raise Interrupted

    monkeypatch.setattr(Checkpoint, "save", saved)


@pytest.fixture
def uninterrupted(study: tuple[Params, Paths]) -> dict[str, bytes]:
    params, paths = study
    paths.checkpoint(MEMBER).unlink(missing_ok=True)
    finetune.run(params, paths, MEMBER, "cpu")
    paths.checkpoint(MEMBER).unlink()
    return outputs(paths)


def test_after_an_interruption_the_outputs_are_the_same_bytes(
    study: tuple[Params, Paths], uninterrupted: dict[str, bytes]
) -> None:
    params, paths = study
    for epochs in range(1, EPOCHS + 1):
        with pytest.MonkeyPatch.context() as patch:
            interrupt_after(patch, epochs)
            with pytest.raises(Interrupted):
                finetune.run(params, paths, MEMBER, "cpu")
        assert paths.checkpoint(MEMBER).exists()
        with pytest.MonkeyPatch.context() as patch:
            interrupt_after(patch, EPOCHS - epochs + 1)  # one epoch more than is left: never reached
            finetune.run(params, paths, MEMBER, "cpu")
        assert outputs(paths) == uninterrupted
        paths.checkpoint(MEMBER).unlink()


def assert_resumes(params: Params, paths: Paths, after: Sequence[int]) -> None:
    """Assert that a training resumed after some epochs writes the same bytes as an uninterrupted one."""
    written = []
    for epochs in (EPOCHS + 1, *after):  # the first is never reached
        paths.checkpoint(MEMBER).unlink(missing_ok=True)
        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Interrupted):
            interrupt_after(patch, epochs)
            finetune.run(params, paths, MEMBER, "cpu")
        finetune.run(params, paths, MEMBER, "cpu")
        written.append(outputs(paths))
    assert all(output == written[0] for output in written)


def test_a_schedule_and_a_moving_average_go_on_where_they_were(
    study: tuple[Params, Paths], values: dict[str, Any]
) -> None:
    values["train"] |= {"schedule": "cosine", "weight_decay": 0.1, "label_smoothing": 0.1, "ema": 0.9}
    assert_resumes(Params.model_validate(values), study[1], after=(2, 4))


@pytest.mark.parametrize(("keep", "stage"), [("best", "head"), ("always", "finetune")])
def test_a_resumed_training_keeps_the_stage_that_it_would_have_kept(
    study: tuple[Params, Paths], values: dict[str, Any], monkeypatch: pytest.MonkeyPatch, keep: str, stage: str
) -> None:
    """Where stage 2 is worse in every epoch."""
    values["finetune"]["keep"] = keep
    params, paths = Params.model_validate(values), study[1]
    evaluate = fit.evaluate

    def worse_in_stage_2(module: nn.Module, *inputs: Any) -> tuple[float, float]:
        return evaluate(module, *inputs) if isinstance(module, nn.Linear) else (9.0, 0.0)

    monkeypatch.setattr(fit, "evaluate", worse_in_stage_2)
    assert_resumes(params, paths, after=(1, 3, 4, 5))
    assert backbone.about(paths.model(MEMBER))["stage"] == stage


def test_a_checkpoint_is_of_the_same_parameters_as_its_stage() -> None:
    names = YAML(typ="safe").load((PROJECT / "dvc.yaml").read_text())["stages"]["train-fold"]["params"]
    assert {name.partition(".")[0] for name in names} == DEPENDS_ON
    assert {name for name in names if "." in name} == {f"images.{key}" for key in Images.model_fields}


def test_a_training_interrupted_after_its_end_is_not_repeated(
    study: tuple[Params, Paths], uninterrupted: dict[str, bytes]
) -> None:
    """So it is when DVC is killed, or the disk is full, before DVC has cached the model."""
    params, paths = study
    finetune.run(params, paths, MEMBER, "cpu")
    paths.model(MEMBER).unlink()
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after(patch, 1)  # never reached
        finetune.run(params, paths, MEMBER, "cpu")
    assert outputs(paths) == uninterrupted
    predict.run(params, paths, MEMBER, "cpu")
    assert not paths.checkpoint(MEMBER).exists()


def test_a_training_begun_in_another_precision_begins_again_and_the_model_names_its_own(
    study: tuple[Params, Paths],
) -> None:
    """As on a GPU with bfloat16, then on one with float16."""
    params, paths = study
    paths.checkpoint(MEMBER).unlink(missing_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after(patch, 1)
        with pytest.raises(Interrupted):
            finetune.run(params, paths, MEMBER, "cpu")
    begun: list[bool] = []
    with pytest.MonkeyPatch.context() as patch:
        load = Checkpoint.load
        patch.setattr(Checkpoint, "load", lambda self: (begun.append(bool(found := load(self))), found)[1])
        patch.setattr(finetune.device, "precision", lambda *_: torch.float16)
        finetune.run(params, paths, MEMBER, "cpu")
    assert begun[0] is False
    assert backbone.about(paths.model(MEMBER))["computed"] == "CPU, float16"


def test_a_checkpoint_of_other_data_features_parameters_weights_code_or_device_is_not_resumed_from(
    values: dict[str, Any], study: tuple[Params, Paths]
) -> None:
    params, paths = study
    original = fingerprint(params, paths, MEMBER, CPU)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listed, "digest", lambda *_: "other code")
        assert fingerprint(params, paths, MEMBER, CPU) != original
    values["head"]["patience"] += 1
    assert fingerprint(Params.model_validate(values), paths, MEMBER, CPU) != original
    assert fingerprint(params, paths, Member("0.001", 1), CPU) != original
    assert fingerprint(params, paths, Member("0.0001", 0), CPU) != original
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device, "precision", lambda *_: torch.bfloat16)
        assert fingerprint(params, paths, MEMBER, CPU) != original
    for path in (paths.index, paths.split, paths.backbone, *paths.features.glob("*.npy")):
        content = path.read_bytes()
        path.write_bytes(content + b"\n")
        assert fingerprint(params, paths, MEMBER, CPU) != original
        path.write_bytes(content)
    assert fingerprint(params, paths, MEMBER, CPU) == original
    Checkpoint(paths.checkpoint(MEMBER), "another").save(Progress("head", 1, 0, [], {}))
    assert Checkpoint(paths.checkpoint(MEMBER), original).load() is None


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", None])
def test_a_damaged_checkpoint_is_not_resumed_from(
    study: tuple[Params, Paths], uninterrupted: dict[str, bytes], damage: bytes | None
) -> None:
    params, paths = study
    checkpoint = paths.checkpoint(MEMBER)
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after(patch, 2)
        with pytest.raises(Interrupted):
            finetune.run(params, paths, MEMBER, "cpu")
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100] if damage is None else damage)
    finetune.run(params, paths, MEMBER, "cpu")
    assert outputs(paths) == uninterrupted
