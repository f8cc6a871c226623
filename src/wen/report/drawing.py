"""Write the report's figures as SVG, PDF and PNG, and the data of each figure as CSV."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import Collection, LineCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text as Words
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, ScalarFormatter

from wen.figure_style import render
from wen.report import parallel
from wen.report.language import Text
from wen.report.typography import typeset

FORMATS = ("svg", "pdf", "png")


def write(figures: dict[str, Figure], folder: Path, t: Text) -> dict[str, str]:
    """Write every figure in `FORMATS` with its data, close it, and return the SVG element of each for the page."""
    folder.mkdir()

    def draw(name: str) -> None:
        figure = figures[name]
        for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
            if type(axis.get_major_formatter()) is ScalarFormatter:
                axis.set_major_formatter(_LocalisedFormatter(t))
        plotted(figure).to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
        _typeset(figure)
        for kind in FORMATS:
            (folder / f"{name}.{kind}").write_bytes(render(figure, kind))

    parallel.for_each(draw, list(figures))
    for figure in figures.values():
        plt.close(figure)
    return {name: _element((folder / f"{name}.svg").read_text(encoding="utf-8")) for name in figures}


def _typeset(figure: Figure) -> None:
    """Typeset the words of a figure, whose data keep the plain names."""
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        if isinstance(axis.get_major_locator(), FixedLocator):
            names = axis.get_major_formatter().format_ticks(axis.get_ticklocs().tolist())
            axis.set_ticklabels([*map(typeset, names)])
    for words in figure.findobj(Words):
        words.set_text(typeset(words.get_text()))


def _element(svg: str) -> str:
    """The ``<svg>`` element of an SVG file, without the XML declaration."""
    return svg[svg.index("<svg") :]


class _LocalisedFormatter(ScalarFormatter):
    """Tick labels with the decimal and thousands marks of the report's language."""

    def __init__(self, t: Text) -> None:
        super().__init__()
        self.t = t

    def __call__(self, x: float, pos: int | None = None) -> str:
        plain = super().__call__(x, pos)
        return self.t.marked(re.sub(r"(?<![\d.])\d{4,}", lambda digits: f"{int(digits[0]):,}", plain))


def plotted(figure: Figure) -> pd.DataFrame:
    """Extract the data that a figure plots.

    Returns
    -------
    DataFrame
        One row per point: ``panel`` (counted from 1), its title and axis labels, ``series`` (the legend label),
        ``kind`` (line, bar, points, interval, area or matrix), ``x`` and ``y`` in data units, ``x_name`` and ``y_name``
        on a categorical axis, and ``value`` of a matrix cell. Columns without a value are left out.
    """
    rows = [
        {"panel": panel, "title": axes.get_title(), "x_axis": axes.get_xlabel(), "y_axis": axes.get_ylabel()} | row
        for panel, axes in enumerate(figure.axes, 1)
        for row in _rows(axes)
    ]
    columns = ["panel", "title", "x_axis", "y_axis", "series", "kind", "x", "y", "x_name", "y_name", "value"]
    table = pd.DataFrame(rows, columns=columns)
    return table.dropna(axis="columns", how="all")


def _rows(axes: Axes) -> Iterator[dict[str, Any]]:
    names = [_tick_names(axis) for axis in (axes.xaxis, axes.yaxis)]
    for series, kind, points in _series(axes):
        for x, y in points.tolist():
            yield {"series": series, "kind": kind, "x": x, "y": y} | _named(names, x, y)
    for image in axes.get_images():
        for (row, column), value in np.ndenumerate(np.asarray(image.get_array())):
            yield {"kind": "matrix", "x": column, "y": row, "value": float(value)} | _named(names, column, row)


def _series(axes: Axes) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield the legend label, the kind and the points, of shape (n, 2), of each line, bar and collection."""
    for line in axes.get_lines():
        if line.get_transform().contains_branch(axes.transData):
            yield _name(line.get_label()), "line", np.asarray(line.get_xydata(), dtype=float)
    for container in axes.containers:
        bars = [patch for patch in container.get_children() if isinstance(patch, Rectangle)]
        heights = [[bar.get_x() + bar.get_width() / 2, bar.get_y() + bar.get_height()] for bar in bars]
        if heights:
            yield _name(container.get_label()), "bar", np.array(heights, dtype=float)
    for collection in axes.collections:
        yield from ((_name(collection.get_label()), kind, points) for kind, points in _of_collection(collection))


def _of_collection(collection: Collection) -> Iterator[tuple[str, np.ndarray]]:
    if isinstance(collection, PathCollection):
        yield "points", np.asarray(collection.get_offsets(), dtype=float)
    elif isinstance(collection, LineCollection):
        for segment in collection.get_segments():
            yield "interval", np.asarray(segment, dtype=float)
    else:
        for path in collection.get_paths():
            yield "area", np.asarray(path.vertices, dtype=float)


def _name(label: object) -> str:
    """The legend label of a series; empty for Matplotlib's automatic labels, which begin with an underscore."""
    return "" if str(label).startswith("_") else str(label)


def _named(names: list[dict[int, str]], x: float, y: float) -> dict[str, str | None]:
    """The tick labels at a point, on the axes that are categorical."""
    places = zip(("x_name", "y_name"), names, (x, y), strict=True)
    return {key: ticks.get(round(place)) for key, ticks, place in places if ticks}


def _tick_names(axis: Axis) -> dict[int, str]:
    formatter, places = axis.get_major_formatter(), axis.get_ticklocs().tolist()
    if not isinstance(formatter, FixedFormatter | FuncFormatter):
        return {}
    return {round(place): name for place, name in zip(places, formatter.format_ticks(places), strict=True)}
