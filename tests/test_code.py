"""Which stages a change of a source file, or of a library, reruns."""

import shutil
from functools import cache
from pathlib import Path

import pytest
from conftest import PROJECT
from ruamel.yaml import YAML

from wen.code import executed, listed
from wen.code.bare import bare
from wen.config.paths import Paths
from wen.config.stages import STAGES
from wen.errors import WenError
from wen.systems.system import names

PACKAGE = PROJECT / "src/wen"
ALL = set(STAGES)
TRAINED = {"train-fold", "predict-fold"}
FROZEN = {"baselines", "repeats"}
NETWORK = {"features", *FROZEN, *TRAINED}
SYSTEMS = {"network", "system"}
ENSEMBLES = {"ensemble-inter", "ensemble-intra", "report"}

RERUN: dict[str, set[str]] = {
    "__init__.py": ALL,
    "__main__.py": ALL,
    "cli.py": ALL,
    "code/bare.py": ALL,
    "code/executed.py": ALL,
    "code/listed.py": ALL,
    "errors.py": ALL,
    "files.py": ALL,
    "config/params.py": ALL,
    "config/read.py": ALL,
    "config/types.py": ALL,
    "config/paths.py": ALL,
    "times.py": ALL,
    "members/classical.py": FROZEN,
    "members/fitted.py": FROZEN,
    "members/baselines/colour.py": FROZEN,
    "config/seeds.py": {"prepare", "split", "report", *NETWORK, *SYSTEMS},
    "figure_style.py": {"prepare", "report"},
    "data/readers/cnmc.py": {"prepare", "report"},
    "data/synthetic.py": {"prepare"},
    "data/split.py": {"split", "repeats"},
    "data/own_split.py": {"split", "repeats"},
    "data/components.py": {"split", "repeats", "system", "report"},
    "network/fit.py": {"train-fold"},
    "network/steps.py": {"repeats", *TRAINED},
    "network/progress.py": {"train-fold"},
    "network/views.py": {*NETWORK, *SYSTEMS},
    "network/pretrained.py": {"backbone", "network"},
    "members/predict.py": {"predict-fold"},
    "ensemble/weights.py": {"repeats", "system", *ENSEMBLES},
    "ensemble/wen.py": {"repeats", "system", *ENSEMBLES},
    "ensemble/temperature.py": {"repeats", "system", *ENSEMBLES},
    "evaluation/metrics.py": {*FROZEN, "predict-fold", "system", *ENSEMBLES},
    "evaluation/statistics.py": {"report"},
    "evaluation/calibration.py": {"report"},
    "evaluation/curves.py": {"report"},
    "repeats/heads.py": {"repeats"},
    "systems/network.py": {"network"},
    "systems/inputs.py": {"systems"},
    "systems/stage.py": {"system"},
    "repeats/table.py": {"repeats", "report"},
    "report/texts/page.yaml": {"report"},
    "report/templates/report.html": {"report"},
    "report/templates/word/document.xml": {"report"},
    "report/published.csv": {"report"},
    "report/systems.yaml": {"report"},
    "systems/replication.py": {"report"},
    "config/jobs.py": {"report"},
    "integrity/one_run.py": {"report"},
}
NEVER = (
    "config/stages.py",
    "integrity/edited.py",
    "launch/*.py",
    "integrity/verify.py",
    "integrity/check.py",
    "integrity/outside.py",
    "systems/wanted.py",
    "plan.py",
    "report/terminal.py",
    "data/bring.py",
    "data/unpack.py",
)


@cache
def files() -> dict[str, list[Path]]:
    return {stage: executed.files(stage) for stage in STAGES}


def reruns(file: Path) -> set[str]:
    return {stage for stage, executes in files().items() if file in executes}


@pytest.mark.parametrize("name", RERUN)
def test_a_change_of_a_source_file_reruns_these_stages_and_no_others(name: str) -> None:
    assert reruns(PACKAGE / name) == RERUN[name]


def test_the_launcher_and_what_people_alone_run_rerun_nothing() -> None:
    for file in (file for pattern in NEVER for file in PACKAGE.glob(pattern) if file.name != "__init__.py"):
        assert reruns(file) == set(), file


def test_each_stage_depends_on_its_own_code_and_on_no_source_file() -> None:
    stages = YAML(typ="safe").load((PROJECT / "dvc.yaml").read_text())["stages"]
    assert list(stages) == ["code", *STAGES]
    for name in STAGES:
        listed = "system/${key}" if name == "system" else name
        deps = stages[name].get("do", stages[name])["deps"]
        assert [path for path in deps if "code/" in path or "src" in path] == [f"data/code/{listed}.txt"]


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package whose code is listed instead."""
    shutil.copytree(PACKAGE, tmp_path / "src/wen", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(executed, "SOURCE", tmp_path / "src")
    monkeypatch.setattr(executed, "START", tmp_path / "src/wen/__main__.py")
    monkeypatch.setattr(executed, "COMMANDS", tmp_path / "src/wen/cli.py")
    monkeypatch.setattr(executed, "NAMES", tmp_path / "src/wen/config/stages.py")
    return tmp_path / "src/wen"


@pytest.fixture(scope="module")
def before() -> dict[str, str]:
    """The listings of the package as it is, and so of a copy that nothing has been changed in."""
    return listings()


def listings() -> dict[str, str]:
    return {stage: listed.listing(stage) for stage in STAGES}


@pytest.mark.parametrize(
    ("name", "old", "new", "systems"),
    [
        ("systems/published/ullah2021.py", "BLOCKS = 5", "BLOCKS = 4", {"ullah2021"}),
        ("systems/search.py", "STARTUP = 5", "STARTUP = 6", {"rodrigues2022", "wibowo2024"}),
        ("systems/classical.py", "training.label", "1 - training.label", {"ahmed2023", "baby2022"}),
        ("systems/stage.py", "predicted, probability)", "predicted[::-1], probability)", set(names())),
        ("systems/wanted.py", "indent=1", "indent=2", set()),
    ],
)
def test_a_change_reruns_the_published_systems_that_execute_it(
    source: Path, name: str, old: str, new: str, systems: set[str]
) -> None:
    before = {system: listed.listing(f"system/{system}") for system in names()}
    edit(source / name, old, new)
    assert {system for system, text in before.items() if listed.listing(f"system/{system}") != text} == systems


def changed(before: dict[str, str]) -> set[str]:
    return {stage for stage, text in listings().items() if text != before[stage]}


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("name", "old", "new", "stages"),
    [
        ("files.py", "value = value.item()", "value = round(value.item(), 1)", ALL),
        ("config/paths.py", '"data/index.csv"', '"data/index2.csv"', ALL),
        ("config/params.py", "return self.grid + ", "return self.grid[:1] + ", ALL),
        ("data/__init__.py", "", "import random\nrandom.seed(1)\n", {"prepare", "split", "report", *NETWORK, *SYSTEMS}),
        (
            "cli.py",
            "finetune.run(*_study(), Member(str(lr), fold)",
            "finetune.run(*_study(), Member(str(2 * lr), fold)",
            {"train-fold"},
        ),
        ("cli.py", "run.run(*_study(), jobs,", "run.run(*_study(), 1,", set()),
        (
            "network/progress.py",
            "started: float = field(default_factory=time.monotonic)",
            "started: float = 0.0",
            {"train-fold"},
        ),
    ],
)
def test_whatever_a_stage_executes_counts(
    before: dict[str, str], source: Path, name: str, old: str, new: str, stages: set[str]
) -> None:
    edit(source / name, old, new)
    assert changed(before) == stages


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("config/params.py", "not in this study; params.yaml has ", "no such model. There are "),
        ("network/fit.py", "training stopped, and epoch ", "it stops with epoch "),
        ("network/features.py", '"decoding images"', '"reading the images"'),
        ("config/read.py", ": unknown key", ": there is no such key"),
        ("config/read.py", "no such file; run this in the project's folder", "not found"),
        ("files.py", "not found; run `dvc repro` first", "missing; `dvc repro` makes it"),
        ("cli.py", "Learning rate, one of those in params.yaml.", "The learning rate."),
        ("__main__.py", "stopped by {name}", "ended by {name}"),
        ("cli.py", "Run the study like `dvc repro`, but train models in parallel.", "Run it all."),
        ("launch/run.py", "RETRIES = 5", "RETRIES = 50"),
    ],
)
def test_a_message_and_the_launcher_rerun_nothing(
    before: dict[str, str], source: Path, name: str, old: str, new: str
) -> None:
    edit(source / name, old, new)
    assert changed(before) == set()


def test_a_further_stage_reruns_none_and_code_beside_the_names_of_stages_reruns_all(
    before: dict[str, str], source: Path
) -> None:
    edit(source / "config/stages.py", 'BEFORE = ("code"', 'MORE = ("later", 1)\nBEFORE = ("code"')
    assert changed(before) == set()
    edit(source / "config/stages.py", "MORE = ", "import wen.files\n\nwen.files.write_json = print\nMORE = ")
    assert changed(before) == ALL


def test_a_message_that_needs_more_lines_reruns_nothing(before: dict[str, str], source: Path) -> None:
    edit(
        source / "network/fit.py",
        'raise ValueError("a first stage needs at least one epoch")',
        'raise ValueError(\n    "a first stage needs at least one epoch, "\n    f"not {options.epochs}"\n)',
    )
    assert changed(before) == set()


@pytest.mark.parametrize(
    "litter",
    ["network/.fit.py.swp", "network/fit.py~", "network/.#fit.py", "report/.DS_Store", "report/#texts.yaml#",
     "report/Thumbs.db", "report/templates/report.html~", "report/templates/.report.html.swp", "report/texts.yaml.orig",
     "report/._texts.yaml"],
)  # fmt: skip
def test_files_of_editors_and_systems_do_not_count_as_code(before: dict[str, str], source: Path, litter: str) -> None:
    (source / litter).write_bytes(b"x\0\xff")
    assert changed(before) == set()


@pytest.mark.parametrize("folder", ["network", "systems/published"])
def test_links_and_twins_that_editors_and_systems_leave_stop_nothing(
    before: dict[str, str], source: Path, tmp_path: Path, folder: str
) -> None:
    """Emacs marks a file that it edits by a link to nothing, and macOS adds a binary twin on foreign disks."""
    (source / folder / ".#fit.py").symlink_to("ada@host.4711:1764205200")
    (source / folder / "._fit.py").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X\xff")
    assert changed(before) == set()
    listed.run(Paths(tmp_path))
    assert not list((tmp_path / "data/code/system").glob(".*"))


def test_line_ends_do_not_matter(before: dict[str, str], source: Path) -> None:
    for file in source.rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert changed(before) == set()


@pytest.mark.parametrize(
    ("library", "stages"),
    [
        ("torch", {"backbone", *NETWORK}),
        ("timm", {"backbone", *NETWORK}),
        ("torchvision", {"features"}),
        ("openvino", NETWORK),
        ("pillow", {"prepare", "report", "features"}),
        ("scikit-learn", {"split", *FROZEN}),
        ("skops", FROZEN),
        ("statsmodels", {"report"}),
    ],
)
def test_another_release_of_a_computing_library_reruns_what_computes_with_it(
    before: dict[str, str], library: str, stages: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    release = listed._release
    monkeypatch.setattr(listed, "_release", lambda name: "0.0.1" if name == library else release(name))
    assert changed(before) >= stages
    assert all(f"0.0.1  {library}\n" in listed.listing(stage) for stage in stages)


def test_a_build_of_the_same_release_counts_as_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listed, "version", lambda _: "2.14.1+cpu")
    assert listed._release.__wrapped__("torch") == "2.14.1"


def test_a_stage_refuses_to_run_with_other_code_or_libraries_than_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = Paths(tmp_path)
    listed.run(paths)
    listed.check("train-fold", paths)
    release = listed._release
    monkeypatch.setattr(listed, "_release", lambda name: "0.0.1" if name == "timm" else release(name))
    with pytest.raises(WenError, match=r"other code or libraries than this stage would run with \(timm\); run `dvc"):
        listed.check("train-fold", paths)
    listed.check("ensemble-intra", paths)  # which does not compute with it


def test_the_library_because_of_which_stages_rerun_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in the environment of a colleague that is older than the study's dvc.lock."""
    listed.run(Paths(tmp_path))
    assert "(" not in capsys.readouterr().out
    release = listed._release
    monkeypatch.setattr(listed, "_release", lambda name: "0.0.1" if name == "xgboost" else release(name))
    listed.run(Paths(tmp_path))
    assert capsys.readouterr().out == "code and libraries: changed for system/ahmed2023 (xgboost)\n"


def test_unchanged_code_is_not_listed_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = Paths(tmp_path)
    listed.run(paths)
    written = paths.code_of("split").stat().st_ino
    listed.run(paths)
    assert capsys.readouterr().out.endswith("code and libraries: up to date\n")
    assert paths.code_of("split").stat().st_ino == written
    paths.code_of("split").write_text("spoiled")
    listed.run(paths)
    assert paths.code_of("split").read_text() == listed.listing("split")


def test_a_stage_takes_its_listing_from_data_code_only_while_that_is_of_this_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = Paths(tmp_path)
    made = listed.current(["split"], paths)
    listed.run(paths)
    with monkeypatch.context() as patch:
        patch.setattr(listed, "listing", None)
        assert listed.current(["split"], paths) == made
    paths.code_of("split").write_text("spoiled")
    assert listed.current(["split"], paths) == made
    monkeypatch.setattr(listed, "_release", lambda _: "0.0.1")
    assert "0.0.1  numpy\n" in listed.current(["split"], paths)["split"]


SOURCE = '''"""What it is."""
# why
import math

LIMIT = "# not a comment"


def area(side: float) -> float:
    """Of a square."""
    if side < 0:
        raise ValueError(f"{side} is no side")
    print(f"side {side}", spoil(f"{side}"))
    return side**2  # px


def problem(row: dict[str, float]) -> Message:
    key = "loss"
    if row["total"] > 1 or row.get("sum", 0) > 1:
        return f"{key} of {row['total']}" if "bias" in row else ", ".join(["too", "large"])
    return ""
'''


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ("# why\n", "", False),
        ("# px", "# in px, squared", False),
        ('"""Of a square."""', '"""Area.\n\n    Of a square.\n    """', False),
        ("\n\n\n", "\n\n", False),
        ("{side} is no side", "no side: {len(str(side))}", False),
        ('print(f"side {side}"', 'print(f"the side is {side}"', False),
        ('spoil(f"{side}")', 'spoil(f"{side} px")', True),
        ('print(f"side {side}"', 'print(f"side {spoil(side)}"', True),
        ("side**2", "side**3", True),
        ("# not a comment", "# no comment", True),
        ("    return", "    side += 1\n    return", True),
        ("    print(", "        print(", True),
        ("ValueError", "KeyError", True),
        ("{key} of {row", "{key}: {row", False),
        ('"too", "large"', '"much", "too large"', False),
        ('row["total"]', 'row["mean"]', True),
        ('"sum"', '"mean"', True),
        ('"bias"', '"variance"', True),
        ('key = "loss"', 'key = "accuracy"', True),
        ('return ""', 'return "none"', True),
    ],
)
def test_comments_docstrings_line_breaks_and_messages_do_not_count_and_all_else_does(
    old: str, new: str, counts: bool
) -> None:
    after = SOURCE.replace(old, new)
    assert after != SOURCE
    assert (bare(SOURCE) != bare(after)) == counts
