"""`wen init`: a study outside the repository, run by the package that is installed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PROJECT

from wen import init, installed
from wen.code import executed, listed
from wen.config.read import load
from wen.config.stages import STAGES
from wen.errors import WenError


@pytest.fixture
def without_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Configure git as on a new machine."""
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.useConfigOnly")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "true")


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.mark.usefixtures("without_identity")
def test_a_new_study_is_a_repository_with_one_commit_and_nothing_left_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "study"
    init.run(study, "thesis")
    assert load(study / "params.yaml") == load(PROJECT / "profiles/thesis.yaml")
    assert (study / "dvc.yaml").read_bytes() == (PROJECT / "dvc.yaml").read_bytes()
    assert git(study, "status", "--porcelain", "--ignored") == ""
    assert len(git(study, "log", "--oneline").splitlines()) == 1
    assert not (study / "src").exists()
    assert "because git has no identity here" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["study"]


def test_the_printed_command_that_starts_a_study_can_be_typed_unchanged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    init.run(tmp_path / "a study & more", "demo")
    assert f"Start it with: cd '{tmp_path}/a study & more' && dvc repro" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("profile", "first"), [("thesis", "wen study DATA"), ("laptop", "wen study DATA"), ("demo", "")]
)
def test_the_first_step_of_a_study_that_needs_images_is_to_bring_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], profile: str, first: str
) -> None:
    study = tmp_path / "study"
    init.run(study, profile)
    expected = (
        f"cd {study} && wen study DATA --profile {profile}, where DATA is" if first else f"cd {study} && dvc repro"
    )
    assert expected in capsys.readouterr().out
    commands = (study / "README.md").read_text().split("```")[1].splitlines()[1:]
    assert commands[0].startswith(first or "wen doctor")


def test_git_leaves_no_process_that_changes_the_new_study_while_it_is_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TRACE", str(tmp_path / "trace"))
    init.run(tmp_path / "study", "demo")
    assert "git commit" in (commands := (tmp_path / "trace").read_text())
    assert "maintenance run" not in commands


def test_a_folder_that_exists_and_an_unknown_profile_are_refused_and_nothing_is_made(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(WenError, match="there: already exists; choose a new folder"):
        init.run(tmp_path / "there", "demo")
    with pytest.raises(WenError, match="--profile theses: no such profile; choose one of demo, honest, laptop, thesis"):
        init.run(tmp_path / "new", "theses")
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of installed packages with `wen` as its wheel has it."""
    tree, site = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("site")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for earlier in ("study/profiles/removed.yaml", "removed.py"):
        (site / "wen" / earlier).parent.mkdir(parents=True, exist_ok=True)
        (site / "wen" / earlier).touch()
    for name in ("src", "setup.py", "pyproject.toml", "README.md", "LICENSE", *installed.STUDY):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        if (PROJECT / name).is_dir():
            shutil.copytree(PROJECT / name, tree / name, ignore=ignored)
        else:
            shutil.copy(PROJECT / name, tree / name)
    subprocess.run(
        [sys.executable, "setup.py", "--quiet", "build_py", "--build-lib", str(site)],
        cwd=tree, check=True, capture_output=True,
    )  # fmt: skip
    return site


def test_the_wheel_holds_what_a_study_begins_with_and_init_finds_it(site: Path, tmp_path: Path) -> None:
    for name in installed.STUDY:
        assert (site / "wen/study" / name).exists(), name
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from wen import init, installed; from pathlib import Path; "
        "print(installed.study_files()); init.run(Path('study'), 'demo')"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script, str(site)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"{site / 'wen/study'}\nstudy: new study with profile demo")
    assert (tmp_path / "study/params.yaml").read_bytes() == (PROJECT / "profiles/demo.yaml").read_bytes()


def test_the_wheel_has_nothing_of_an_earlier_build(site: Path) -> None:
    assert not [*site.rglob("removed.*")]


def test_an_installed_package_lists_the_same_code_as_a_clone(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So the dvc.lock of a study is valid for both."""
    expected = {stage: listed.listing(stage) for stage in STAGES}
    for name, value in (("SOURCE", site), ("START", site / "wen/__main__.py"), ("COMMANDS", site / "wen/cli.py"),
                        ("NAMES", site / "wen/config/stages.py")):  # fmt: skip
        monkeypatch.setattr(executed, name, value)
    assert {stage: listed.listing(stage) for stage in STAGES} == expected
    assert all("wen/study/" not in text for text in expected.values())
