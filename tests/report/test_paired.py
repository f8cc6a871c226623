"""bench/paired.py compares two studies of the same test images; its row of Intra-LR is computed again here."""

import json
import re
from pathlib import Path

import numpy as np
import paired
import pandas as pd
import pytest
from conftest import study_values
from report_study import write_study
from sklearn.metrics import accuracy_score, roc_auc_score

from wen.config.params import Params
from wen.config.paths import Paths
from wen.files import read_npz, write_npz
from wen.report.language import ABSENT


def made(root: Path, skill: float, **changes: object) -> tuple[Params, Paths]:
    root.mkdir()
    params, paths = write_study(root, study_values(), skill, **changes)  # type: ignore[arg-type]
    paths.params.write_text(json.dumps(params.model_dump()))
    return params, paths


def printed(one: Path, other: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setattr("sys.argv", ["paired.py", str(one), str(other)])
    paired.main()
    return capsys.readouterr().out


def area_interval(label: np.ndarray, scores: list[np.ndarray]) -> tuple[float, float]:
    """The interval of the difference of two areas by DeLong et al. (1988), from all pairs of images."""
    pairs = [score[label == 1][:, None] - score[label == 0][None, :] for score in scores]
    won = [(pair > 0) + 0.5 * (pair == 0) for pair in pairs]
    gain = won[1] - won[0]
    error = np.sqrt(sum(gain.mean(axis=axis).var(ddof=1) / gain.shape[1 - axis] for axis in (0, 1)))
    return gain.mean() - 1.959964 * error, gain.mean() + 1.959964 * error


def test_the_differences_are_those_of_an_independent_computation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    params, _ = made(tmp_path / "head", 0.4)
    made(tmp_path / "finetuned", 0.9)
    text = printed(tmp_path / "head", tmp_path / "finetuned", monkeypatch, capsys)
    assert "Differences are finetuned minus head." in text
    scores = []
    for name in ("head", "finetuned"):
        with np.load(tmp_path / name / "data/predictions/intra.npz") as arrays:
            scores.append(arrays[f"{params.reading}_{params.weighting}_probability"])
            label = arrays["test_label"]
    assert f"{len(label)} test images, {len(label)} images or groups" in text
    accuracies = [accuracy_score(label, score >= 0.5) for score in scores]
    areas = [roc_auc_score(label, score) for score in scores]
    right = [(score >= 0.5) == label for score in scores]
    gained, lost = ((first & ~second).sum() for first, second in (right[::-1], right))
    n = len(label) + 2
    more, less = (gained + 1) / n, (lost + 1) / n  # Bonett & Price (2012)
    reach = 1.959964 * np.sqrt((more + less - (more - less) ** 2) / n)
    row = next(line for line in text.splitlines() if line.startswith("| Intra-LR "))
    expected = [
        *accuracies, accuracies[1] - accuracies[0], more - less - reach, more - less + reach,
        *areas, areas[1] - areas[0], *area_interval(label, scores),
    ]  # fmt: skip
    found = [float(number) for number in re.findall(r"[+-]?\d\.\d{3}", row)]
    assert found == pytest.approx(expected, abs=6e-4)
    assert accuracies[0] != accuracies[1]


def test_studies_of_other_test_images_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path / "one", 0.9)
    made(tmp_path / "other", 0.9, seed=7)
    with pytest.raises(SystemExit, match="other have other test images; compare studies of one split"):
        printed(tmp_path / "one", tmp_path / "other", monkeypatch, capsys)


def test_studies_that_name_another_class_positive_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, paths = made(tmp_path / "one", 0.9)
    _, other = made(tmp_path / "other", 0.9)
    index = pd.read_csv(other.index)
    index.assign(label=1 - index.label).to_csv(other.index, index=False)
    for path in other.root.glob("data/predictions/**/*.npz"):
        arrays = read_npz(path)
        for part in ("test", "validation"):
            if f"{part}_label" in arrays:
                arrays[f"{part}_label"] = 1 - arrays[f"{part}_label"]
        write_npz(path, **arrays)
    with pytest.raises(SystemExit, match="other have other labels; compare studies of the same classes"):
        printed(paths.root, other.root, monkeypatch, capsys)


def test_a_test_set_of_one_class_has_differences_in_accuracy_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, skill in (("head", 0.4), ("finetuned", 0.9)):
        made(tmp_path / name, skill, tested=1)
    text = printed(tmp_path / "head", tmp_path / "finetuned", monkeypatch, capsys)
    rows = [line for line in text.splitlines() if re.match(r"\| (Int|best)", line)]
    assert len(rows) == 3
    for row in rows:
        assert re.fullmatch(rf"\| [^|]+ \| 0\.\d+ to [01]\.\d+ \| [+-]\S+ \[[^]]*\] (\| {ABSENT} ){{2}}\|", row)
