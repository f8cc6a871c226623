"""A search is seeded, resumes after a kill to the same result, and says when it finds nothing."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_up import computed, made_up

from wen.config.params import Params
from wen.config.paths import Paths
from wen.errors import WenError
from wen.files import read_json
from wen.systems import searched as searched_heads
from wen.systems import stage
from wen.systems.fold import Source, Training
from wen.systems.search import SAMPLERS, Choice, FloatRange, SearchResult, search

SPACE = {"x": FloatRange(0.0, 1.0), "rate": FloatRange(1e-4, 1e-1, log=True), "kind": Choice(("a", "b", "c"))}
CPU = torch.device("cpu")
TRIALS = {"gp": 7, "genetic": 13, "random": 4}
"""More than the random trials of the Gaussian process, and than a generation of the genetic algorithm."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def training(root: Path, fold: int = 0) -> Training:
    params = Params.model_construct(seed=1)
    rows = np.arange(8)
    return Training(Source(params, Paths(root), CPU), rows, rows % 2, rows, "system", fold)


def score(values: dict[str, Any]) -> float:
    away = abs(values["x"] - 0.3) + abs(np.log10(values["rate"]) + 2) / 3 + 0.2 * (values["kind"] != "b")
    return float(np.exp(-away))


def searched(root: Path, sampler: str, dies_at: int = 99, fold: int = 0) -> SearchResult:
    calls = 0

    def until(values: dict[str, Any]) -> float:
        nonlocal calls
        calls += 1
        if calls > dies_at:
            raise KeyboardInterrupt
        return score(values)

    return search(training(root, fold), "search", SPACE, until, TRIALS[sampler], sampler)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_search_interrupted_in_any_trial_ends_like_an_uninterrupted_one(tmp_path: Path, sampler: str) -> None:
    expected = searched(tmp_path / "once", sampler)
    for stop in {1, TRIALS[sampler] - 2, TRIALS[sampler] - 1}:
        root = tmp_path / f"stopped-{stop}"
        with pytest.raises(KeyboardInterrupt):
            searched(root, sampler, dies_at=stop)
        assert searched(root, sampler, dies_at=TRIALS[sampler] - stop) == expected
    best = max(expected.history, key=lambda row: row["score"])
    assert expected.best == {key: best[key] for key in SPACE}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_searches_differently_in_another_fold(tmp_path: Path, sampler: str) -> None:
    one = searched(tmp_path / "one", sampler).history
    other = searched(tmp_path / "one", sampler, fold=1).history
    assert one != other
    assert [row["trial"] for row in one] == list(range(1, TRIALS[sampler] + 1))
    assert all(row["score"] == pytest.approx(score(row)) for row in one)
    assert all(0 <= row["x"] <= 1 and 1e-4 <= row["rate"] <= 1e-1 for row in one)


def test_a_gaussian_process_finds_a_better_value_than_its_random_trials(tmp_path: Path) -> None:
    scores = [row["score"] for row in searched(tmp_path, "gp").history]
    assert max(scores[5:]) > max(scores[:5])


@pytest.mark.parametrize("spoil", ["torn", "emptied", "of another file", "no end"])
def test_a_damaged_journal_is_made_again(tmp_path: Path, spoil: str) -> None:
    expected = searched(tmp_path / "once", "genetic")
    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path / "spoiled", "genetic", dies_at=7)
    (journal,) = (tmp_path / "spoiled").rglob("*.journal")
    if spoil == "torn":
        with journal.open("ab") as file:
            file.write(b'{"op_code": 5, "wor')
    elif spoil == "emptied":
        journal.write_bytes(b"")
    elif spoil == "of another file":
        journal.write_bytes(b"\0" * journal.stat().st_size)
    else:
        journal.with_suffix(".end").unlink()
    assert searched(tmp_path / "spoiled", "genetic") == expected


def test_a_search_whose_every_training_diverged_names_its_system(tmp_path: Path) -> None:
    with pytest.raises(WenError, match=r"system system, fold 0: every trial of its search diverged"):
        search(training(tmp_path), "search", SPACE, lambda values: 0.0, 3, "random")


def test_training_that_diverges_at_a_rate_that_a_search_chose_names_what_can_be_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params, paths = made_up(tmp_path, rodrigues2022={"depth": "finetune", "epochs": 6})
    chosen = SearchResult({"lr": 1e30, "momentum": 0.5, "dropout": 0.0}, [])
    monkeypatch.setattr(searched_heads, "search", lambda *_: chosen)
    with pytest.raises(WenError, match=r"rate 1e\+30; .* if a search chose it, set another number of trials or depth"):
        stage.run(params, paths, "rodrigues2022")


def test_a_rate_for_frozen_networks_does_not_replace_the_rate_of_every_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params, paths = made_up(tmp_path, wibowo2024={"trials": 3, "frozen_lr": 0.5})
    used: list[float] = []

    def inner_accuracy(_: Training, options: Any, head: Any) -> float:
        used.append(options.frozen_lr or options.lr)
        return 0.5

    monkeypatch.setattr(searched_heads, "inner_accuracy", inner_accuracy)
    stage.run(params, paths, "wibowo2024")
    (variant, _) = read_json(paths.system("wibowo2024"))["variants"]
    tried = [trial["lr"] for fold in variant["folds"] for trial in fold["history"]]
    assert used == tried


def test_a_system_that_is_killed_in_its_search_ends_with_the_same_bytes(tmp_path: Path) -> None:
    params, paths = made_up(tmp_path, wibowo2024={"trials": 6})
    stage.run(params, paths, "wibowo2024")
    expected = paths.system("wibowo2024").read_bytes()
    script = (
        "import os, signal, sys\n"
        "from wen.config.params import Params\nfrom wen.config.paths import Paths\n"
        "from wen.systems import searched, stage\n"
        "inner_accuracy, calls = searched.inner_accuracy, []\n"
        "def kill(*arguments):\n"
        "    calls.append(1)\n"
        "    if len(calls) == 5: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return inner_accuracy(*arguments)\n"
        "searched.inner_accuracy = kill\n"
        "stage.run(Params.model_validate_json(sys.argv[1]), Paths(sys.argv[2]), 'wibowo2024')\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, params.model_dump_json(), str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    (journal,) = paths.searches("wibowo2024").glob("*.journal")
    assert journal.stat().st_size > 0
    stage.run(params, paths, "wibowo2024")
    assert paths.system("wibowo2024").read_bytes() == expected
    assert not paths.searches("wibowo2024").exists()


def test_a_search_with_other_settings_starts_again(tmp_path: Path) -> None:
    params, paths = made_up(tmp_path, wibowo2024={"trials": 2})
    source = Source(params, paths, CPU, "one")
    rows = np.arange(8)
    one, other = (
        Training(made, rows, rows % 2, rows, "wibowo2024", 0).journal("gp", [7])
        for made in (source, Source(params, paths, CPU, "other"))
    )
    assert one != other
    computed(params, paths)
