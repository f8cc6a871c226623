from pathlib import Path

import pytest
from conftest import study_values

from wen.config.params import Params
from wen.config.paths import Paths
from wen.data import prepare, split
from wen.network import features, pretrained


@pytest.fixture(scope="session")
def featured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny study up to its features; for tests to copy."""
    root = tmp_path_factory.mktemp("featured")
    params, paths = Params.model_validate(study_values()), Paths(root)
    paths.params.touch()
    for stage in (prepare, split, pretrained, features):
        stage.run(params, paths)
    return root
