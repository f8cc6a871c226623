"""Bundles of `wen export` from a tiny study classify as the study does or are refused."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import scipy.special
import torch
from conftest import PROJECT
from huggingface_hub import ModelCard
from PIL import Image
from starlette.testclient import TestClient
from tiny_study import Study, finished_study

from wen.bundle import card, export, manifest, onnx_file
from wen.bundle.read import opened
from wen.classify import Request, run_bundle
from wen.code import listed
from wen.config.paths import Paths
from wen.config.read import load
from wen.data.images import central_square, decode
from wen.ensemble import temperature, wen
from wen.errors import WenError
from wen.evaluation.metrics import MEASURES
from wen.loading import choose
from wen.results import gather
from wen.serve.app import page

NAME = "intra leak_free f1"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return finished_study(tmp_path_factory, "bundle")


@pytest.fixture(scope="module")
def made(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle, away from its study."""
    folder = tmp_path_factory.mktemp("away") / "bundle"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(study.root)
        export.run(load(Path("params.yaml")), Paths(), folder, NAME)
    return folder


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "bundle")


@pytest.fixture(scope="module")
def cells(study: Study) -> list[str]:
    return [str(study.root / path) for path in pd.read_csv(study.root / "data/index.csv", dtype=str).path[:20]]


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def probabilities(path: Path) -> list[float]:
    return [float(row["probability"]) for row in table(path)]


def test_in_an_empty_folder_without_torch_a_bundle_writes_the_bytes_that_the_study_writes(
    study: Study, made: Path, cells: list[str], tmp_path: Path
) -> None:
    (tmp_path / "names").write_text("\n".join(cells))
    arguments = ["wen", "classify", "-", "--format", "csv", "--members"]
    script = (
        "import runpy, sys\n"
        "try:\n    runpy.run_module('wen', run_name='__main__')\n"
        "finally:\n    print(*{'torch', 'timm'} & set(sys.modules), file=sys.stderr)\n"
    )
    (empty := tmp_path / "empty").mkdir()
    outputs = []
    for command, folder in (
        ([*arguments, "--classifier", NAME], study.root),
        ([sys.executable, "-c", script, *arguments[1:], "--bundle", str(made)], empty),
    ):
        with (tmp_path / "names").open() as names:
            env = study.env | {"PYTHONPATH": str(PROJECT / "src")}
            done = subprocess.run(command, cwd=folder, env=env, stdin=names, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        outputs.append(done.stdout)
    assert done.stderr.decode().strip() == ""
    assert outputs[0] == outputs[1]
    assert len(outputs[0].splitlines()) == len(cells) + 1
    assert list(empty.iterdir()) == []


def test_torch_and_onnx_runtime_give_the_probabilities_of_the_bundle(
    bundle: Path, cells: list[str], tmp_path: Path
) -> None:
    run_bundle(bundle, Request(cells, output=tmp_path / "openvino.csv"))
    content = manifest.read(bundle)
    content["compute"]["cpu_engine"] = "torch"
    manifest.write({key: value for key, value in content.items() if key != "files"}, bundle)
    run_bundle(bundle, Request(cells, output=tmp_path / "torch.csv"))
    expected = probabilities(tmp_path / "openvino.csv")
    np.testing.assert_allclose(probabilities(tmp_path / "torch.csv"), expected, atol=1e-5)
    images = content["images"]
    decoded = [decode(Path(file).read_bytes()) for file in cells]
    arrays = np.stack([central_square(image, images["crop"], images["size"]) for image in decoded])
    session = onnxruntime.InferenceSession(bundle / manifest.ONNX, providers=["CPUExecutionProvider"])
    probability, members = session.run(None, {"images": arrays})
    np.testing.assert_allclose(probability, expected, atol=1e-4)
    assert members.shape == (len(cells), len(content["members"]))
    assert session.get_modelmeta().custom_metadata_map["study"] == content["study"]


class Logits(torch.nn.Module):
    """In place of a network: of an image of one level, a logit of each member from it."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        level = images.float().mean((1, 2, 3))[:, None]
        return torch.where(level == 255, torch.nan, (level - 100) * torch.tensor([[1.0, -0.2]]))


def test_onnx_runtime_gives_the_product_s_probabilities_of_extreme_logits_and_keeps_nan(tmp_path: Path) -> None:
    weight, divisor, path = np.array([0.7, 0.3]), np.array([10.0, 1.0]), tmp_path / "classifier.onnx"
    answering = onnx_file.Answering(Logits(), weight, divisor).eval()
    onnx_file.write(answering, 4, {}, path)
    images = np.stack([np.full((4, 4, 3), level, np.uint8) for level in (0, 50, 99, 150, 250, 255)])
    probability, members = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(
        None, {"images": images}
    )
    expected = scipy.special.expit(Logits()(torch.from_numpy(images)).numpy().astype(np.float64))
    np.testing.assert_allclose(members, expected, atol=1e-6)
    np.testing.assert_allclose(probability, wen.combine(weight, temperature.scale(expected, divisor).T), atol=1e-6)
    assert np.isnan(probability).tolist() == [False] * 5 + [True]


def test_the_page_s_files_are_those_of_wen_classify(made: Path, cells: list[str], tmp_path: Path) -> None:
    (tmp_path / "subjects.csv").write_text(
        "".join(["file,subject\n", *(f"{c},P{k % 3}\n" for k, c in enumerate(cells))])
    )
    run_bundle(made, Request(cells, output=tmp_path / "cells.csv"))
    run_bundle(made, Request(cells, output=tmp_path / "people.csv", subjects=tmp_path / "subjects.csv"))
    origin = "http://127.0.0.1:8017"
    client = TestClient(page(opened(made, "auto"), 8017), base_url=origin, headers={"origin": origin})
    size, rows = json.loads((made / manifest.MANIFEST).read_text())["batch_size"], []
    for begin in range(0, len(cells), size):
        files = cells[begin : begin + size]
        found = client.post("/cells", content=framed(*(Path(file).read_bytes() for file in files))).json()
        rows += [{"file": file, **{key: row[key] for key in ("probability", "spread", "warning")}}
                 for file, row in zip(files, found, strict=True)]  # fmt: skip
    sent = json.dumps(rows).encode()
    assert client.post("/cells.csv", content=framed(sent)).content == (tmp_path / "cells.csv").read_bytes()
    table = (tmp_path / "subjects.csv").read_bytes()
    people = client.post("/people.csv", content=framed(sent, b"subjects.csv", table))
    assert people.content == (tmp_path / "people.csv").read_bytes()


def framed(*contents: bytes) -> bytes:
    return json.dumps([len(content) for content in contents]).encode() + b"\n" + b"".join(contents)


def test_the_maps_of_a_bundle_are_those_of_the_report(
    study: Study, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study.root)
    params, paths = load(Path("params.yaml")), Paths()
    found = choose(gather(params, paths), NAME)
    index = pd.read_csv("data/index.csv", dtype=str).set_index("id")
    maps = opened(made, "auto").maps
    assert maps is not None
    for k, id in list(enumerate(found.members[0].test_id))[:5]:
        image = central_square(decode(Path(index.path[id]).read_bytes()), params.images.crop, params.images.size)
        expected = np.tensordot(found.weight, [member.test_map[k] for member in found.members], axes=1)
        np.testing.assert_allclose(maps(image), expected, atol=0.02)


def test_a_changed_bundle_gives_no_map(bundle: Path) -> None:
    applied = opened(bundle, "auto")
    content = manifest.read(bundle)
    manifest.write({key: value for key, value in content.items() if key != "files"} | {"seed": 7}, bundle)
    assert applied.maps is not None
    with pytest.raises(WenError, match="changed since it was opened; run this again"):
        applied.maps(np.zeros((32, 32, 3), np.uint8))


def test_the_hub_reads_the_card_of_a_bundle_and_its_example_runs(
    study: Study, made: Path, cells: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = ModelCard.load(made / manifest.CARD)
    found = {result.metric_type: result.metric_value for result in written.data.eval_results}
    expected = json.loads((study.root / "metrics/intra/leak_free-f1.json").read_text())
    assert found == {name: expected[name] for name in MEASURES if expected[name] is not None}
    example = written.text.split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(made)
    cell, turned = Image.open(cells[0]).convert("RGBA"), Image.Exif()
    cell.putalpha(128)
    turned[0x112] = 6
    cell.save(tmp_path / "cell.png", exif=turned)
    values: dict[str, Any] = {}
    exec(example.replace('"cell.png"', repr(str(tmp_path / "cell.png"))), values)
    run_bundle(made, Request([str(tmp_path / "cell.png")], output=tmp_path / "one.csv"))
    np.testing.assert_allclose(values["probability"], probabilities(tmp_path / "one.csv"), atol=1e-4)


def test_the_card_of_an_indonesian_study_is_in_indonesian(study: Study, made: Path) -> None:
    params, content = load(study.root / "params.yaml"), manifest.read(made)
    english, indonesian = (
        card.written(content, params.model_copy(update={"report": params.report.model_copy(update={"language": name})}))
        for name in ("en", "id")
    )
    assert english == (made / manifest.CARD).read_text()
    one, other = (ModelCard(text) for text in (english, indonesian))
    assert (one.data.language, other.data.language) == ("en", "id")
    assert other.data.eval_results == one.data.eval_results
    assert other.text.split("```")[1:4:2] == one.text.split("```")[1:4:2]  # the commands
    accuracy = f"| accuracy | {content['test']['accuracy']:.3f} |"
    assert accuracy in english
    assert accuracy.replace(".", ",").replace("accuracy", "akurasi") in indonesian
    assert indonesian.count("\n## ") == english.count("\n## ")
    assert not set(re.findall("^## .*", english, re.M)) & set(re.findall("^## (?!Data$).*", indonesian, re.M))


def test_the_baseline_on_features_of_the_frozen_network_is_exported_as_a_network(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study.root)
    bundle = tmp_path / "bundle"
    export.run(load(Path("params.yaml")), Paths(), bundle, "single baseline/features-1")
    with np.load("data/predictions/baseline/features/1.npz") as arrays:
        ids, expected = arrays["test_id"], arrays["test_probability"]
    files = pd.read_csv("data/index.csv", dtype=str).set_index("id").path[ids].tolist()
    run_bundle(bundle, Request(files, output=tmp_path / "cells.csv"))
    np.testing.assert_allclose(probabilities(tmp_path / "cells.csv"), expected, atol=1e-5)
    assert "only the last layer was fitted" in (bundle / manifest.CARD).read_text()


def test_equal_studies_give_equal_bundles(study: Study, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(study.root)
    again = made.with_name("again")
    export.run(load(Path("params.yaml")), Paths(), again, NAME)
    assert {path.name: path.read_bytes() for path in again.iterdir()} == {
        path.name: path.read_bytes() for path in made.iterdir()
    }
    (again / "notes.txt").touch()
    with pytest.raises(WenError, match="contains files that are not part of a bundle"):
        export.run(load(Path("params.yaml")), Paths(), again, NAME)
    assert (again / "notes.txt").exists()


def test_a_bundle_names_the_stages_that_ran_with_other_code_than_the_commit(
    study: Study, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "libraries" not in json.loads((made / manifest.MANIFEST).read_text())["provenance"]["commit"]
    monkeypatch.chdir(study.root)
    release = listed._release
    monkeypatch.setattr(listed, "_release", lambda name: "0.0.1" if name == "timm" else release(name))
    commit = export._provenance(load(Path("params.yaml")), Paths())["commit"]
    assert re.search("; the code or libraries of .*train-fold, predict-fold.* changed since their last run$", commit)


def damaged(name: str) -> Any:
    def damage(bundle: Path) -> None:
        content = bytearray((bundle / name).read_bytes())
        content[len(content) // 2] ^= 1
        (bundle / name).write_bytes(content)

    return damage


def edited(bundle: Path, **changes: Any) -> None:
    path = bundle / manifest.MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


SPOILT = {
    "weights": (damaged(manifest.WEIGHTS), r"weights\.safetensors: damaged \(its hash differs\)"),
    "network": (damaged(manifest.OPENVINO), r"classifier\.xml: damaged \(its hash differs\)"),
    "short": (lambda bundle: os.truncate(bundle / manifest.ONNX, 100), r"classifier\.onnx: damaged"),
    "missing": (lambda bundle: (bundle / manifest.WEIGHTS).unlink(), "missing; copy the bundle again"),
    "edited": (lambda bundle: edited(bundle, threshold=0.1), r"classifier\.json: damaged \(its hash differs\)"),
    "version": (lambda bundle: edited(bundle, version=1), "a bundle of version 1, but this wen reads version 2"),
    "no JSON": (lambda bundle: os.truncate(bundle / manifest.MANIFEST, 100), r"classifier\.json: damaged \(not JSON\)"),
    "other JSON": (lambda bundle: (bundle / manifest.MANIFEST).write_text("[]"), "not the manifest of a bundle"),
    "no bundle": (lambda bundle: (bundle / manifest.MANIFEST).unlink(), "not a bundle, because it has no"),
    "nothing": (lambda bundle: shutil.rmtree(bundle), "no such folder"),
    "an archive": (lambda bundle: (shutil.rmtree(bundle), bundle.touch()), "a file; name the folder of the bundle"),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "problem"), SPOILT.values(), ids=SPOILT)
def test_an_incomplete_bundle_is_refused_in_a_sentence_and_nothing_is_written(
    bundle: Path, cells: list[str], tmp_path: Path, spoil: Any, problem: str
) -> None:
    spoil(bundle)
    with pytest.raises(WenError, match=problem) as caught:
        run_bundle(bundle, Request(cells, output=tmp_path / "cells.csv"))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "cells.csv").exists()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"classifier": "single 0.001-0"}, "--classifier: applies to a study"),
        ({"address": "auto"}, "--address: applies to a study"),
        ({"device": "tpu"}, "--device tpu: not available here"),
        ({"form": "parquet"}, "with --output FILE"),
        ({"subjects": Path("nowhere.csv")}, r"nowhere\.csv: No such file"),
    ],
)
def test_an_option_that_a_bundle_does_not_support_is_refused(
    made: Path, cells: list[str], options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(WenError, match=problem):
        run_bundle(made, Request(cells, **options))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("single baseline/colour-0", "a baseline, colour; only networks can be exported"),
        ("intra leak_fre f1", "did you mean 'intra leak_free f1'"),
    ],
)
def test_a_classifier_that_cannot_be_exported_is_refused_and_nothing_is_written(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, problem: str
) -> None:
    monkeypatch.chdir(study.root)
    with pytest.raises(WenError, match=problem):
        export.run(load(Path("params.yaml")), Paths(), tmp_path / "bundle", name)
    with pytest.raises(WenError, match="a file; choose a folder"):
        export.run(load(Path("params.yaml")), Paths(), study.root / "params.yaml", name)
    assert list(tmp_path.iterdir()) == []


def test_an_export_replaces_a_bundle_but_no_card_that_was_edited(
    study: Study, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study.root)
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    (bundle / manifest.WEIGHTS).write_bytes(b"damaged")
    export.run(load(Path("params.yaml")), Paths(), bundle, NAME)
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before
    (bundle / manifest.CARD).write_text("What our laboratory found.", encoding="utf-8")
    with pytest.raises(WenError, match=r"README\.md: edited after the export, which would replace it"):
        export.run(load(Path("params.yaml")), Paths(), bundle, NAME)
    assert (bundle / manifest.CARD).read_text(encoding="utf-8") == "What our laboratory found."


def test_where_onnx_is_not_installed_a_sentence_says_how_to_install_it(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study.root)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(WenError, match=r"not installed here: pip install .*\[export\]"):
        export.run(load(Path("params.yaml")), Paths(), tmp_path / "bundle", NAME)


def test_a_threshold_moves_the_calls_and_is_in_each_row(made: Path, cells: list[str], tmp_path: Path) -> None:
    run_bundle(made, Request(cells, output=tmp_path / "cells.csv"))
    middle = float(np.median(probabilities(tmp_path / "cells.csv")))
    run_bundle(made, Request(cells, output=tmp_path / "moved.csv", threshold=middle))
    for row in table(tmp_path / "moved.csv"):
        assert row["called"] == ("ALL" if float(row["probability"]) >= middle else "HEM")
        assert float(row["threshold"]) == middle


def test_each_person_gets_an_answer_from_the_person_s_cells(
    made: Path, cells: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    names = [Path(file).name for file in cells]
    people = ["A" if place % 3 else "B" for place in range(len(cells))]
    pd.DataFrame({"file": names, "subject": people}).to_csv(tmp_path / "subjects.csv", index=False)
    run_bundle(made, Request(cells, output=tmp_path / "cells.csv"))
    run_bundle(made, Request(cells, output=tmp_path / "people.parquet", subjects=tmp_path / "subjects.csv"))
    found = pd.read_parquet(tmp_path / "people.parquet").set_index("subject")
    expected = pd.Series(probabilities(tmp_path / "cells.csv")).groupby(people)
    assert found.index.tolist() == ["B", "A"]
    assert found.cells.to_dict() == expected.size().to_dict()
    pd.testing.assert_series_equal(found["mean"].sort_index(), expected.mean(), check_names=False)
    assert found.share.to_dict() == expected.apply(lambda values: (values >= 0.5).mean()).to_dict()
    assert ((found.low <= found["mean"]) & (found["mean"] <= found.high)).all()
    assert found.called.tolist() == ["ALL" if mean >= 0.5 else "HEM" for mean in found["mean"]]


def test_an_image_without_a_cell_is_classified_with_a_warning(
    bundle: Path, cells: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    content = manifest.read(bundle)
    wide = {name: [0.0, 1e6] for name in ("area", "red", "green", "blue")}
    content["data"]["usual"] = wide | {"width": [40.0, 60.0], "height": [40.0, 60.0]}
    manifest.write({key: value for key, value in content.items() if key != "files"}, bundle)
    Image.new("RGB", (48, 48)).save(tmp_path / "black.bmp")
    Image.effect_noise((480, 480), 60).convert("RGB").save(tmp_path / "large.bmp")
    files = [cells[0], str(tmp_path / "black.bmp"), str(tmp_path / "large.bmp")]
    run_bundle(bundle, Request(files, output=tmp_path / "cells.csv"))
    cell, black, large = (row["warning"] for row in table(tmp_path / "cells.csv"))
    assert (cell, black) == ("", "black")
    assert large.startswith("480x480 px")
    assert "warning: 2 of 3 images differ from those of the study; for example" in capfd.readouterr().err


def test_dvc_s_model_registry_has_the_bundle_of_a_tag(study: Study, made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, study.root / "bundle")
    study.run("dvc", "add", "bundle")
    study.run("git", "add", "bundle.dvc")
    study.run("git", "commit", "--quiet", "--message", "Bundle")
    study.run("git", "tag", "--annotate", "--message", "1.0.0", "classifier@v1.0.0")
    study.run("dvc", "artifacts", "get", ".", "classifier", "--out", str(tmp_path / "got"))
    assert manifest.read(tmp_path / "got") == manifest.read(made)
    assert study.run("git", "status", "--porcelain") == ""
    assert study.stages_run(study.run("dvc", "repro")) == ["code"]


def test_the_program_of_the_api_page_gives_what_wen_classify_gives(
    bundle: Path, cells: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(bundle.parent)
    Path("cells").mkdir()
    for cell in cells[:3]:
        shutil.copy(cell, "cells")
    api = (PROJECT / "docs/API.md").read_text(encoding="utf-8")
    program = next(text for text in re.findall(r"```python\n(.*?)```", api, re.DOTALL) if "opened" in text)
    exec(program, {})
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    run_bundle(Path("bundle"), Request(["cells"], output=tmp_path / "cells.csv"))
    assert [(row[0], float(row[1])) for row in printed] == [
        (row["file"], round(float(row["probability"]), 3)) for row in table(tmp_path / "cells.csv")
    ]
