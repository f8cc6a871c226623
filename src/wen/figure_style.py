"""How figures look and are saved: vector, legible in black and white, equal bytes for equal data."""

import io
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from wen.files import atomic

ALL_COLOUR, HEM_COLOUR = "#7b2d8b", "#1b9e77"
COLOURS = ["#1f4e79", "#d1731c", "#2a9d6f", "#8b2d6b", "#5c5c5c"]
DPI = 200  # of PNG
COMPRESSION = 3  # of PNG, from 0 to 9; 6 would take a third longer and save a tenth
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
        "text.parse_math": False,  # the name of a class may hold dollars
    }
)


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the path's ending and close it."""
    with atomic(path) as partial:
        partial.write_bytes(render(figure, path.suffix[1:]))
    plt.close(figure)


def render(figure: Figure, format: str) -> bytes:
    """Draw a figure in memory as SVG, PDF or PNG, with text as text and nothing of the day in it.

    Each canvas draws it once; ``savefig`` would draw it twice, and lay it out anew for each format.
    """
    layout = figure.get_layout_engine()
    if isinstance(layout, ConstrainedLayoutEngine):
        layout.execute(figure)
        figure.set_layout_engine("none")
    data = io.BytesIO()
    if format == "svg":
        FigureCanvasSVG(figure).print_svg(data, metadata={"Date": None})
    elif format == "pdf":
        FigureCanvasPdf(figure).print_pdf(data, metadata={"CreationDate": None})
    else:
        figure.set_dpi(DPI)
        FigureCanvasAgg(figure).print_png(data, pil_kwargs={"compress_level": COMPRESSION})
    return data.getvalue()
