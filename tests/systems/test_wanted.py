"""What the systems need, as stage ``code`` lists it."""

from pathlib import Path

from wen.config.params import Params
from wen.config.paths import Paths
from wen.systems import wanted


def test_a_study_without_systems_has_an_empty_list_which_is_written_once(tiny: Params, tmp_path: Path) -> None:
    """An output that is not there would end `dvc repro`."""
    params, paths = tiny.model_copy(update={"systems": {}, "pretrained": {}}), Paths(tmp_path)
    wanted.run(params, paths, lambda _: ("", ""))
    assert paths.wanted.is_dir()
    assert not list(paths.wanted.rglob("*.json"))
    written = paths.wanted.stat().st_ino
    wanted.run(params, paths, lambda _: ("", ""))
    assert paths.wanted.stat().st_ino == written
