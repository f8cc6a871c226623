"""Ensembles and report refuse damaged and missing outputs of earlier stages."""

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import PROJECT
from dvc.repo import Repo
from project import Project
from tiny_study import set_params, tiny_values

from wen.files import read_npz, write_npz

N = 12


class Harm:
    """An object that runs code when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("harmed"),)


def with_pickle(path: Path) -> None:
    np.savez(path.with_suffix(""), **{name: np.array([Harm()], dtype=object) for name in read_npz(path)})


def renamed(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("test_label_2.npy", b"")


def member(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("test_label.npy", content)

    return write


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def header(text: str) -> bytes:
    with io.BytesIO() as file:
        file.write(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode())
        return file.getvalue()


DAMAGED: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "text": lambda path: path.write_text("no zip\n"),
    "a bit changed": flipped,
    "pickles": with_pickle,
    "a pickle instead": lambda path: path.write_bytes(pickle.dumps(Harm())),
    "an array without content": renamed,
    "no array": member(b"no array"),
    "a header that ends early": member(b"\x93NUMPY\x01\x00"),
    "a header that is code": member(header("__import__('os').system('touch harmed')\n")),
    "an array of a terabyte": member(header("{'descr': '<f8', 'fortran_order': False, 'shape': (137438953472,), }\n")),
    "an array of no shape": member(header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }\n")),
}


@pytest.fixture
def predicted(project: Project) -> Project:
    """A project with the predictions of one learning rate's two folds."""
    set_params(project.root, tiny_values())
    rng = np.random.default_rng(1)
    for fold in (0, 1):
        arrays: dict[str, np.ndarray] = {
            "diverged": np.array(False), "stage": np.array("head"), "epoch": np.array(1),
            "computed": np.array(["CPU, float32"] * 2),
            "test_map": np.zeros((N, 2, 2), np.float16),
        }  # fmt: skip
        for part in ("validation", "test"):
            arrays[f"{part}_id"] = np.array([f"UID_{i}_1_1_all" for i in range(N)])
            arrays[f"{part}_label"] = np.arange(N) % 2
            arrays[f"{part}_probability"] = 0.1 + 0.8 * (np.arange(N) % 2) * rng.random(N)
        write_npz(project.root / f"data/predictions/0.001/{fold}.npz", **arrays)
    return project


def test_complete_predictions_are_combined_to_an_ensemble(predicted: Project) -> None:
    code, output = predicted.wen("ensemble-inter", "--lr", "0.001")
    assert code == 0, output


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_predictions_are_refused_and_no_code_in_them_runs(predicted: Project, name: str) -> None:
    DAMAGED[name](predicted.root / "data/predictions/0.001/1.npz")
    predicted.refuses("ensemble-inter", "--lr", "0.001", named="data/predictions/0.001/1.npz: damaged")
    assert not (predicted.root / "harmed").exists()


CHANGED: dict[str, Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]] = {
    "an array less": lambda arrays: {name: array for name, array in arrays.items() if name != "test_label"},
    "an array more": lambda arrays: arrays | {"more": np.zeros(3)},
    "an image less in one array": lambda arrays: arrays | {"test_probability": np.zeros(N - 1)},
    "a probability that is no number": lambda arrays: arrays | {"test_probability": np.full(N, np.nan)},
    "a probability above 1": lambda arrays: arrays | {"validation_probability": np.full(N, 1.5)},
    "a label of 2": lambda arrays: arrays | {"test_label": np.full(N, 2)},
    "a probability in words": lambda arrays: arrays | {"test_probability": np.full(N, "high")},
    "a label in words": lambda arrays: arrays | {"validation_label": (np.arange(N) % 2).astype(str)},
    "an id less": lambda arrays: arrays | {"test_id": arrays["test_id"][1:]},
    "an id twice": lambda arrays: arrays | {"test_id": np.where(np.arange(N) == 1, "UID_0_1_1_all", arrays["test_id"])},
    "an id that is a number": lambda arrays: arrays | {"test_id": np.arange(N)},
    "a map less": lambda arrays: arrays | {"test_map": arrays["test_map"][1:]},
    "maps without a width": lambda arrays: arrays | {"test_map": arrays["test_map"][:, :, 0]},
    "a map in words": lambda arrays: arrays | {"test_map": np.full((N, 2, 2), "here")},
    "diverged for each image": lambda arrays: arrays | {"diverged": np.zeros(N, bool)},
    "diverged in words": lambda arrays: arrays | {"diverged": np.array("no")},
    "a stage that no training has": lambda arrays: arrays | {"stage": np.array("tail")},
    "a network without a stage": lambda arrays: arrays | {"stage": np.array(""), "epoch": np.array(0)},
    "a stage that is a number": lambda arrays: arrays | {"stage": np.array(1)},
    "an epoch before the first": lambda arrays: arrays | {"epoch": np.array(0)},
    "a device of training alone": lambda arrays: arrays | {"computed": np.array(["CPU, float32"])},
    "a network of no device": lambda arrays: arrays | {"computed": np.array(["", "CPU, float32"])},
    "an epoch in words": lambda arrays: arrays | {"epoch": np.array("last")},
    "an epoch for each image": lambda arrays: arrays | {"epoch": np.ones(N, int)},
    "other labels than the other fold": lambda arrays: arrays | {"test_label": 1 - arrays["test_label"]},
}


@pytest.mark.parametrize("name", CHANGED)
def test_inconsistent_predictions_are_refused(predicted: Project, name: str) -> None:
    path = predicted.root / "data/predictions/0.001/1.npz"
    write_npz(path, **CHANGED[name](read_npz(path)))
    predicted.refuses("ensemble-inter", "--lr", "0.001", named="data/predictions/0.001/1.npz")


def test_missing_predictions_are_named(predicted: Project) -> None:
    (predicted.root / "data/predictions/0.001/0.npz").unlink()
    predicted.refuses(
        "ensemble-inter", "--lr", "0.001", named="data/predictions/0.001/0.npz: not found; run `dvc repro` first"
    )


def test_verify_is_refused_outside_a_dvc_repository(predicted: Project) -> None:
    predicted.refuses("verify", named="not a DVC repository; run this in the folder of a study")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("dvc.lock", b"<<<<<<< HEAD\nschema: '2.0'\n"),
        ("dvc.lock", b"\xff\xfe\n"),
    ],
)
def test_a_dvc_file_that_cannot_be_read_is_named(predicted: Project, name: str, content: bytes) -> None:
    Repo.init(str(predicted.root), no_scm=True).close()
    (predicted.root / "dvc.yaml").write_text("stages: {made: {cmd: touch made, outs: [made]}}\n")
    (predicted.root / name).write_bytes(content)
    predicted.refuses("verify", named=name)


def test_no_source_file_reads_a_pickle() -> None:
    """torch.load reads only weights, and NumPy never reads pickles."""
    text = {path: path.read_text() for path in (PROJECT / "src").rglob("*.py")}
    assert not [path for path, source in text.items() if "import pickle" in source or "allow_pickle=True" in source]
    for path, source in text.items():
        assert source.count("torch.load(") == source.count("weights_only=True"), path
        assert source.count("np.load(") == source.count('np.load(path, mmap_mode="r", allow_pickle=False)'), path
        assert "yaml.load" not in source
        assert "shell=True" not in source
        assert "os.system" not in source
