"""The draft of chapter 4: a PDF that compiles, a file for Word, and the page's own sentences and numbers in both."""

import html
import io
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from conftest import PROJECT
from PIL import Image
from report_study import MakeStudy, PageOf, section

from wen.files import read_json
from wen.report import page, statements, terminal, word
from wen.report.language import Text
from wen.report.word import plain

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
PICTURE = word.picture
EMBED = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}embed"


@pytest.fixture(params=["en", "id"])
def report(request: pytest.FixtureRequest, page_of: PageOf) -> Path:
    systems = {"baby2022": {"networks": ["tf_efficientnet_lite0"]}, "mondal2021": {}}
    return page_of(request.param, systems=systems)[1].report


def document(report: Path) -> ElementTree.Element:
    with zipfile.ZipFile(report / "chapter4.docx") as archive:
        for name in archive.namelist():
            if name.endswith((".xml", ".rels")):
                ElementTree.fromstring(archive.read(name))
        return ElementTree.fromstring(archive.read("word/document.xml"))


def text(element: ElementTree.Element) -> str:
    return "".join(part.text or "" for part in element.iter(f"{W}t"))


@pytest.mark.usefixtures("drawn", "all_formats")
def test_the_chapter_compiles_alone_with_every_reference_and_nothing_beyond_the_margins(
    report: Path, tmp_path: Path
) -> None:
    compiler = shutil.which("pdflatex")
    if not compiler:
        pytest.skip("pdflatex is not installed")
    shutil.copytree(report, tmp_path / "copy")
    for _ in range(2):  # references are known in the second run
        command = [compiler, "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
        done = subprocess.run(command, cwd=tmp_path / "copy", capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:]
    log = (tmp_path / "copy/main.log").read_text(errors="replace")
    assert "undefined" not in log
    assert [points for points in re.findall(r"Overfull .hbox \((\d+)\.\d+pt", log) if int(points) > 0] == []


@pytest.mark.usefixtures("drawn", "all_formats")
def test_the_chapter_compiles_with_names_that_pdflatex_has_no_font_for(make_study: MakeStudy, tmp_path: Path) -> None:
    compiler = shutil.which("pdflatex")
    if not compiler:
        pytest.skip("pdflatex is not installed")
    params, paths = make_study(
        dataset={"source": "folder", "classes": ["O\N{RIGHT SINGLE QUOTATION MARK}健康", "β-клетка"]}
    )
    page.run(params, paths)
    shutil.copytree(paths.report, tmp_path / "copy")
    command = [compiler, "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
    done = subprocess.run(command, cwd=tmp_path / "copy", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    main = (paths.report / "main.tex").read_text()
    assert r"\DeclareUnicodeCharacter{5065}{[U+5065]}" in main
    assert "2019" not in main


def test_every_verdict_of_the_page_stands_in_the_chapter_in_the_same_words(report: Path) -> None:
    shown = html.unescape((report / "index.html").read_text(encoding="utf-8"))
    cards = re.findall(r"<li><strong>H\d\..*?</strong>.*?<p>(.*?)</p></li>", shown, re.DOTALL)
    assert len(cards) == 4
    paragraphs = [text(paragraph) for paragraph in document(report).iter(f"{W}p")]
    for card in cards:
        assert any(plain(card) in paragraph for paragraph in paragraphs), card


def test_word_s_tables_have_a_caption_and_a_header_row_and_hold_the_numbers_of_the_csv(report: Path) -> None:
    body = document(report).find(f"{W}body")
    assert body is not None
    elements = list(body)
    tables = [(elements[at - 1], element) for at, element in enumerate(elements) if element.tag == f"{W}tbl"]
    assert len(tables) == 7
    for number, (caption, table) in enumerate(tables, 1):
        assert re.match(rf"(Table|Tabel) 4\.{number}\. \w", text(caption))
        rows = table.findall(f"{W}tr")
        assert rows[0].find(f"{W}trPr/{W}tblHeader") is not None
        assert len({len(row.findall(f"{W}tc")) for row in rows}) == 1
    mark = "," if "Tabel" in text(tables[0][0]) else "."
    weights = pd.read_csv(report / "tables/weight.csv").weight
    shown = [text(cell) for row in tables[3][1].findall(f"{W}tr")[1:] for cell in row.findall(f"{W}tc")[1:]]
    written = [cell[:5] for cell in shown if cell]
    assert written == [f"{weight:.3f}".replace(".", mark) for weight in weights]


def test_every_reference_in_word_names_a_bookmark_and_every_figure_a_picture_in_the_file(report: Path) -> None:
    found = document(report)
    marks = [mark.get(f"{W}name") for mark in found.iter(f"{W}bookmarkStart")]
    assert len(set(marks)) == len(marks)
    fields = [str(field.get(f"{W}instr")).split() for field in found.iter(f"{W}fldSimple")]
    referred = {field[1] for field in fields if field[0] == "REF"}
    assert referred == set(marks)  # each table and figure is spoken of, and no other
    with zipfile.ZipFile(report / "chapter4.docx") as archive:
        relations = ElementTree.fromstring(archive.read("word/_rels/document.xml.rels"))
        targets = {relation.get("Id"): f"word/{relation.get('Target')}" for relation in relations}
        embedded = [element.get(EMBED) for element in found.iter() if element.get(EMBED)]
        assert len(embedded) == len([mark for mark in marks if str(mark).startswith("fig")])
        assert {targets[id] for id in embedded} <= set(archive.namelist())


@pytest.mark.usefixtures("drawn", "all_formats")
def test_word_s_figures_are_those_of_the_folder_in_their_proportions(
    make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(word, "picture", PICTURE)
    params, paths = make_study()
    page.run(params, paths)
    sizes = {
        str(inline[1].get("name")): int(str(inline[0].get("cx"))) / int(str(inline[0].get("cy")))
        for inline in document(paths.report).iter()
        if inline.tag.endswith("}inline")
    }
    assert "roc" in sizes
    with zipfile.ZipFile(paths.report / "chapter4.docx") as archive:
        for name, ratio in sizes.items():
            content = archive.read(f"word/media/{name}.png")
            assert content == (paths.report / f"figures/{name}.png").read_bytes()
            width, height = Image.open(io.BytesIO(content)).size
            assert ratio == pytest.approx(width / height, rel=0.01)


def test_equal_studies_give_equal_files(page_of: PageOf, make_study: MakeStudy) -> None:
    params, paths = make_study()
    page.run(params, paths)
    for name in ("chapter4.docx", "chapter4.tex", "main.tex"):
        assert (paths.report / name).read_bytes() == (page_of()[1].report / name).read_bytes()


def test_the_chapter_omits_sentences_about_what_the_study_lacks(make_study: MakeStudy) -> None:
    params, paths = make_study(schemes=["uniform"], weighting="uniform", baselines=[], subjects=0)
    page.run(params, paths)
    chapter = (paths.report / "chapter4.tex").read_text(encoding="utf-8")
    assert "systems" not in chapter
    assert "As a control" not in chapter
    assert "baseline" not in chapter
    assert "H4. The three weightings differ in accuracy: not tested. schemes in params.yaml lists fewer" in chapter
    assert read_json(paths.evidence)["hypotheses"]["H4"]["p_adjusted"] is None


@pytest.mark.parametrize("language", ["en", "id"])
def test_the_limits_that_the_page_states_of_its_tests_stand_wherever_results_are_printed(
    make_study: MakeStudy, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    params, paths = make_study(reading="as_written", weighting="uniform", report={"language": language})
    page.run(params, paths)
    evidence, t = read_json(paths.evidence), Text(language)
    chapter = [text(paragraph) for paragraph in document(paths.report).iter(f"{W}p")]
    tests = f"{statements.independence(evidence, t)} {statements.rules(evidence, 'uniform', t)}"
    assert plain(tests) in chapter
    assert t("rules.as_written") in (paths.report / "model-card.md").read_text(encoding="utf-8")
    capsys.readouterr()
    terminal.run(params, paths)
    shown = " ".join(capsys.readouterr().out.split())
    for limit in ("rules.as_written", "rules.uniform"):
        assert t(limit) in tests
        assert t(limit) in shown


def test_no_score_on_validation_data_is_printed_of_plain_averages(make_study: MakeStudy) -> None:
    params, paths = make_study(schemes=["uniform"], weighting="uniform")
    for shown in (section(params, paths, "weights"), (paths.report / "tables/weight.tex").read_text(encoding="utf-8")):
        assert "0.500" in shown
        assert "1.000" not in shown


def test_word_has_the_unicode_characters_that_latex_prints() -> None:
    assert plain("Inter-LR 1e-5") == "Inter\N{NON-BREAKING HYPHEN}LR 10⁻⁵"
    assert plain("LR 1e-05, 3e-04; -2.6") == "LR 10⁻⁵, 3 · 10⁻⁴; \N{MINUS SIGN}2.6"
    assert plain(r"$w_k = M_k / \sum_i M_i$ (2.20), $w_1$") == "wₖ = Mₖ / Σᵢ Mᵢ (2.20), w₁"
    assert plain("f1_score, leak_free") == "f1_score, leak_free"


@pytest.mark.parametrize("name", ["CHAPTER4.md", "CHAPTER4.id.md"])
def test_the_how_to_names_every_label_of_the_draft_and_every_other_figure(name: str, report: Path) -> None:
    how_to = (PROJECT / "docs" / name).read_text(encoding="utf-8")
    chapter = (report / "chapter4.tex").read_text(encoding="utf-8")
    tables = {f"tab:wen-{table}" for table in re.findall(r"\\input\{\\wen/tables/(\w+)\}", chapter)}
    figures = set(re.findall(r"\\label\{(fig:wen-\w+)\}", chapter))
    assert set(re.findall(r"`((?:tab|fig):wen-\w+)`", how_to)) == tables | figures
    others = {path.stem for path in (report / "figures").glob("*.csv")} - {name.split("-")[1] for name in figures}
    listed = re.search(r"`report/figures/`: (.*?)\.", how_to, re.DOTALL)
    assert listed
    assert others <= set(re.findall(r"`(\w+)`", listed[1]))
