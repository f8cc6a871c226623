"""What the tests share: the project's folder, the real data where they are at hand, and a tiny study."""

import gc
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from hypothesis import HealthCheck, settings
from ruamel.yaml import YAML
from torch import nn

from wen.config.params import Backbone, Params

PROJECT = Path(__file__).parents[1]
MEMORY = Path("/dev/shm")
SHARED = PROJECT.parent / "shared"
LONGEST = (
    "pipeline/test_study.py", "network/test_thesis.py", "pipeline/test_images.py", "pipeline/test_run.py",
    "pipeline/test_record.py", "pipeline/test_pages.py", "pipeline/test_cluster.py", "pipeline/test_classify.py",
    "pipeline/test_systems.py",
    "pipeline/test_store.py", "pipeline/test_notebook.py", "network/test_resume.py", "network/test_training.py",
    "network/test_cut.py", "report/test_page.py", "test_verify.py", "report/test_chapter.py",
    "report/test_calibration.py", "systems/test_systems.py", "network/test_finite.py", "test_selftest.py",
    "network/test_assembly.py", "report/test_evidence.py", "network/test_frozen.py", "bad_inputs/test_tables.py",
    "bad_inputs/test_images.py", "data/test_split.py", "data/test_bring.py", "report/test_sections.py",
    "data/test_lab.py", "repeats/test_repeats.py", "pipeline/test_bundle.py", "report/test_other_data.py",
    "report/test_repeats.py", "test_cli.py", "test_start.py", "network/test_untraced.py",
    "network/test_pretrained.py", "report/test_beside.py", "report/test_recomputed.py", "test_code.py",
)  # fmt: skip
"""The files that take longest, in the order in which the workers take them.

The first makes the study that others copy, and the next two, which the other worker begins with, do not need it.
test_cluster begins when test_run has ended, as both start Ray.
"""


def pytest_configure() -> None:
    """Have each worker, and what it starts, compute on one core: threads of two workers would wait for each other.

    What tests write is in memory where that has room for it: to delete a file that has reached a disk takes 3 ms.
    Hypothesis does not time examples, which take longer while the machine is busy.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if _has_room(MEMORY):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    settings.register_profile("untimed", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("untimed")


def _has_room(memory: Path) -> bool:
    """Whether a folder is in memory, which has room for what all tests leave, 4 GB, and for what they compute."""
    return (
        sys.platform == "linux"
        and os.path.ismount(memory)
        and not os.statvfs(memory).f_flag & os.ST_NOEXEC
        and min(shutil.disk_usage(memory).free, psutil.virtual_memory().available - 8e9) > 4e9
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files: else, at the end, one worker has one of them and the other nothing."""
    order = {PROJECT / "tests" / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path, len(LONGEST)))


def pytest_collection_finish() -> None:
    """Leave what is imported out of every search for garbage, of which statsmodels makes one a call, and search seldom.

    A fifth of the time of a page's test went into it: drawing makes objects in thousands, and keeps most.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20)


@pytest.fixture(scope="session", autouse=True)
def _no_file_waits_for_the_disk() -> Iterator[None]:
    """No test cuts the power; test_files looks at what is flushed, and in which order."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture
def real_manifest() -> Path:
    """Path, SHA-256 and size of every real file of C-NMC 2019."""
    return _shared("cnmc/manifest.tsv.gz")


@pytest.fixture
def real_sample() -> Path:
    """A zip of 1,309 real files of C-NMC 2019."""
    return _shared("cnmc/cnmc-sample.zip")


def _shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"the real data are not at hand: no {path}")
    return path


def untrained(name: str, size: int = 64, **options: Any) -> nn.Module:
    """Build a network of timm's with random weights, the same each time, for inference."""
    from wen.network.backbone import build

    torch.manual_seed(0)
    return build(Backbone(name=name, weights="pip", **options), size).eval()


@pytest.fixture
def values() -> dict[str, Any]:
    return study_values()


def study_values() -> dict[str, Any]:
    """The demo's params.yaml, cut down to a study of seconds."""
    study: dict[str, Any] = YAML(typ="safe").load((PROJECT / "profiles/demo.yaml").read_text())
    study["dataset"]["side"] = 48
    study["dataset"]["synthetic"] |= {
        "subjects": 12,
        "cells": 60,
        "preliminary_subjects": 4,
        "preliminary_cells": 12,
        "duplicates": 2,
        "altered": 2,
    }
    study["images"] = {"crop": 48, "size": 32}
    study["folds"] = [0, 1]
    study["schemes"] = ["accuracy", "kappa", "uniform"]
    study["systems"] = study["pretrained"] = {}
    study["augment"]["views"] = 2
    study["head"]["epochs"] = 2
    study["finetune"] |= {"epochs": 1, "unfreeze_from": "blocks.5"}
    study["repeats"] = {"image": 1, "subject": 1}
    study["compute"] |= {"threads": 1, "cpu_engine": "torch"}  # OpenVINO would translate the network for a second
    study["report"]["bootstrap"] = 200
    return study


@pytest.fixture
def tiny(values: dict[str, Any]) -> Params:
    return Params.model_validate(values)
