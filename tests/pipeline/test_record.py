"""`make record` on tiny studies of made-up cells: its page, its resumption, and its errors."""

import json
import shutil
import sys

import pytest
from ruamel.yaml import YAML
from tiny_study import Study, new_study, tiny_values

from wen.config.params import Params
from wen.data import synthetic
from wen.files import read_json

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The project, whose laptop profile is a tiny study of C-NMC; beside it, made-up images in C-NMC's layout."""
    made = new_study(tmp_path_factory.mktemp("record"), "project", drawn=True)
    values = tiny_values(cpu_engine="torch")
    dataset = Params.model_validate(values).dataset
    assert dataset.synthetic
    synthetic.write(made.root.parent / "cnmc", dataset.synthetic, dataset.side, seed=1)
    del values["dataset"]["synthetic"]
    values["dataset"] |= {"source": "cnmc", "side": 48}
    values["repeats"] = {"image": 2, "subject": 0}
    with (made.root / "profiles/laptop.yaml").open("w") as file:
        YAML().dump(values, file)
    with (made.root / "bench/record.yaml").open("w") as file:
        YAML().dump(
            {
                "by-image": {},
                "by-image-flips": {"predict": {"tta": "flips"}},
                "fold_1-tested": {"split": {"test": "fold_1"}, "repeats": {"image": 0}},
            },
            file,
        )
    made.commit("A tiny laptop profile")
    return made


def record(project: Study, *arguments: str, fails: bool = False) -> str:
    return project.run(sys.executable, "bench/record.py", *arguments, fails=fails)


@pytest.fixture(scope="module")
def data(project: Study) -> tuple[str, str]:
    return "--data", str(project.root.parent / "cnmc")


@pytest.fixture(scope="module")
def first_output(project: Study, data: tuple[str, str]) -> str:
    """Output of `make record` for the first study, the only one that exists then."""
    return record(project, *data, "--only", "by-image")


def test_make_record_without_images_says_what_is_missing_and_where_to_put_it(project: Study) -> None:
    before = sorted((project.root / "build").rglob("*"))
    for given, problem in (((), "none are given"), (("--data", "nowhere"), "there is no nowhere")):
        output = record(project, *given, fails=True)
        assert f"make record needs images of C-NMC 2019, and {problem}" in output
        assert "make record DATA=FOLDER|ZIP" in output
        assert "Traceback" not in output
    assert sorted((project.root / "build").rglob("*")) == before


def test_each_study_of_the_record_is_run_once_and_all_are_on_one_page(
    project: Study, data: tuple[str, str], first_output: str
) -> None:
    page = project.root / "docs/results/README.md"
    assert "1 of the 3 studies of bench/record.yaml (by-image-flips, fold_1-tested: not run yet)" in page.read_text()
    output = record(project, *data)
    by_image, flips = output.split("by-image-flips: dvc repro")
    assert len(project.stages_run(first_output)) > 10
    assert project.stages_run(by_image) == ["code"]
    flips, fold = flips.split("fold_1-tested: dvc repro")
    assert not [stage for stage in project.stages_run(flips) if stage.startswith("train")]  # of the other's models
    assert [stage for stage in project.stages_run(flips) if stage.startswith("predict")]
    assert [stage for stage in project.stages_run(fold) if stage.startswith("train")]
    text = page.read_text()
    assert "3 of the 3 studies of bench/record.yaml." in text
    for name in ("by-image", "by-image-flips", "fold_1-tested"):
        root = project.root / "build/record" / name
        evidence = read_json(root / "metrics/evidence.json")
        for row in evidence["summary"]:
            assert f"| {row['accuracy']:.3f} " in text
        for row in evidence["baselines"]["baselines"]:
            assert f"| {100 * row['gain']['accuracy']['difference']:+.1f} [" in text
        assert (page.parent / name / "figures/forest.svg").is_file()
        assert (page.parent / name / "tables/single.csv").is_file()
    kinds = {path.suffix for path in page.parent.rglob("*") if path.is_file()}
    assert kinds == {".md", ".yaml", ".csv", ".svg", ".json"}  # no image of a cell
    assert not [path for path in page.parent.rglob("*.svg") if "<image" in path.read_text()]


@pytest.mark.usefixtures("first_output")
def test_a_record_begun_at_another_commit_is_refused(project: Study, data: tuple[str, str]) -> None:
    (project.root / "src/wen/new.py").touch()
    assert "make record is of a commit, and these differ from it" in record(project, *data, fails=True)
    project.run("git", "add", "src")
    project.run("git", "commit", "--quiet", "--message", "Another commit")
    assert "started at commit" in record(project, *data, fails=True)
    project.run("git", "reset", "--quiet", "--hard", "HEAD~")


@pytest.mark.usefixtures("first_output")
def test_a_record_begun_with_other_images_or_another_configuration_is_refused(
    project: Study, data: tuple[str, str]
) -> None:
    where = project.root.parent
    (where / "others").mkdir()
    output = record(project, "--data", str(where / "others"), "--only", "by-image", fails=True)
    assert "by-image: started with" in output
    (where / "record.yaml").write_text("by-image: {seed: 7}\n")
    output = record(project, *data, "--configurations", str(where / "record.yaml"), fails=True)
    assert "by-image: started with" in output


def test_a_page_of_studies_that_were_run_in_another_way_says_how(project: Study) -> None:
    where = project.root.parent
    record(project, "--studies", str(where / "none"), "--target", str(where / "page"), "--page", "Run by hand")
    text = (where / "page/README.md").read_text()
    assert "0 of the 3 studies of bench/record.yaml (by-image, by-image-flips, fold_1-tested: not run yet)." in text
    assert "## " not in text


def test_a_study_that_is_not_at_hand_keeps_its_rows_and_how_it_was_run(
    project: Study, data: tuple[str, str], first_output: str
) -> None:
    assert first_output
    record(project, *data)
    target, elsewhere = project.root.parent / "kept", project.root.parent / "elsewhere"
    shutil.copytree(project.root / "docs/results", target)
    elsewhere.mkdir()
    (elsewhere / "fold_1-tested").symlink_to(project.root / "build/record/fold_1-tested")
    record(project, "--studies", str(elsewhere), "--target", str(target), "--page", "Run on another machine")
    before, after = ((root / "README.md").read_text() for root in (project.root / "docs/results", target))
    assert "\n- fold_1-tested: Run on another machine.\n" in after
    assert "\n- by-image, by-image-flips: Made by `make record DATA=...` at " in after
    assert before[before.index("## The studies") :] == after[after.index("## The studies") :]


def test_rows_of_an_earlier_page_with_other_columns_are_not_mixed_with_these(project: Study, first_output: str) -> None:
    assert first_output
    target = project.root.parent / "columns"
    shutil.copytree(project.root / "docs/results", target)
    rows = target / "by-image/rows.json"
    rows.write_text(json.dumps({**read_json(rows), "people": [["a", "b"]]}))
    written = (target / "README.md").read_text()
    output = record(project, "--studies", "nowhere", "--target", str(target), "--page", "Again", fails=True)
    assert "docs/results/by-image/rows.json: people has other columns now; run this study again" in output
    assert (target / "README.md").read_text() == written
