import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import study_values
from report_study import write_study

from wen.config.params import Params
from wen.config.paths import Paths
from wen.files import read_json, write_json
from wen.report import beside, page
from wen.report.language import Text


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Params, Paths]:
    """A study split by subject whose evidence is committed under the tag ``people``; for tests to copy."""
    params, paths = write_study(tmp_path_factory.mktemp("study"), study_values(), split={"unit": "subject"})
    page.run(params, paths)
    for command in (["init"], ["add", "metrics"], ["commit", "-m", "A study by subject"], ["tag", "people"]):
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *command], cwd=paths.root, check=True,
            capture_output=True,
        )  # fmt: skip
    return params, paths


@pytest.fixture
def by_subject(committed: tuple[Params, Paths], tmp_path: Path) -> tuple[Params, Paths]:
    params, paths = committed
    shutil.copytree(paths.root, tmp_path, dirs_exist_ok=True)
    return params, Paths(tmp_path)


def written(params: Params, paths: Paths, revision: str) -> str:
    """The page of the study with another reading, beside a revision."""
    report = params.report.model_copy(update={"beside": revision})
    page.run(params.model_copy(update={"report": report, "reading": "as_written"}), paths)
    return (paths.report / "index.html").read_text()


def test_two_studies_of_the_same_images_stand_side_by_side(by_subject: tuple[Params, Paths]) -> None:
    params, paths = by_subject
    before = read_json(paths.evidence)
    text = written(params, paths, "people")
    section = text.split('<section id="beside">')[1].split("</section>")[0]
    t = Text("en")
    for row in (*before["summary"], *read_json(paths.evidence)["summary"]):
        for measure in ("accuracy", "kappa", "auc"):
            assert t.number(row[measure]) in section
    assert section.count("split at random by subject") >= 2
    readings = section.split(t("beside.reading"))[1].split("</tr>")[0]
    assert readings.index("as_written") < readings.index("leak_free")
    assert section.split(f">{t('beside.weighting')}<")[1].split("</tr>")[0].count("kappa") == 2
    git = ["git", "rev-parse", "--short=7", "people"]
    commit = subprocess.run(git, cwd=paths.root, check=True, capture_output=True, text=True).stdout.strip()
    assert f"people ({commit})" in section  # for a branch moves on, and the page does not
    assert read_json(paths.evidence)["beside"]["summary"] == before["summary"]
    assert (paths.report / "figures/beside.svg").is_file()


def test_an_experiment_stands_beside_as_a_branch_does(by_subject: tuple[Params, Paths]) -> None:
    params, paths = by_subject
    name = "refs/exps/00/0000000000000000000000000000000000000000/expone"
    subprocess.run(["git", "update-ref", name, "people"], cwd=paths.root, check=True)
    assert 'id="beside"' in written(params, paths, "expone")


def test_a_partial_clone_fetches_the_evidence_of_another_study(
    by_subject: tuple[Params, Paths], tmp_path_factory: pytest.TempPathFactory
) -> None:
    _, paths = by_subject
    clone = tmp_path_factory.mktemp("partial")
    for command in (
        ["git", "config", "uploadpack.allowFilter", "true"], ["git", "rm", "-r", "--quiet", "--cached", "metrics"],
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "No longer here"],
        ["git", "clone", "--quiet", "--filter=blob:none", f"file://{paths.root}", str(clone)],
    ):  # fmt: skip
        subprocess.run(command, cwd=paths.root, check=True)
    found = beside.other_study("people", Paths(clone), read_json(paths.evidence))
    assert found
    assert found["summary"] == read_json(paths.evidence)["summary"]


@pytest.mark.parametrize("case", ["no such revision", "no study", "other images", "another version", "not valid JSON"])
def test_a_study_that_cannot_be_compared_is_left_out_with_a_sentence(
    by_subject: tuple[Params, Paths], capsys: pytest.CaptureFixture[str], case: str
) -> None:
    params, paths = by_subject
    evidence = read_json(paths.evidence)
    if case == "other images":
        write_json(paths.evidence, evidence | {"dataset": "other"})
    elif case == "another version":
        write_json(paths.evidence, {key: value for key, value in evidence.items() if key != "summary"})
    elif case == "not valid JSON":
        paths.evidence.write_text("{")
    elif case == "no study":
        paths.evidence.unlink()
    commit = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--allow-empty", "-am", case]
    subprocess.run(commit, cwd=paths.root, check=True, capture_output=True)
    text = written(params, paths, "nowhere" if case == "no such revision" else "HEAD")
    found = capsys.readouterr().err
    assert found.startswith("report.beside: ")
    assert found.endswith("the report is written without it\n")
    assert {"no such revision": "unknown Git revision", "no study": "has no metrics", "other images": "other images",
            "another version": "summary", "not valid JSON": "not valid JSON"}[case] in found  # fmt: skip
    assert 'id="beside"' not in text
    assert "</html>" in text
