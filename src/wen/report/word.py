"""The chapter for Word: chapter4.docx, with captions and references that Word numbers by itself (Office Open XML)."""

import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from wen.report.blocks import REFERENCE, WIDTH, Block, Heading, Note, Paragraph, Placed
from wen.report.language import Text
from wen.report.latex import BREAK, Cell, Column
from wen.report.tables import Table

CM = 360000
"""English Metric Units."""
TWIPS = 567
"""Of a cm: twentieths of a point."""
NARROW = 1.4
"""Least width of a column of numbers, in cm."""
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006"
MAIN = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
DRAWING = "http://schemas.openxmlformats.org/drawingml/2006"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml"
TYPES = (
    f'{HEAD}<Types xmlns="{PACKAGE}/content-types"><Default Extension="png" ContentType="image/png"/>'
    f'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/word/document.xml" ContentType="{WORD}.document.main+xml"/>'
    f'<Override PartName="/word/styles.xml" ContentType="{WORD}.styles+xml"/></Types>'
)
SMALL = '<w:sz w:val="13"/>'
"""Half points."""
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
SUBSCRIPT = str.maketrans("0123456789ik", "₀₁₂₃₄₅₆₇₈₉ᵢₖ")


def write(blocks: Sequence[Block], draft: str, folder: Path, t: Text) -> None:
    """Write chapter4.docx: A4, 12 pt, margins of 4 and 3 cm; figures are those of figures/ as PNG.

    Parameters
    ----------
    blocks : sequence of Block
    draft : str
        The first paragraph: where this comes from.
    folder : Path
        The report's.
    t : Text
    """
    placed = [block for block in blocks if isinstance(block, Placed)]
    figures = [block for block in placed if block.table is None]
    number = _numbers(placed)
    title = " ".join([t("chapter.number"), t("chapter.title")])
    body = [_paragraph("Title", title), _paragraph("Note", draft)]
    for block in blocks:
        body += _block(block, number, t)
    parts = {
        "[Content_Types].xml": TYPES,
        "_rels/.rels": _relations([("document", "officeDocument", "word/document.xml")]),
        "word/document.xml": _document(body),
        "word/styles.xml": _styles(t.language),
        "word/_rels/document.xml.rels": _relations(
            [("styles", "styles", "styles.xml")]
            + [(figure.name, "image", f"media/{figure.name}.png") for figure in figures]
        ),
    }
    content = {name: text.encode() for name, text in parts.items()}
    content |= {f"word/media/{figure.name}.png": picture(folder, figure.name) for figure in figures}
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, part in content.items():
            entry = zipfile.ZipInfo(name)  # of 1980, so that equal reports are equal files
            entry.compress_type = zipfile.ZIP_STORED if name.endswith(".png") else zipfile.ZIP_DEFLATED
            archive.writestr(entry, part)
    (folder / "chapter4.docx").write_bytes(data.getvalue())


def picture(folder: Path, name: str) -> bytes:
    """A figure as PNG."""
    return (folder / f"figures/{name}.png").read_bytes()


def plain(text: str) -> str:
    """Write in Unicode what LaTeX sets: 1e-05 as 10⁻⁵, $w_k$ as wₖ, a minus before a number."""
    text = text.replace("\\sum_", "Σ_").replace("$", "").replace(BREAK, "")
    text = re.sub(r"(?<=[wMΣ])_(\d+|[ik])\b", lambda found: found[1].translate(SUBSCRIPT), text)
    text = re.sub(r"\b(\d+(?:[.,]\d+)?)e-(\d+)\b", _power, text)
    return re.sub(r"(?<!\w)-(?=\d)", "\N{MINUS SIGN}", text)


def _power(found: re.Match[str]) -> str:
    factor = "" if found[1] == "1" else f"{found[1]} · "
    return f"{factor}10{f'-{int(found[2])}'.translate(SUPERSCRIPT)}"


def _numbers(placed: Sequence[Placed]) -> dict[str, int]:
    """Number tables and figures, each from 1 on."""
    kinds = {kind: [block for block in placed if block.kind == kind] for kind in ("tab", "fig")}
    return {_mark(kind, block.name): n for kind, blocks in kinds.items() for n, block in enumerate(blocks, 1)}


def _block(block: Block, number: dict[str, int], t: Text) -> Iterator[str]:
    match block:
        case Heading(text):
            yield _paragraph("Heading1", text)
        case Paragraph(text):
            yield f"<w:p>{''.join(_referring(text, number))}</w:p>"
        case Note(text):
            yield _paragraph("Note", text)
        case Placed(table=Table() as table):
            yield _caption(block, number, t)
            yield _table(table)
            yield "<w:p/>"
        case Placed():
            yield _figure(block, number[_mark(block.kind, block.name)])
            yield _caption(block, number, t)


def _paragraph(style: str, text: str) -> str:
    return f'<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr>{_run(text)}</w:p>'


def _run(text: str, properties: str = "") -> str:
    about = f"<w:rPr>{properties}</w:rPr>" if properties else ""
    return f'<w:r>{about}<w:t xml:space="preserve">{escape(plain(text))}</w:t></w:r>'


def _referring(text: str, number: dict[str, int]) -> Iterator[str]:
    """Running text whose references Word keeps right when tables and figures move."""
    parts = re.split(REFERENCE, text)
    yield _run(parts[0])
    for kind, name, after in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        mark = _mark(kind, name)
        yield _field(f"REF {mark} \\h", f"4.{number[mark]}")
        yield _run(after)


def _field(instruction: str, shown: str) -> str:
    """A field, which Word computes anew by F9; ``shown`` stands there until then."""
    return f'<w:fldSimple w:instr=" {instruction} ">{_run(shown)}</w:fldSimple>'


def _mark(kind: str, name: str) -> str:
    return f"{kind}_{name}"


def _caption(block: Placed, number: dict[str, int], t: Text) -> str:
    what = t("chapter.table") if block.kind == "tab" else t("chapter.figure")
    mark = _mark(block.kind, block.name)
    id, keep = list(number).index(mark), "<w:keepNext/>" if block.table else ""
    counted = _run("4.") + _field(f"SEQ {what} \\* ARABIC", str(number[mark]))
    return (
        f'<w:p><w:pPr><w:pStyle w:val="Caption"/>{keep}</w:pPr>{_run(f"{what} ")}'
        f'<w:bookmarkStart w:id="{id}" w:name="{mark}"/>{counted}<w:bookmarkEnd w:id="{id}"/>'
        f"{_run(f'. {block.caption}')}</w:p>"
    )


def _table(table: Table) -> str:
    widths = [round(TWIPS * width) for width in _widths(table.columns)]
    grid = "".join(f'<w:gridCol w:w="{width}"/>' for width in widths)
    rule = '<w:{} w:val="single" w:sz="8" w:space="0" w:color="000000"/>'
    about = (
        f'<w:tblPr><w:tblW w:w="{sum(widths)}" w:type="dxa"/><w:tblBorders>{rule.format("top")}{rule.format("bottom")}'
        '</w:tblBorders><w:tblLayout w:type="fixed"/><w:tblCellMar><w:left w:w="40" w:type="dxa"/>'
        '<w:right w:w="40" w:type="dxa"/></w:tblCellMar><w:tblLook w:val="0020" w:firstRow="1"/></w:tblPr>'
    )
    heading = [Cell(column.heading, best=True) for column in table.columns]
    rows = [_row(heading, table.columns, widths, rule.format("bottom"), "<w:tblHeader/>")]
    above = ""
    for row in table.rows:
        if row:
            rows.append(_row(row, table.columns, widths, above))
        above = "" if row else rule.format("top").replace('"8"', '"4"')
    return f"<w:tbl>{about}<w:tblGrid>{grid}</w:tblGrid>{''.join(rows)}</w:tbl>"


def _widths(columns: Sequence[Column]) -> list[float]:
    """Widths in cm that fill the page: text as LaTeX has it, numbers share the rest."""
    numbers = sum(column.width is None for column in columns)
    text = sum(column.width or 0 for column in columns)
    share = max(NARROW, (WIDTH - text) / numbers) if numbers else 0
    scale = WIDTH / (text + numbers * share)
    return [scale * (column.width or share) for column in columns]


def _row(
    cells: Sequence[str | Cell], columns: Sequence[Column], widths: Sequence[int], rule: str, about: str = ""
) -> str:
    edges = f"<w:tcBorders>{rule}</w:tcBorders>" if rule else ""
    content = "".join(
        f'<w:tc><w:tcPr><w:tcW w:w="{width}" w:type="dxa"/>{edges}</w:tcPr>{_cell(cell, column)}</w:tc>'
        for cell, column, width in zip(cells, columns, widths, strict=True)
    )
    return f"<w:tr><w:trPr><w:cantSplit/>{about}</w:trPr>{content}</w:tr>"


def _cell(cell: str | Cell, column: Column) -> str:
    cell = Cell(cell) if isinstance(cell, str) else cell
    side = "" if column.width else '<w:jc w:val="right"/>'
    about = f'<w:pPr><w:pStyle w:val="Table"/>{side}</w:pPr>'
    below = f"<w:r><w:br/></w:r>{_run(cell.below, SMALL)}" if cell.below else ""
    return f"<w:p>{about}{_run(cell.text, '<w:b/>' if cell.best else '')}{below}</w:p>"


def _figure(block: Placed, number: int) -> str:
    size = f'cx="{round(CM * block.width)}" cy="{round(CM * block.height)}"'
    about = f'id="{number}" name="{block.name}" descr="{escape(plain(block.caption), {chr(34): "&quot;"})}"'
    return (
        '<w:p><w:pPr><w:keepNext/><w:jc w:val="center"/></w:pPr><w:r><w:drawing>'
        f'<wp:inline distT="0" distB="0" distL="0" distR="0"><wp:extent {size}/><wp:docPr {about}/>'
        f'<a:graphic><a:graphicData uri="{DRAWING}/picture"><pic:pic><pic:nvPicPr>'
        f'<pic:cNvPr id="{number}" name="{block.name}.png"/><pic:cNvPicPr/></pic:nvPicPr>'
        f'<pic:blipFill><a:blip r:embed="{block.name}"/><a:stretch><a:fillRect/></a:stretch></pic:blipFill>'
        f'<pic:spPr><a:xfrm><a:off x="0" y="0"/><a:ext {size}/></a:xfrm>'
        '<a:prstGeom prst="rect"><a:avLst/></a:prstGeom></pic:spPr></pic:pic></a:graphicData></a:graphic>'
        "</wp:inline></w:drawing></w:r></w:p>"
    )


def _relations(found: Sequence[tuple[str, str, str]]) -> str:
    each = "".join(f'<Relationship Id="{id}" Type="{OFFICE}/relationships/{kind}" Target="{target}"/>'
                   for id, kind, target in found)  # fmt: skip
    return f'{HEAD}<Relationships xmlns="{PACKAGE}/relationships">{each}</Relationships>'


def _document(body: Sequence[str]) -> str:
    names = (
        f'xmlns:w="{MAIN}" xmlns:r="{OFFICE}/relationships" xmlns:a="{DRAWING}/main" '
        f'xmlns:wp="{DRAWING}/wordprocessingDrawing" xmlns:pic="{DRAWING}/picture"'
    )
    left, right = 4 * TWIPS, 3 * TWIPS
    page = (
        '<w:sectPr><w:pgSz w:w="11906" w:h="16838"/>'
        f'<w:pgMar w:top="{left}" w:right="{right}" w:bottom="{right}" w:left="{left}" '
        'w:header="720" w:footer="720" w:gutter="0"/></w:sectPr>'
    )
    return f"{HEAD}<w:document {names}><w:body>{''.join(body)}{page}</w:body></w:document>"


def _styles(language: str) -> str:
    """Times New Roman 12 pt at one and a half lines, and what headings, captions, tables and notes differ in."""

    def style(id: str, name: str, paragraph: str = "", run: str = "", default: str = "") -> str:
        base = "" if default else '<w:basedOn w:val="Normal"/><w:next w:val="Normal"/>'
        return (
            f'<w:style w:type="paragraph" w:styleId="{id}"{default}><w:name w:val="{name}"/>{base}<w:qFormat/>'
            f"<w:pPr>{paragraph}</w:pPr><w:rPr>{run}</w:rPr></w:style>"
        )

    font = "Times New Roman"
    fonts = f'<w:rFonts w:ascii="{font}" w:hAnsi="{font}" w:cs="{font}"/>'
    lang = f'<w:lang w:val="{ {"en": "en-GB", "id": "id-ID"}[language] }"/>'
    single = '<w:spacing w:before="{}" w:after="{}" w:line="240" w:lineRule="auto"/>'
    styles = [
        style("Normal", "Normal", '<w:spacing w:after="120" w:line="360" w:lineRule="auto"/><w:jc w:val="both"/>',
              f'{fonts}<w:sz w:val="24"/>{lang}', ' w:default="1"'),
        style("Title", "Title", '<w:spacing w:after="240"/><w:jc w:val="center"/>', '<w:b/><w:sz w:val="28"/>'),
        style("Heading1", "heading 1", '<w:keepNext/><w:spacing w:before="240"/><w:outlineLvl w:val="0"/>', "<w:b/>"),
        style("Caption", "caption", f'{single.format(120, 120)}<w:jc w:val="center"/>', '<w:sz w:val="20"/>'),
        style("Table", "Table text", f'{single.format(20, 20)}<w:jc w:val="left"/>', '<w:sz w:val="17"/>'),
        style("Note", "Note", "", '<w:i/><w:color w:val="7F7F7F"/>'),
    ]  # fmt: skip
    return f'{HEAD}<w:styles xmlns:w="{MAIN}">{"".join(styles)}</w:styles>'
