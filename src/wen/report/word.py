"""The chapter for Word: chapter4.docx, whose captions and cross-references Word numbers automatically.

The file is a zip of XML parts (Office Open XML), rendered from templates/word.
"""

import io
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from jinja2 import Environment, PackageLoader, StrictUndefined

from wen.report.blocks import REFERENCE, WIDTH, Block, Placed
from wen.report.language import Text
from wen.report.latex import BREAK, MATH, Cell, Column
from wen.report.typography import UNBROKEN, typeset

PARTS = {
    "[Content_Types].xml": "types.xml",
    "_rels/.rels": "relations.xml",
    "word/document.xml": "document.xml",
    "word/styles.xml": "styles.xml",
    "word/numbering.xml": "numbering.xml",
    "word/_rels/document.xml.rels": "document-relations.xml",
}
"""Parts of the file, and the template of each."""
TWIPS = 567
"""Of a cm: twentieths of a point."""
NARROW = 6
"""A column of numbers is as wide as a word of so many letters, or as the longest word of its heading."""
SUBSCRIPT = str.maketrans("0123456789ik", "₀₁₂₃₄₅₆₇₈₉ᵢₖ")


def write(blocks: Sequence[Block], draft: str, folder: Path, t: Text) -> None:
    """Write chapter4.docx: A4, 12 pt, margins of 4 and 3 cm; figures are those of figures/ as PNG.

    Parameters
    ----------
    blocks : sequence of Block
    draft : str
        The first paragraph, which names the study that the chapter was generated from.
    folder : Path
        The report's folder.
    t : Text
    """
    placed = [block for block in blocks if isinstance(block, Placed)]
    figures = [block for block in placed if block.table is None]
    content = {
        "t": t,
        "draft": draft,
        "blocks": [(type(block).__name__, block) for block in blocks],
        "figures": figures,
        "number": _numbers(placed),
    }
    templates = _environment()
    parts = {name: _rendered(templates, template, content) for name, template in PARTS.items()}
    parts |= {f"word/media/{figure.name}.png": picture(folder, figure.name) for figure in figures}
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", compresslevel=1) as archive:
        for name, part in parts.items():
            entry = zipfile.ZipInfo(name)  # dated 1980, so that equal reports are equal files
            entry.compress_type = zipfile.ZIP_STORED if name.endswith(".png") else zipfile.ZIP_DEFLATED
            archive.writestr(entry, part)
    (folder / "chapter4.docx").write_bytes(data.getvalue())


def picture(folder: Path, name: str) -> bytes:
    """Read the PNG file of a figure."""
    return (folder / f"figures/{name}.png").read_bytes()


def plain(text: str) -> str:
    """Convert LaTeX notation to Unicode, such as 1e-05 to 10⁻⁵ and $w_k$ to wₖ, and keep Inter-LR on one line."""
    text = re.sub(MATH, lambda match: match[0].strip("$").replace("\\sum_", "Σ_"), text).replace(BREAK, "")
    text = re.sub(UNBROKEN, lambda match: match[0].replace("-", "\N{NON-BREAKING HYPHEN}"), text)
    text = re.sub(r"(?<=[wMΣ])_(\d+|[ik])\b", lambda match: match[1].translate(SUBSCRIPT), text)
    return typeset(text)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("wen.report", "templates/word"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = lambda text: escape(plain(text))
    environment.filters["references"] = _references
    environment.filters["twips"] = lambda columns: [round(TWIPS * width) for width in _widths(columns)]
    environment.filters["headings"] = lambda columns: [Cell(column.heading, best=True) for column in columns]
    return environment


def _rendered(templates: Environment, name: str, content: dict[str, object]) -> bytes:
    """Render a part, without the line breaks between the tags of its template."""
    text = templates.get_template(name).render(content)
    return re.sub(r"(?<=[^?]>)\s*\n\s*(?=<)", "", text).strip().encode()


def _numbers(placed: Sequence[Placed]) -> dict[str, int]:
    """Number tables and figures, each from 1 on."""
    kinds = [[block for block in placed if block.kind == kind] for kind in ("tab", "fig")]
    return {block.mark: n for blocks in kinds for n, block in enumerate(blocks, 1)}


def _references(text: str) -> list[str]:
    """Split running text at its references: text, bookmark, text, bookmark, ..., text."""
    parts = re.split(REFERENCE, text)
    marks = (f"{kind}_{name}" for kind, name in zip(parts[1::3], parts[2::3], strict=True))
    return [part for pair in zip(parts[::3], [*marks, ""], strict=True) for part in pair][:-1]


def _widths(columns: Sequence[Column]) -> list[float]:
    """Widths in cm that fill the page: text as LaTeX has it, numbers share the rest by the words of their headings."""
    letters = [0 if column.width else max(NARROW, *map(len, column.heading.split())) for column in columns]
    rest = WIDTH - sum(column.width or 0 for column in columns)
    return [column.width or rest * count / sum(letters) for column, count in zip(columns, letters, strict=True)]
