"""Two published systems as stages of a tiny study, run by the real DVC."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from tiny_study import Study, finished_study, set_params

pytestmark = pytest.mark.slow

TWO: dict[str, Any] = {
    "systems": {
        "baby2022": {"networks": ["tf_efficientnet_lite0"], "trees": 3},
        "wibowo2024": {"trials": 2, "epochs": 2},
    },
    "pretrained": {"tf_efficientnet_lite0": "pip"},
}


def outputs(study: Study) -> dict[str, bytes]:
    folders = ("data/predictions/system", "models/system", "metrics/systems", "data/networks")
    files = [path for folder in folders for path in (study.root / folder).rglob("*") if path.is_file()]
    return {path.relative_to(study.root).as_posix(): path.read_bytes() for path in files}


class TestTwoSystems:
    """The tests tell one story, in their order."""

    @pytest.fixture(scope="class")
    @classmethod
    def study(cls, tmp_path_factory: pytest.TempPathFactory) -> Study:
        """A finished study to which two systems are added."""
        study = finished_study(tmp_path_factory, "systems")
        values = YAML(typ="safe").load(study.root / "params.yaml")
        set_params(study.root, values | TWO)
        return study

    def test_published_systems_run_without_rerunning_the_study(self, study: Study) -> None:
        stages = study.stages_run(study.run("dvc", "repro"))
        network, systems = "network@tf_efficientnet_lite0", ["system@baby2022", "system@wibowo2024"]
        assert [stage for stage in stages if stage != "systems"] == ["code", network, *systems, "report"]
        assert study.stages_run(study.run("dvc", "repro")) == ["code"]
        assert study.row("systems/baby2022/vote-tf_efficientnet_lite0/0.json").keys() >= {"accuracy", "kappa", "auc"}

    def test_another_setting_reruns_its_system_and_the_report_alone(self, study: Study) -> None:
        study.commit("Two systems")
        output = study.run("dvc", "exp", "run", "--set-param", "systems.wibowo2024.trials=3")
        assert study.stages_run(output) == ["code", "system@wibowo2024", "report"]
        study.restore()

    def test_a_change_of_one_system_s_code_reruns_only_that_system(self, study: Study) -> None:
        path = study.root / "src/wen/systems/published/baby2022.py"
        path.write_text(path.read_text().replace('voting="soft"', 'voting="soft", weights=[1, 1, 2]'))
        assert study.stages_run(study.run("dvc", "repro")) == ["code", "system@baby2022", "report"]
        study.restore()

    def test_systems_run_in_parallel_write_the_same_bytes(self, study: Study) -> None:
        expected = outputs(study)
        cache = study.root / ".dvc/cache/runs"
        cache.rename(cache.with_name("other"))  # else they would be fetched
        lock = study.root / "dvc.lock"
        recorded = YAML(typ="safe").load(lock)
        recorded["stages"] = {name: stage for name, stage in recorded["stages"].items() if "system@" not in name}
        YAML().dump(recorded, lock)
        output = study.run("wen", "run", "--jobs", "2")
        assert "system@baby2022: running" in output
        assert "system@wibowo2024: done" in output
        assert outputs(study) == expected
        assert study.stages_run(study.run("dvc", "repro")) == ["code"]

    def test_a_system_without_weights_is_skipped_and_the_study_continues(self, study: Study, tmp_path: Path) -> None:
        values = YAML(typ="safe").load(study.root / "params.yaml")
        set_params(study.root, values | {"systems": {"ullah2021": {}}, "pretrained": {"vgg16": str(tmp_path / "none")}})
        output = study.run("dvc", "repro")
        assert "no such file" in output
        assert "system@ullah2021" in study.stages_run(output)
        assert study.stages_run(study.run("dvc", "repro")) == ["code"]
