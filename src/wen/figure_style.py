"""How figures look and are saved: vector, legible in black and white, equal bytes for equal data."""

import io
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from wen.files import atomic

ALL_COLOUR, HEM_COLOUR = "#7b2d8b", "#1b9e77"
COLOURS = ["#1f4e79", "#d1731c", "#2a9d6f", "#8b2d6b", "#5c5c5c"]
MARKERS = "osD^v"
LINES = ["-", "--", "-.", ":", (0, (5, 1, 1, 1))]

plt.rcParams.update(
    {
        "figure.constrained_layout.use": True,
        "figure.max_open_warning": 0,  # the report draws all its figures before it writes them
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": "medium",
        "font.size": 10,
        "legend.frameon": False,
        "svg.hashsalt": "wen",
        "svg.fonttype": "none",
        "savefig.dpi": 200,
    }
)


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the path's ending and close it."""
    with atomic(path) as partial:
        partial.write_bytes(render(figure, path.suffix[1:]))
    plt.close(figure)


def render(figure: Figure, format: str) -> bytes:
    """Draw a figure in memory, with text as text and nothing of the day in it."""
    if figure.get_layout_engine():  # once for all formats
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    data = io.BytesIO()
    dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    figure.savefig(data, format=format, metadata=dates.get(format))
    return data.getvalue()
