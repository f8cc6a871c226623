from pathlib import Path

import numpy as np
from PIL import Image

from wen.classify import classify
from wen.network.predict import OVERFLOW
from wen.params import Params


def test_an_image_to_which_a_member_gives_no_number_gets_a_reason_instead(tmp_path: Path, tiny: Params) -> None:
    files = [str(tmp_path / name) for name in ("1.bmp", "2.bmp")]
    for file in files:
        Image.new("RGB", (48, 48)).save(file)
    first, second = classify(files, lambda images: np.array([[0.9, 0.8], [np.nan, 0.2]]), tiny)
    assert first.tolist() == [0.9, 0.8]
    assert second == OVERFLOW
