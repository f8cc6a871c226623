"""Which stages a change of a source file reruns."""

from pathlib import Path

import pytest
from conftest import PROJECT
from ruamel.yaml import YAML

from wen import code
from wen.times import STAGES

ALL = set(STAGES)
TRAINED = {"train-fold", "predict-fold"}
NETWORK = {"features", *TRAINED}
ENSEMBLES = {"ensemble-inter", "ensemble-intra", "report"}

CLUSTER = ("__init__", "board", "classify", "connect", "makespan", "node", "run", "stages")
RERUN: dict[str, set[str]] = {
    "__init__.py": set(),
    "classify.py": set(),
    "cli.py": set(),
    "code.py": set(),
    "errors.py": set(),
    "figures.py": {"prepare", "report"},
    "files.py": set(),
    "params.py": set(),
    "paths.py": set(),
    "seeds.py": {"split", "report", *NETWORK},
    "signals.py": set(),
    "times.py": set(),
    "verify.py": set(),
    **{f"cluster/{name}.py": set() for name in CLUSTER},
    "data/__init__.py": set(),
    "data/bring.py": set(),
    "data/cnmc.py": {"prepare"},
    "data/images.py": {"prepare", "report", *NETWORK},
    "data/overview.py": {"prepare"},
    "data/prepare.py": {"prepare"},
    "data/split.py": {"split", "report"},
    "data/synthetic.py": {"prepare"},
    "data/table.py": {"split", "report", *NETWORK},
    "ensemble/__init__.py": set(),
    "ensemble/inter.py": {"ensemble-inter"},
    "ensemble/intra.py": {"ensemble-intra", "report"},
    "ensemble/members.py": ENSEMBLES,
    "ensemble/weights.py": ENSEMBLES,
    "ensemble/wen.py": ENSEMBLES,
    "evaluation/__init__.py": set(),
    "evaluation/agreement.py": {"report"},
    "evaluation/calibration.py": {"report"},
    "evaluation/champion.py": {"ensemble-intra", "report"},
    "evaluation/metrics.py": {"predict-fold", *ENSEMBLES},
    "evaluation/resampling.py": {"report"},
    "evaluation/statistics.py": {"report"},
    "network/__init__.py": set(),
    "network/arrays.py": {"report", *NETWORK},
    "network/backbone.py": {"backbone", *NETWORK},
    "network/calibration.py": set(),
    "network/checkpoint.py": TRAINED,
    "network/cost.py": set(),
    "network/cut.py": NETWORK,
    "network/device.py": NETWORK,
    "network/features.py": {"features"},
    "network/fit.py": TRAINED,
    "network/frozen.py": NETWORK,
    "network/inputs.py": NETWORK,
    "network/plan.py": set(),
    "network/predict.py": {"predict-fold"},
    "network/pretrained.py": {"backbone"},
    "network/progress.py": set(),
    "network/train.py": TRAINED,
    "network/views.py": NETWORK,
}
"""Everything in report/ reruns the report alone."""


def reruns(file: Path) -> set[str]:
    return {stage for stage in STAGES if file in code.files(stage)}


def test_a_change_of_a_source_file_reruns_these_stages_and_no_others() -> None:
    package = PROJECT / "src/wen"
    files = [path for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    found = {path.relative_to(package).as_posix(): reruns(path) for path in files}
    own = {name: stages for name, stages in found.items() if name.startswith("report/")}
    assert all(stages <= {"report"} for stages in own.values())
    assert {name for name, stages in own.items() if not stages} == {"report/__init__.py", "report/terminal.py"}
    assert {name: stages for name, stages in found.items() if name not in own} == RERUN


def test_each_stage_depends_on_its_own_code_and_on_no_source_file() -> None:
    stages = YAML(typ="safe").load((PROJECT / "dvc.yaml").read_text())["stages"]
    assert list(stages) == ["code", *STAGES]
    for name in STAGES:
        assert [own for own in stages[name]["deps"] if "code/" in own or "src" in own] == [f"data/code/{name}.txt"]


SOURCE = '''"""What it is."""
# why
import math

LIMIT = "# not a comment"


def area(side: float) -> float:
    """Of a square."""
    return side**2  # px
'''


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ("# why\n", "", False),
        ("# px", "# in px, squared", False),
        ('"""Of a square."""', '"""Area.\n\n    Of a square.\n    """', False),
        ("\n\n\n", "\n\n", False),
        ("side**2", "side**3", True),
        ("# not a comment", "# no comment", True),
        ("    return", "    side += 1\n    return", True),
    ],
)
def test_comments_docstrings_and_blank_lines_do_not_count_and_all_else_does(
    tmp_path: Path, old: str, new: str, counts: bool
) -> None:
    before, after = tmp_path / "before.py", tmp_path / "after.py"
    before.write_text(SOURCE)
    after.write_text(SOURCE.replace(old, new))
    assert before.read_text() != after.read_text()
    assert (code.digest(before) != code.digest(after)) == counts
