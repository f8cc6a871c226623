"""Cost of complete commands: demo, laptop profile, DVC without changes, experiments, start of a stage, memory."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from network import seconds
from PIL import Image
from ruamel.yaml import YAML
from table import Row

from wen.config.member import Member
from wen.config.paths import Paths
from wen.config.read import load
from wen.data.table import DEVELOPMENT, INDEX, read_cells
from wen.files import sha256
from wen.members import predictions
from wen.members.apply import classify, predictor_of, preparation
from wen.network import backbone, device
from wen.network.arrays import array_path
from wen.network.converted import to_openvino
from wen.network.cut import cut
from wen.network.frozen import KINDS, Frozen
from wen.network.inputs import inputs_for
from wen.network.steps import logits

BENCH = Path(__file__).parent
PROJECT = BENCH.parent
REPEATS = 3
STAGES = len(YAML(typ="safe").load(PROJECT / "dvc.lock")["stages"])


def demo(folder: Path) -> Iterator[Row]:
    """Compare the complete demo with its 15 models written plainly; then measure what DVC adds if little is to do.

    Its models also run two at a time, with the same bytes.
    """
    clone = cloned(folder / "demo")
    before = _seconds(["dvc", "repro", "features"], clone)
    shutil.copytree(clone, folder / "run")
    serial, side_by_side = _lines(["dvc", "repro"], clone), _lines(["wen", "run", "--jobs", "2"], folder / "run")
    peer_seconds = _plain_study(clone, 0.001, _epochs(clone))
    yield Row("the complete demo", "timm, nothing shared", peer_seconds, [before + serial[-1][0]], 4)
    assert _outputs(clone) == _outputs(folder / "run")
    one_by_one = _spent_on(("train-fold@", "predict-fold@", "system@"), serial)
    work, least = "the demo's models and systems: `wen run --jobs 2`", "the same commands, two at a time, without DVC"
    at_once = _spent_at_once(side_by_side)
    yield Row(work, "`dvc repro`", [one_by_one], [at_once], 1.5, least=(least, [_spent_without_dvc(folder / "run")]))
    yield from _little_to_do(bare(folder / "floor"), clone)
    python = [_seconds([sys.executable, "-c", "import pandas"], clone) for _ in range(5)]
    stage = [_seconds(["wen", "ensemble-inter", "--lr", "0.001"], clone) for _ in range(5)]
    yield Row("a complete stage without a network: `wen ensemble-inter`", "`import pandas`", python, stage, 0.5)


def _spent_on(stages: tuple[str, ...], lines: list[tuple[float, str]]) -> float:
    """Return the seconds that `dvc repro` took for the stages whose names start with one of these."""
    running = [(when, line.removeprefix("Running stage '")) for when, line in lines if line.startswith("Running stage")]
    return sum(end - when for (when, name), (end, _) in pairwise([*running, lines[-1]]) if name.startswith(stages))


def _spent_at_once(lines: list[tuple[float, str]]) -> float:
    """Return the seconds that `wen run` took for them, up to the next line of its output."""
    begin = next(when for when, line in lines if re.match(r"\S+-\d: running", line))
    after = next(k for k, (_, line) in enumerate(lines) if line.startswith("ensemble"))
    return lines[after - 1][0] - begin


def _spent_without_dvc(clone: Path) -> float:
    """Return the seconds of their commands alone, two at a time."""
    params = load(clone / "params.yaml")
    jobs = [[["wen", "system", name]] for name in params.systems]
    for member in params.networks:
        model = ["--lr", member.recipe, "--fold", str(member.fold)]
        jobs.append([["wen", "train-fold", *model], ["wen", "predict-fold", *model]])
    begin = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda job: [run(command, clone) for command in job], jobs))
    return time.perf_counter() - begin


def _outputs(root: Path) -> dict[Path, str]:
    """Hash all outputs of the models."""
    files = [path for part in ("models", "data/predictions", "metrics") for path in (root / part).rglob("*")]
    return {path.relative_to(root): sha256(path.read_bytes()) for path in files if path.is_file()}


def _little_to_do(floor: Path, clone: Path) -> Iterator[Row]:
    """Measure DVC if nothing has changed, and if the weighting has; then only DVC's own work in it."""
    peer = f"DVC, {STAGES} stages of `true`"
    nothing = [[_seconds(["dvc", "repro"], place) for _ in range(REPEATS)] for place in (floor, clone)]
    changed = [_reweighted(place) for place in (floor, clone)]
    report = [_seconds(["wen", "report"], clone) for _ in range(REPEATS)]
    idle(clone)
    unchanged = [_seconds(["dvc", "repro"], clone) for _ in range(REPEATS)]
    least = "DVC on the study's dependencies and outputs, commands replaced by `true`"
    yield Row("`dvc repro`, nothing to do", peer, *nothing, 0.67, least=(least, unchanged))
    both = [sum(pair) for pair in zip(_reweighted(clone), report, strict=True)]
    least = "the same, and `wen report` alone"
    yield Row("`dvc exp run -S weighting=...`", f"{peer}, one to run", *changed, 0.33, least=(least, both))


def _reweighted(root: Path) -> list[float]:
    return [_seconds(["dvc", "exp", "run", "-S", f"weighting={other}"], root) for other in ("f1", "auc", "accuracy")]


def published(folder: Path) -> Iterator[Row]:
    """Measure a published system on the demo's cells: features, then two classifiers and a control on each fold.

    This is the last measurement on the demo, because `wen classify` refuses a study whose params.yaml has a new
    system.
    """
    clone, name, network = folder / "demo", "ahmed2023", "tf_efficientnet_lite0"
    params = YAML().load(clone / "params.yaml")
    params["systems"] = {name: {"depth": "frozen", "networks": [network], "trees": 100}}
    with (clone / "params.yaml").open("w") as file:
        YAML().dump(params, file)
    run(["wen", "code"], clone)
    stages = (["wen", "network", network], ["wen", "systems"], ["wen", "system", name])
    peer = [sys.executable, str(BENCH / "peers/plain_system.py"), network]
    peer_seconds, study_seconds = [], []
    for _ in range(2):  # in turns, since a shared machine is now faster, now slower
        study_seconds.append(sum(_seconds(stage, clone) for stage in stages))
        plain = json.loads(run(peer, clone).splitlines()[-1])
        peer_seconds.append(plain["seconds"])
    members = [Member(f"system/{name}/regression", fold) for fold in params["folds"]]
    for member, probability in zip(predictions.load(Paths(clone), members), plain["probability"], strict=True):
        assert member.test_id.tolist() == plain["images"]
        np.testing.assert_allclose(member.test_probability, probability, atol=1e-3)
    yield Row("a published system (Ahmed 2023), 5 folds", "timm and scikit-learn", peer_seconds, study_seconds, 0.67)


def classified(folder: Path) -> Iterator[Row]:
    """Compare `wen classify` on the demo's cells with the network of predict-fold; and measure it for one image."""
    clone, params = folder / "demo", load(PROJECT / "params.yaml")
    paths, cpu, (lr, fold) = Paths(clone), device.choose("cpu", params.compute), (params.lr, 0)
    files = sorted(str(path) for path in paths.synthetic.rglob("UID_*.bmp"))
    device.settle(params.compute)
    computed = params.model_copy(update={"features": params.features.model_copy(update={"activations": False})})
    network = backbone.load(params, paths.model(Member(str(lr), fold)), cpu)
    inputs = inputs_for("activations", computed, paths, network, cpu)
    tail = cut(network, params.finetune.unfreeze_from).tail
    predictor = predictor_of([Member(str(lr), fold)], params, paths, cpu)
    rows, batch, how = np.arange(len(files)), params.train.batch_size, preparation(params, paths)
    peer_seconds = [seconds(logits, tail, inputs, rows, batch) for _ in range(REPEATS)]
    study_seconds = [seconds(lambda: list(classify(files, predictor, how))) for _ in range(REPEATS)]
    yield Row(
        f"`wen classify`, {len(files)} image files", "predict-fold, decoded images", peer_seconds, study_seconds, 0.67
    )
    imports = [_seconds([sys.executable, "-c", "import torch, timm, openvino"], clone) for _ in range(REPEATS)]
    one = [_seconds(["wen", "classify", files[0]], clone) for _ in range(REPEATS)]
    yield Row("`wen classify`, one image", "`import torch, timm, openvino`", imports, one, 0.5)


def laptop(folder: Path, sample: Path, envs: Path) -> Iterator[Row]:
    """Measure the laptop profile on real cells: one of its 15 models, times 15, and what all of them share."""
    clone, lr = cloned(folder / "laptop"), 0.0001
    run(["wen", "study", str(sample), "--profile", "laptop", "--incomplete"], clone)
    shared = _seconds(["dvc", "repro", "features"], clone)
    model = _seconds(["dvc", "repro", f"predict-fold@{lr}-0"], clone)
    epochs = {key: 15 * value for key, value in _epochs(clone).items()}
    peer_seconds = _plain_study(clone, lr, epochs)
    yield Row("the laptop profile on the real sample", "timm, nothing shared", peer_seconds, [shared + 15 * model], 3)
    yield _shared(clone, envs)


def _shared(clone: Path, envs: Path) -> Row:
    """Compare image files to features, with all checks, near-copies and views, with only decoding and the network."""
    import openvino

    params, paths = load(clone / "params.yaml"), Paths(clone)
    cells = read_cells(paths)
    frozen = Frozen(backbone.load(params, paths.backbone, torch.device("cpu")), params.finetune.unfreeze_from, KINDS)
    example = torch.zeros(2, params.images.size, params.images.size, 3)
    openvino.save_model(to_openvino(frozen, example), clone / "model.xml", compress_to_fp16=False)
    passes = len(cells) + params.augment.views * int((cells.part == DEVELOPMENT).sum())
    numbers = map(str, (params.images.crop, params.images.size, params.compute.threads, passes))
    script = [str(envs / "openvino/bin/python"), str(BENCH / "peers/openvino_features.py"), "model.xml", *numbers]
    files = "\n".join(str(paths.image(path)) for path in cells.path)
    peer_seconds, checks, study_seconds = [], [], []
    for _ in range(2):  # in turns, since a shared machine is now faster, now slower
        checks.append(_seconds(["wen", "prepare"], clone))
        study_seconds.append(checks[-1] + _seconds(["wen", "features"], clone))
        plain = json.loads(run(script, clone, files))
        peer_seconds.append(plain["seconds"])
    stored = np.load(array_path(paths.features, "pooled", None))[: len(plain["output"])]
    np.testing.assert_allclose(stored, plain["output"], atol=1e-3)
    work = f"`wen prepare` and `wen features`, {len(cells):,} real images, {params.augment.views} views"
    peer = "decoding, and OpenVINO's forward passes"
    least = "the same, and `wen prepare`", [sum(pair) for pair in zip(peer_seconds, checks, strict=True)]
    return Row(work, peer, peer_seconds, study_seconds, 0.87, least=least)


def memory(folder: Path) -> Iterator[Row]:
    """Measure the peak memory of commands with few and with many images, in parallel, because no time is measured."""
    cases = ((_peaks_of_classify, 1_000, 10_000), (_peaks_of_stages, 600, 12_528))
    with ThreadPoolExecutor(2) as pool:
        peaks = [[pool.submit(case, folder, count) for count in counts] for case, *counts in cases]
    for (_, few, many), (less, more) in zip(cases, peaks, strict=True):
        for name, peak in more.result().items():
            work, peer = f"peak memory of {name}, {many:,} images", f"itself, {few:,} images"
            yield Row(work, peer, [less.result()[name]], [peak], 0.9, "MB")


def _peaks_of_classify(folder: Path, count: int) -> dict[str, float]:
    clone, names = folder / "demo", folder / f"{count}.txt"
    files = sorted(Paths(clone).synthetic.rglob("UID_*.bmp"))
    names.write_text("".join(f"{files[k % len(files)]}\n" for k in range(count)))
    command = f"wen classify - --output {folder}/{count}.csv --format csv < {names}"
    return {"`wen classify`": _peak_megabytes(["sh", "-c", command], clone)}


def _peaks_of_stages(folder: Path, count: int) -> dict[str, float]:
    root = folder / f"memory-{count}"
    _many_cells(root, count)
    model = ["--lr", "0.001", "--fold", "0"]
    commands = {"features": [], "train-fold": model, "predict-fold": model}
    return {stage: _peak_megabytes(["wen", stage, *options], root) for stage, options in commands.items()}


def cloned(folder: Path) -> Path:
    """Clone the current commit, including changes, without earlier results in its cache."""
    run(["git", "clone", "--quiet", str(PROJECT), str(folder)], PROJECT)
    for name in ("params.yaml", "dvc.yaml", "profiles"):
        source, target = PROJECT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy(source, target)
    shutil.rmtree(folder / "src")
    shutil.copytree(PROJECT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for key, value in (("user.name", "bench"), ("user.email", "bench@localhost")):
        run(["git", "config", key, value], folder)
    run(["git", "commit", "--quiet", "--allow-empty", "--all", "--message", "what is measured"], folder)
    return folder


def bare(folder: Path, count: int = STAGES) -> Path:
    """Make a repository of stages that do nothing, by default as many as the demo's; one reads ``weighting``."""
    folder.mkdir()
    run(["git", "init", "--quiet"], folder)
    run(["dvc", "init", "--quiet"], folder)
    shutil.copy(PROJECT / ".dvc/config", folder / ".dvc/config")
    stages = {f"nothing-{k}": {"cmd": "true", "deps": ["file"]} for k in range(count - 1)}
    stages["report"] = {"cmd": "true", "params": ["weighting"]}
    with (folder / "dvc.yaml").open("w") as file:
        YAML().dump({"stages": stages}, file)
    (folder / "params.yaml").write_text("weighting: kappa\n")
    (folder / "file").write_text("nothing\n")
    run(["dvc", "repro", "--quiet"], folder)
    run(["git", "add", "--all"], folder)
    identity = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    run(["git", *identity, "commit", "--quiet", "--message", "nothing"], folder)
    for key, value in (("user.name", "bench"), ("user.email", "bench@localhost")):
        run(["git", "config", key, value], folder)
    return folder


def idle(clone: Path) -> None:
    """Replace every command of the study by one that does nothing, and keep every output: only DVC's work is left."""
    pipeline = YAML().load(clone / "dvc.yaml")
    for entry in pipeline["stages"].values():
        stage = entry.get("do", entry)
        stage["cmd"] = "true"
        for kind in ("outs", "metrics"):
            outputs = [out if isinstance(out, dict) else {out: {}} for out in stage.get(kind, [])]
            stage[kind] = [{path: {**options, "persist": True} for path, options in out.items()} for out in outputs]
    with (clone / "dvc.yaml").open("w") as file:
        YAML().dump(pipeline, file)
    run(["dvc", "commit", "--force", "--quiet"], clone)
    run(["git", "commit", "--quiet", "--all", "--message", "nothing"], clone)


def _plain_study(root: Path, lr: float, epochs: dict[str, int]) -> list[float]:
    """Return the seconds of the plainly written study: ``epochs`` of each stage at the pace of the first ones."""
    counts = ["--head-epochs", REPEATS, "--finetune-epochs", REPEATS, "--predictions", REPEATS]
    command = [sys.executable, BENCH / "peers/plain.py", "--lr", lr, *counts]
    plain = json.loads(run([str(word) for word in command], root).splitlines()[-1])
    losses = _curve(root, lr, "loss/validation")[:REPEATS]
    np.testing.assert_allclose(losses, plain["head"]["losses"], rtol=2e-3)
    return [
        epochs["head"] * head + epochs["finetune"] * tune + 15 * test
        for head, tune, test in zip(
            plain["head"]["seconds"], plain["finetune"]["seconds"], plain["test"]["seconds"], strict=True
        )
    ]


def _epochs(root: Path) -> dict[str, int]:
    """Sum the epochs of each stage over all models of a study."""
    stages = [row for path in root.glob("plots/training/*/*/plots/metrics/stage.tsv") for row in _column(path)]
    return {"head": stages.count(1), "finetune": stages.count(2)}


def _curve(root: Path, lr: float, name: str) -> list[float]:
    return _column(Paths(root).training(Member(str(lr), 0)) / f"plots/metrics/{name}.tsv")


def _column(path: Path) -> list[float]:
    with path.open() as file:
        return [float(row[1]) for row in list(csv.reader(file, delimiter="\t"))[1:]]


def _many_cells(root: Path, count: int) -> None:
    """Make a study of ``count`` small images that is ready for its network stages."""
    values: dict[str, Any] = load(PROJECT / "params.yaml").model_dump()
    values["images"] = {"crop": 32, "size": 32}
    values["augment"]["views"] = values["head"]["epochs"] = values["finetune"]["epochs"] = 1
    values["train"]["batch_size"] = 64
    (root / "data").mkdir(parents=True)
    with (root / "params.yaml").open("w") as file:
        YAML().dump(values, file)
    random = np.random.default_rng(0)
    rows = []
    for k in range(count):
        path = root / f"data/{k:05}.bmp"
        Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)
        rows.append({"id": path.stem, "path": f"data/{path.name}", "label": k % 2, "sha256": sha256(path.read_bytes())})
    index = pd.DataFrame(rows).assign(subject="1", source="fold_0", width=32, height=32, pixels="")
    index[list(INDEX)].to_csv(Paths(root).index, index=False)
    fold = np.arange(count) % 6 - 1
    part = np.where(fold < 0, "test", "development")
    index[["id"]].assign(part=part, fold=fold).to_csv(Paths(root).split, index=False)
    run(["wen", "backbone"], root)


def _peak_megabytes(command: list[str], root: Path) -> float:
    # By way of a small process: a new one begins with the peak of the one that starts it.
    script = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    return int(run([sys.executable, "-c", script, *command], root).splitlines()[-1]) / 1024


def _seconds(command: list[str], folder: Path) -> float:
    begin = time.perf_counter()
    run(command, folder)
    return time.perf_counter() - begin


def _lines(command: list[str], folder: Path) -> list[tuple[float, str]]:
    """Yield the lines that a command prints, with their times in seconds, and its end."""
    begin = time.perf_counter()
    environment = os.environ | {"PYTHONPATH": str(folder / "src"), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    lines = [(time.perf_counter() - begin, line) for line in process.stdout]
    assert process.wait() == 0
    return [*lines, (time.perf_counter() - begin, "")]


def run(command: list[str], folder: Path, given: str = "") -> str:
    # The sources that are measured come first on the path, whatever the environment has installed.
    environment = os.environ | {"PYTHONPATH": str(folder / "src" if (folder / "src").exists() else PROJECT / "src")}
    done = subprocess.run(command, cwd=folder, env=environment, input=given, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} in {folder}:\n{done.stderr[-2000:]}{done.stdout[-2000:]}")
    return done.stdout
