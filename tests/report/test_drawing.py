import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image
from report_study import MakeStudy

from wen.figure_style import render
from wen.report import figures, parallel
from wen.report.drawing import plotted, write
from wen.report.language import Text
from wen.results import gather

DRAWN = True


def drawn() -> Figure:
    figure, (left, right) = plt.subplots(1, 2)
    left.plot([0, 1, 2], [0.5, 0.25, 0.125], label="loss")
    left.plot([3], [0.75], "o")
    left.axvline(1.5)
    left.vlines([1], [0.2], [0.4])
    left.set(xlabel="epoch", ylabel="value")
    right.bar([0, 1], [3, 4])
    right.set(xticks=[0, 1], xticklabels=["HEM", "ALL"])
    return figure


def test_the_data_of_a_figure_are_what_it_plots() -> None:
    table = plotted(drawn())
    lines = table[table.kind == "line"]
    assert lines[["series", "x", "y"]].values.tolist() == [
        ["loss", 0, 0.5], ["loss", 1, 0.25], ["loss", 2, 0.125], ["", 3, 0.75]
    ]  # fmt: skip
    assert set(lines.x_axis) == {"epoch"}
    assert table[table.kind == "interval"][["x", "y"]].values.tolist() == [[1, 0.2], [1, 0.4]]
    assert table[table.kind == "bar"][["panel", "x_name", "y"]].values.tolist() == [[2, "HEM", 3], [2, "ALL", 4]]


def test_the_cells_of_a_matrix_are_named_by_its_ticks() -> None:
    figure, axes = plt.subplots()
    axes.imshow(np.array([[1, 2], [3, 4]]))
    axes.set(xticks=[0, 1], yticks=[0, 1], xticklabels=["a", "b"], yticklabels=["c", "d"])
    table = plotted(figure)
    assert table[["x_name", "y_name", "value"]].values.tolist() == [
        ["a", "c", 1], ["b", "c", 2], ["a", "d", 3], ["b", "d", 4]
    ]  # fmt: skip


@pytest.mark.usefixtures("all_formats")
def test_a_dollar_in_the_name_of_a_class_begins_no_formula(tmp_path: Path) -> None:
    figure, axes = plt.subplots()
    axes.set_xlabel(r"$\frac{1$ or $5$")
    assert r"$\frac{1$ or $5$" in write({"one": figure}, tmp_path / "figures", Text("en"))["one"]


@pytest.mark.usefixtures("all_formats")
@pytest.mark.parametrize(("language", "tick"), [("en", "0.2"), ("id", "0,2")])
def test_a_figure_is_kept_as_svg_with_text_pdf_png_and_csv(tmp_path: Path, language: str, tick: str) -> None:
    elements = write({"losses": drawn()}, tmp_path / "figures", Text(language))
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [
        "losses.csv", "losses.pdf", "losses.png", "losses.svg"
    ]  # fmt: skip
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", elements["losses"])
    assert {"epoch", "HEM", tick} <= {text.strip() for text in texts}
    with Image.open(tmp_path / "figures/losses.png") as picture:
        assert min(picture.size) > 800
    assert (tmp_path / "figures/losses.pdf").read_bytes().startswith(b"%PDF")
    assert len(pd.read_csv(tmp_path / "figures/losses.csv")) == 8


@pytest.mark.usefixtures("all_formats")
def test_equal_figures_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        write({"losses": drawn()}, tmp_path / name, Text("en"))
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes()


DRAWS = """
import hashlib
import matplotlib.pyplot as plt
from wen.figure_style import render
for kind in ("svg", "pdf", "png"):
    figure, axes = plt.subplots()
    axes.plot([0, 1], [0, 1], label="a line")
    axes.set(xlabel="one", ylabel="other")
    axes.legend()
    print(hashlib.sha256(render(figure, kind)).hexdigest())
"""
OWN_STYLE = """
figure.dpi: 55
savefig.dpi: 55
figure.figsize: 3, 3
font.size: 20
font.sans-serif: DejaVu Serif
lines.linewidth: 5
axes.grid: True
svg.fonttype: path
"""


def test_a_matplotlibrc_in_the_folder_changes_no_byte_of_a_figure(tmp_path: Path) -> None:
    drawn = []
    for style in ("", OWN_STYLE):
        (tmp_path / "matplotlibrc").write_text(style)
        done = subprocess.run([sys.executable, "-c", DRAWS], cwd=tmp_path, capture_output=True, text=True, check=True)
        drawn.append(done.stdout.split())
    assert len(drawn[0]) == 3
    assert drawn[0] == drawn[1]


@pytest.mark.usefixtures("all_formats")
def test_figures_have_the_same_bytes_however_many_processes_draw_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = []
    for count in (1, 3):
        monkeypatch.setattr(parallel, "cpu_count", lambda count=count: count)
        elements = write({name: drawn() for name in "abcd"}, tmp_path / str(count), Text("en"))
        files.append({path.name: path.read_bytes() for path in (tmp_path / str(count)).iterdir()})
        assert list(elements) == list("abcd")
    assert len(files[0]) == 16
    assert files[0] == files[1]


def test_long_names_of_classes_are_broken_into_lines() -> None:
    assert figures.wrapped("HEM") == "HEM"
    assert figures.wrapped("leukaemic blast") == "leukaemic blast"
    assert figures.wrapped("acute lymphoblastic_leukaemia") == "acute\nlymphoblastic_\nleukaemia"


@pytest.mark.parametrize("name", ["HEM", "acute lymphoblastic_leukaemia_blast of type L2"])
@pytest.mark.parametrize("compared", [3, 4])
def test_no_word_of_the_confusion_matrices_is_cut_or_lies_over_another(
    make_study: MakeStudy, name: str, compared: int
) -> None:
    params, paths = make_study(dataset={"source": "folder", "classes": [name, name[::-1]]})
    study, t = gather(params, paths), Text("en", [figures.wrapped(name), figures.wrapped(name[::-1])])
    figure = figures.confusion_matrices(study, study.classifiers[:compared], t)
    render(figure, "png")
    words = [text for axes in figure.axes for text in (axes.title, axes.xaxis.label, *axes.get_xticklabels())]
    boxes = [
        text.get_window_extent() for text in (*words, *figure.axes[0].get_yticklabels(), figure.axes[0].yaxis.label)
    ]
    width, height = figure.get_size_inches() * figure.dpi
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height for box in boxes)
    assert [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])] == []


def test_the_band_of_the_roc_curve_has_the_colour_of_the_classifier_in_focus(make_study: MakeStudy) -> None:
    study = gather(*make_study(skill=0.2, ensemble="inter"))
    figure = figures.roc(study, [study.best_single(), study.focus], 0, Text("en"))
    band, line = figure.axes[0].collections[0], figure.axes[0].lines[1]
    assert to_hex(band.get_facecolor()) == line.get_color()
    plt.close(figure)


def test_the_legend_of_precision_and_recall_does_not_lie_over_a_line(make_study: MakeStudy) -> None:
    study = gather(*make_study(skill=0.2))
    figure = figures.precision_recall(study, [study.focus], Text("en"))
    figure.draw_without_rendering()
    (axes,) = figure.axes
    assert axes.get_legend().get_window_extent().y0 >= axes.get_window_extent().y1
    plt.close(figure)


@pytest.mark.parametrize(("language", "ticks"), [("en", ["2,000", "10,000"]), ("id", ["2.000", "10.000"])])
def test_numbers_of_an_axis_have_thousands_marks(tmp_path: Path, language: str, ticks: list[str]) -> None:
    figure, axes = plt.subplots()
    axes.plot([0, 10_000], [0, 1])
    svg = write({"counts": figure}, tmp_path / "figures", Text(language))["counts"]
    assert all(f">{tick}<" in svg for tick in ticks)
