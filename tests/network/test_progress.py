"""The progress of a training, as a terminal shows it."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from wen.config.member import Member
from wen.config.params import Params
from wen.config.paths import Paths
from wen.network.progress import Position, epoch_bar, format_metrics, position_of

ROW = {"loss/train": 0.409, "loss/validation": 0.484, "accuracy/train": 0.87, "accuracy/validation": 0.85}


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def write_times(root: Path, *seconds: float) -> Paths:
    (root / "logs").mkdir()
    (root / "logs/times.csv").write_text("".join(f"train-fold,{second}\n" for second in seconds))
    return Paths(root)


def test_models_are_counted_in_the_order_in_which_dvc_trains_them(tiny: Params, tmp_path: Path) -> None:
    params = tiny.model_copy(update={"lr": 0.1, "lr_grid": [1.0, 0.1, 0.01]})
    titles = [position_of(Member(lr, fold), params, Paths(tmp_path)).title for lr in ("0.1", "1.0") for fold in (0, 1)]
    assert titles == [
        "model 1 of 6 (LR 0.1, fold 0)", "model 2 of 6 (LR 0.1, fold 1)",
        "model 3 of 6 (LR 1.0, fold 0)", "model 4 of 6 (LR 1.0, fold 1)",
    ]  # fmt: skip


def test_the_time_for_all_models_is_that_of_the_models_before_this_one(tiny: Params, tmp_path: Path) -> None:
    """Two took 100 and 140 s, and an earlier study's 9 s do not count: three of 120 s are left, and one less 0 s."""
    params = tiny.model_copy(update={"lr": 0.1, "lr_grid": [0.1, 1.0, 10.0]})
    where = position_of(Member("1.0", 0), params, write_times(tmp_path, 9.0, 100.0, 140.0))
    assert where.time_left(30.0) == "0:30 left, all models 8:00"
    assert where.time_left(600.0) == "10:00 left, all models 16:00"  # of a model slower than those before


def test_before_the_first_model_no_time_for_all_is_claimed(tiny: Params, tmp_path: Path) -> None:
    where = position_of(Member(str(tiny.lr), 0), tiny, write_times(tmp_path, 5.0))
    assert where.time_left(3700.0) == "1:01:40 left"


def test_each_figure_of_the_log_names_the_part_it_was_measured_on() -> None:
    assert format_metrics(ROW, 0.862) == (
        "training loss 0.409, accuracy 0.870; validation loss 0.484, accuracy 0.850\n"
        "best validation accuracy so far: 0.862"
    )
    assert "best" not in format_metrics(ROW, None)


@pytest.mark.parametrize("width", [80, 100])
def test_a_terminal_shows_a_model_s_place_bar_and_figures_and_breaks_no_line(width: int) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=width, legacy_windows=False)
    with epoch_bar(Position("model 13 of 15 (LR 0.0001, fold 4)", 2, 60.0), "finetune", 90, 3, console) as advance:
        advance(format_metrics(ROW, 0.862))
    lines = [line.rstrip() for line in re.sub(r"\x1b\[[\d;?]*\w", "", shown(console)).splitlines()]
    assert "model 13 of 15 (LR 0.0001, fold 4)" in lines
    assert any(re.fullmatch(r"finetune \S+ +4/90 0:0\d left, all models \d:\d\d", line) for line in lines), lines
    assert max(map(len, lines)) <= width
    assert "…" not in shown(console)


def test_nothing_is_shown_where_there_is_no_terminal() -> None:
    console = Console(file=io.StringIO(), width=80)
    with epoch_bar(Position("model 1 of 15 (LR 0.001, fold 0)"), "head", 2, 0, console) as advance:
        advance(format_metrics(ROW, None))
        advance(format_metrics(ROW, 0.85))
    assert shown(console) == ""
