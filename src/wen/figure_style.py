"""Style and output of figures: vector graphics, legible in black and white, equal bytes for equal data."""

import io
import sys
import warnings
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
from matplotlib import font_manager
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

matplotlib.rcdefaults()  # no matplotlibrc of the user or of the current folder
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


def cover(names: Iterable[str]) -> None:
    """Choose fonts that have all characters of the names: matplotlib's own font, and installed ones for what it lacks.

    Matplotlib's font has no Chinese, for example. If no font has a character, figures show a box, and one warning
    lists all such characters.
    """
    missing = {character for name in names for character in name if character.isprintable()}
    missing -= _characters(font_manager.findfont("DejaVu Sans"))
    families = ["sans-serif"]
    for font in _installed() if missing else []:
        if found := missing & _characters(font.fname):
            families.append(font.name)
            missing -= found
    plt.rcParams["font.family"] = families
    if missing:
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        print(
            f"warning: figures show boxes for {''.join(sorted(missing))}, because no installed font has these "
            "characters; install one that does, such as Noto Sans CJK, or rename the classes",
            file=sys.stderr,
        )


def _installed() -> list[font_manager.FontEntry]:
    """List the upright fonts of normal weight, except the fallback that draws a box for every character."""
    fonts = font_manager.fontManager
    for file in sorted(set(font_manager.findSystemFonts()) - {font.fname for font in fonts.ttflist}):
        with suppress(OSError, RuntimeError):  # matplotlib keeps its list, and cannot read every font
            fonts.addfont(file)
    upright = [font for font in fonts.ttflist if (font.style, font.weight) == ("normal", 400)]
    return sorted(
        (font for font in upright if not font.name.startswith("Last Resort")), key=lambda font: (font.name, font.fname)
    )


def _characters(font: str) -> set[str]:
    try:
        return {chr(code) for code in font_manager.get_font(font).get_charmap()}
    except (OSError, RuntimeError):  # a font that was removed, or that FreeType cannot read
        return set()


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the path's extension and close it."""
    with atomic(path) as partial:
        partial.write_bytes(render(figure, path.suffix[1:]))
    plt.close(figure)


def render(figure: Figure, format: str) -> bytes:
    """Draw a figure in memory as SVG, PDF or PNG, with text as text and without dates.

    Each canvas draws it once; ``savefig`` would draw it twice, and repeat the layout for each format.
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
