"""`make record` on tiny studies of made-up cells: what it writes, that it goes on, and what it says without images."""

import sys

import pytest
from ruamel.yaml import YAML
from tiny_study import Study, new_study, tiny_values

from wen.config.params import Params
from wen.data import synthetic
from wen.files import read_json


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
def begun(project: Study, data: tuple[str, str]) -> str:
    """What it prints for the first of the studies, which is the only one that is there."""
    return record(project, *data, "--only", "by-image")


def test_without_images_it_says_what_is_missing_and_where_to_put_it(project: Study) -> None:
    before = sorted((project.root / "build").rglob("*"))
    for given, said in (((), "none are given"), (("--data", "nowhere"), "there is no nowhere")):
        output = record(project, *given, fails=True)
        assert f"make record needs images of C-NMC 2019, and {said}" in output
        assert "make record DATA=FOLDER|ZIP" in output
        assert "Traceback" not in output
    assert sorted((project.root / "build").rglob("*")) == before


def test_it_makes_each_study_once_and_writes_them_side_by_side(
    project: Study, data: tuple[str, str], begun: str
) -> None:
    page = project.root / "docs/results/README.md"
    assert "1 of 3 studies (not there: by-image-flips, fold_1-tested)" in page.read_text()
    output = record(project, *data)
    by_image, flips = output.split("by-image-flips: dvc repro")
    assert len(project.stages_run(begun)) > 10
    assert project.stages_run(by_image) == ["code"]
    flips, fold = flips.split("fold_1-tested: dvc repro")
    assert not [stage for stage in project.stages_run(flips) if stage.startswith("train")]  # of the other's models
    assert [stage for stage in project.stages_run(flips) if stage.startswith("predict")]
    assert [stage for stage in project.stages_run(fold) if stage.startswith("train")]
    text = page.read_text()
    assert "3 of 3 studies." in text
    for name in ("by-image", "by-image-flips", "fold_1-tested"):
        root = project.root / "build/record" / name
        for row in read_json(root / "metrics/evidence.json")["summary"]:
            assert f"| {row['accuracy']:.3f} " in text
        assert (page.parent / name / "figures/forest.svg").is_file()
        assert (page.parent / name / "tables/single.csv").is_file()
    kinds = {path.suffix for path in page.parent.rglob("*") if path.is_file()}
    assert kinds == {".md", ".yaml", ".csv", ".svg"}  # no image of a cell
    assert not [path for path in page.parent.rglob("*.svg") if "<image" in path.read_text()]


@pytest.mark.usefixtures("begun")
def test_it_goes_on_at_no_other_commit_than_it_began_at(project: Study, data: tuple[str, str]) -> None:
    (project.root / "src/wen/new.py").touch()
    assert "make record is of a commit, and these differ from it" in record(project, *data, fails=True)
    project.run("git", "add", "src")
    project.run("git", "commit", "--quiet", "--message", "Another commit")
    assert "begun at commit" in record(project, *data, fails=True)
    project.run("git", "reset", "--quiet", "--hard", "HEAD~")


def test_a_page_of_studies_that_were_run_in_another_way_says_how(project: Study) -> None:
    where = project.root.parent
    record(project, "--studies", str(where / "none"), "--target", str(where / "page"), "--page", "Run by hand")
    text = (where / "page/README.md").read_text()
    assert "\nRun by hand.\n\nBelow are 0 of 3 studies (not there: by-image, by-image-flips, fold_1-tested)." in text
    assert "## " not in text
