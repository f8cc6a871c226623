"""The page, opened as a reader would: parsed, and in a browser where there is one."""

import csv
import html
import json
import re
import shutil
import subprocess
import time
import warnings
from html.parser import HTMLParser
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from report_study import CNMC, MakeStudy, PageOf, section_of

from wen.config.member import Member
from wen.config.params import Params
from wen.config.paths import Paths
from wen.ensemble import inter, intra
from wen.evaluation.metrics import MEASURES, evaluate
from wen.files import read_json, read_npz, write_json, write_npz, write_text
from wen.report import page, provenance
from wen.report.language import ABSENT, Text
from wen.results import gather

DRAWN = True
SECTIONS = [
    "answer", "questions", "baselines", "readings", "champions", "repeats", "leaks", "copies", "people",
    "tables", "weights", "figures", "calibration", "decisions", "agreement", "cells", "published", "images",
    "provenance", "errata", "checklist", "references",
]  # fmt: skip


class Page(HTMLParser):
    """Collects the elements and the text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))


def run(params: Params, paths: Paths) -> Page:
    page.run(params, paths)
    return Page(paths.report / "index.html")


@pytest.fixture(scope="module")
def study(page_of: PageOf) -> tuple[Params, Paths]:
    return page_of()


@pytest.fixture(scope="module")
def made(study: tuple[Params, Paths]) -> Page:
    """The page of that study."""
    return Page(study[1].report / "index.html")


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("language", ["en", "id"])
def test_every_section_is_there_in_both_languages(page_of: PageOf, language: str) -> None:
    written, t = Page(page_of(language)[1].report / "index.html"), Text(language)
    assert [attributes["id"] for tag, attributes in written.elements if tag == "section"] == SECTIONS
    for name in SECTIONS:
        assert t(f"section.{name}") in written.text


def test_every_figure_of_the_tables_is_that_of_the_metrics_files(study: tuple[Params, Paths], made: Page) -> None:
    params, paths = study
    rows = _rows(params, paths)
    shown = re.findall(r'<td data-of="([^"]+)" data-measure="(\w+)"[^>]*><span class="value">([^<]+)</span>', made.text)
    assert [value for *_, value in shown] == [f"{rows[name][measure]:.3f}" for name, measure, _ in shown]
    # Of 9 measures: 6 networks and 4 baselines alone, 9 Inter-LR and 6 Intra-LR; and the accuracies of both readings.
    assert len(shown) == (6 + 4 + 9 + 6) * 9 + 4 * 2
    averages = re.findall(r'<td data-average="([^"]+)" data-measure="(\w+)"[^>]*>([^<]+)<small>([^<]+)<', made.text)
    assert len(averages) == (3 + 2) * 9
    for lr, measure, *shown_as in averages:
        mean, std = (read_json(paths.single_metrics(lr, kind))[measure] for kind in ("mean", "std"))
        assert shown_as == [f"{mean:.3f}", f"± {std:.3f}"]


def test_the_weights_shown_are_those_of_the_ensembles(study: tuple[Params, Paths], made: Page) -> None:
    _, paths = study
    weights = re.findall(r'<span data-weight="(\w+) (\S+) (\w+)/(\d+)">([^<]+)</span>', made.text)
    assert len(weights) == 9 * 2 + 6 * 3
    for kind, what, scheme, k, text in weights:
        path = paths.intra_predictions if kind == "intra" else paths.inter_predictions(what)
        key = f"{what}_{scheme}_weight" if kind == "intra" else f"{scheme}_weight"
        assert text == f"{read_npz(path)[key][int(k)]:.3f}"


def test_the_headline_is_about_the_classifier_in_focus(study: tuple[Params, Paths]) -> None:
    params, paths = study
    assert read_json(paths.headline) == gather(params, paths).focus.row


def test_the_tables_are_exported_as_csv_and_latex(study: tuple[Params, Paths]) -> None:
    params, paths = study
    folder = paths.report / "tables"
    assert {path.name for path in folder.iterdir()} == {
        f"{name}.{kind}"
        for name in ("single", "average", "ensemble", "weight", "champion", "test")
        for kind in ("csv", "tex")
    }
    rows = _rows(params, paths)
    with (folder / "single.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    assert {name: float(first[name]) for name in MEASURES} == {
        name: rows["single 0.001-0"][name] for name in MEASURES
    }  # fmt: skip
    interval = read_json(paths.evidence)["intervals"]["single 0.001-0"]["auc"]
    assert [float(first[name]) for name in ("auc_low", "auc_high")] == interval
    assert [first[name] for name in ("recipe", "fold")] == ["0.001", "0"]
    assert r"leak\_free" in (folder / "ensemble.tex").read_text()


@pytest.mark.usefixtures("undrawn")
def test_a_file_name_with_markup_in_it_shows_as_text(make_study: MakeStudy) -> None:
    params, paths = make_study(skill=0.3)
    name = '<script>alert("x")</script>'
    for path in (paths.index, paths.split):
        table = pd.read_csv(path)
        table["id"] = name + table.id
        table.to_csv(path, index=False)
    arrays = read_npz(paths.test_cells)
    write_npz(paths.test_cells, **arrays | {"id": np.strings.add(name, arrays["id"])})
    for path in paths.intra_predictions.parent.rglob("*.npz"):
        arrays = read_npz(path)
        write_npz(path, **arrays | {"test_id": np.strings.add(name, arrays["test_id"])})
    made = run(params, paths)
    assert "&lt;script&gt;alert" in made.text
    assert [tag for tag, _ in made.elements].count("script") == 1


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("language", ["en", "id"])
def test_pairs_of_copies_are_shown_side_by_side_with_their_people(make_study: MakeStudy, language: str) -> None:
    params, paths = make_study(report={"language": language})
    counts = {"pairs": 51, "pairs_across_subjects": 2, "pairs_by_subjects": {"20 and 28": 2}, "between_classes": [1]}
    dataset = read_json(paths.dataset_metrics)
    dataset["copies"]["near"] = counts
    write_json(paths.dataset_metrics, dataset)
    pair = {
        "one": "UID_20_<b>", "other": "UID_28_1", "kind": "near", "turn": 5, "correlation": 0.95, "difference": 1.25,
        "equal": 0.1, "subjects": ["20", "28"], "labels": [1, 0], "picture": "0.png",
    }  # fmt: skip
    write_json(paths.copies_plots / "pairs.json", {"pairs": [pair], "rest": 50})
    Image.new("RGB", (8, 4)).save(paths.copies_plots / "0.png")
    section = run(params, paths).text.split('<section id="copies">')[1].split("</section>")[0]
    t = Text(language)
    assert section.count("<img ") == 1
    assert "UID_20_&lt;b&gt;" in section
    for text in (
        t("copies.turn.5"), t("copies.difference", difference=t.number(1.25, 2), correlation=t.number(0.95)),
        t("copies.rest", rest="50"),
        t("copies.subject", subject="28", label="HEM"), t("copies.classes", pairs=1), f"20{t('answer.and')}28",
    ):  # fmt: skip
        assert text in section


@pytest.mark.usefixtures("undrawn")
def test_near_copies_that_were_not_searched_for_are_not_counted_as_none(make_study: MakeStudy) -> None:
    params, paths = make_study()
    dataset = read_json(paths.dataset_metrics)
    dataset["copies"]["near"] = None
    write_json(paths.dataset_metrics, dataset)
    text = run(params, paths).text
    assert Text("en")("copies.not_searched") in text
    assert "near-copy in training: an unknown number." in text
    leaks = re.search('<section id="leaks">.*?</section>', text, re.DOTALL)
    assert leaks
    assert leaks[0].count("<td>\N{EN DASH}</td></tr>") == 1 + len(params.folds)


@pytest.mark.usefixtures("undrawn")
def test_a_training_that_diverged_is_named_at_the_top(make_study: MakeStudy) -> None:
    params, paths = make_study()
    path = paths.predictions(Member("0.0001", 1))
    write_npz(path, **read_npz(path) | {"diverged": np.array(True)})
    top = run(params, paths).text.split("<main>")[0]
    assert Text("en")("diverged", models="1e-4 fold 1") in top


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("language", ["en", "id"])
def test_the_page_says_what_was_chosen_on_test_data(make_study: MakeStudy, language: str) -> None:
    params, paths = make_study(report={"language": language})
    chosen = {
        "en": "this choice makes the following difference and its interval optimistic",
        "id": "karena dipilih pada data uji, selisih berikut beserta intervalnya terlalu optimistis",
    }[language]
    optimistic = Text(language)("rules.as_written")
    free, written = (
        run(params.model_copy(update={"reading": reading}), paths).text for reading in ("leak_free", "as_written")
    )
    assert chosen in free.split('<section id="questions">')[0]
    assert chosen in written.split('<section id="questions">')[0]
    assert optimistic in written
    assert optimistic not in free
    assert Text(language)("answer.baseline") in free.split('<section id="questions">')[0]


@pytest.mark.usefixtures("undrawn")
def test_the_page_is_written_where_a_package_is_not_installed(
    make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def release(package: str) -> str:
        if package == "openvino":
            raise PackageNotFoundError(package)
        return "1.2.3"

    monkeypatch.setattr(provenance, "version", release)
    text = run(*make_study()).text
    assert "dvc 1.2.3, torch 1.2.3, timm 1.2.3, scikit-learn 1.2.3" in text


def test_a_module_that_git_does_not_track_is_an_uncommitted_change(make_study: MakeStudy) -> None:
    _, paths = make_study(cells=60)
    write_text(paths.params, "")
    for command in ("init -q", "add params.yaml", "-c user.name=a -c user.email=a@b.c commit -qm Study"):
        subprocess.run(["git", *command.split()], cwd=paths.root, check=True)
    write_text(paths.weights_list, "none")
    for litter in ("fit.py.swp", ".#fit.py", "fit.py~", ".DS_Store"):
        write_text(paths.root / "src/wen/network" / litter, "")
    assert "uncommitted" not in provenance.provenance(paths, Text("en"))["commit"]
    write_text(paths.root / "src/wen/systems/published/mine2026.py", "")
    assert provenance.provenance(paths, Text("en"))["commit"].endswith("with uncommitted changes to src")


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("folds", "language"), [(2, "en"), (5, "id")])
def test_the_page_gives_the_power_of_the_runs_and_the_test_of_the_champions(
    make_study: MakeStudy, language: str, folds: int
) -> None:
    params, paths = make_study(report={"language": language}, folds=list(range(folds)))
    made, t = run(params, paths), Text(language)
    runs, cochran = read_json(paths.evidence)["tests"][:2]
    figures = {name: t.number(100 * (runs[name] or 0), 1) for name in ("deviation", "smallest")}
    sentence = t("runs.few" if runs["smallest"] is None else "runs.power", folds=folds, **figures)
    of_champions = t("runs.champions", test=t("test.cochran_q"), p=t.p_is(cochran["p"]))
    assert made.text.count(sentence) == 2  # on the card of H1, and under the first question
    assert of_champions in html.unescape(made.text)
    assert made.text.count(t("questions.family.champions")) == 1 + 3 + 3  # Cochran's Q, pairs of champions, their areas
    with (paths.report / "tables/test.csv").open(newline="") as file:
        rows = [(row["hypothesis"], row["family"]) for row in csv.DictReader(file)]
    assert rows[:8] == [("H1", "decides"), *[("H1", "champions")] * 4, *[("H1", "areas")] * 3]


def test_a_simulated_coverage_is_stated_only_of_the_intervals_that_were_simulated(study: tuple[Params, Paths]) -> None:
    """Those of accuracies and of their differences; the table of all tests has areas and largest differences, too."""
    _, paths = study
    assert "simulation" not in section_of(paths, "questions").split('id="tests"')[1].split("</table>")[0]
    assert "in simulation, the interval of an accuracy contains" in section_of(paths, "tables")


@pytest.mark.parametrize(("unit", "probability"), [("image", 0.5), ("subject", 0.0), ("subject", 1.0)])
def test_models_that_learned_nothing_give_a_page_without_a_warning(
    make_study: MakeStudy, unit: str, probability: float
) -> None:
    params, paths = make_study(split={"unit": unit})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "no member has a positive score")
        for lr in params.lr_grid[1:]:
            for fold in params.folds:
                arrays = read_npz(paths.predictions(Member(str(lr), fold)))
                for part in ("validation", "test"):
                    arrays[f"{part}_probability"] = np.full(len(arrays[f"{part}_id"]), probability)
                write_npz(paths.predictions(Member(str(lr), fold)), **arrays)
                write_json(
                    paths.single_metrics(str(lr), fold), evaluate(arrays["test_label"], arrays["test_probability"])
                )
            inter.run(params, paths, str(lr))
        intra.run(params, paths)
        text = run(params, paths).text
    averaged = text.split('<p id="equal-weights">')[1].split("</p>")[0]
    assert all(f"Inter-LR {Text('en').rate(lr)}, kappa" in averaged for lr in params.lr_grid[1:])
    assert "accuracy" not in averaged
    assert "Inter-LR 1e-3" not in averaged


def test_pictures_have_alternative_texts_and_headings_a_scope(made: Page) -> None:
    assert all(attributes.get("alt") for tag, attributes in made.elements if tag == "img")
    assert all(attributes.get("scope") for tag, attributes in made.elements if tag == "th")
    assert all(attributes.get("aria-label") for tag, attributes in made.elements if attributes.get("role") == "img")


def test_the_page_needs_nothing_from_elsewhere_and_links_to_dois_alone(made: Page) -> None:
    for tag, attributes in made.elements:
        if tag == "a" and str(attributes["href"]).startswith("https://doi.org/10."):
            continue
        for key in ("src", "href"):
            if attributes.get(key) and tag in ("img", "script", "link", "a", "use", "image"):
                assert str(attributes[key]).startswith(("data:", "#"))


def test_synthetic_figures_never_stand_beside_published_ones(made: Page) -> None:
    assert Text("en")("published.synthetic") in made.text
    assert ">this study<" not in made.text


@pytest.mark.usefixtures("undrawn")
def test_real_figures_stand_beside_published_ones_with_how_they_were_split(page_of: PageOf) -> None:
    text = (page_of(dataset=CNMC)[1].report / "index.html").read_text(encoding="utf-8")
    groups = text.split("data-group=")
    assert Text("en")("synthetic") not in text
    assert [group.split(">")[0] for group in groups if ">this study<" in group] == ['"image"']


def test_equal_studies_give_equal_pages(study: tuple[Params, Paths], made: Page, make_study: MakeStudy) -> None:
    params, paths = make_study()
    assert run(params, paths).text == made.text
    assert paths.evidence.read_bytes() == study[1].evidence.read_bytes()


def _opened(file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Open a page in Chromium, which prints the page's elements and its console."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("no Chromium here, so no browser has opened the page")
    return subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--enable-logging=stderr", f"--user-data-dir={file.parent / 'browser'}", "--dump-dom", *options,
         file.resolve().as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip


@pytest.mark.parametrize(("unit", "language"), [("image", "en"), ("subject", "id")])
def test_a_browser_opens_it_without_a_message_on_the_console(
    page_of: PageOf, unit: str, language: str, tmp_path: Path
) -> None:
    file = shutil.copy(page_of(language, unit)[1].report / "index.html", tmp_path)
    begin = time.monotonic()
    done = _opened(Path(file))
    assert "CONSOLE" not in done.stderr
    assert all(f'<section id="{name}">' in done.stdout for name in SECTIONS)
    assert time.monotonic() - begin < 60


def test_on_a_phone_no_heading_lies_over_the_rows_that_name_its_columns(made: Page, tmp_path: Path) -> None:
    measured = "Math.max(...[...document.querySelectorAll('thead')].map(head => head.getBoundingClientRect().width))"
    file = tmp_path / "index.html"
    file.write_text(made.text.replace("</body>", f"<script>document.title = {measured}</script></body>"))
    assert "<title>1</title>" in _opened(file, "--window-size=390,900").stdout


def test_on_a_phone_a_number_and_its_interval_are_apart(made: Page, tmp_path: Path) -> None:
    beside = "[...document.querySelectorAll('td small')].filter(part => getComputedStyle(part).display === 'inline')"
    measured = f"Math.min(...{beside}.map(part => parseFloat(getComputedStyle(part).marginLeft))) > 2"
    file = tmp_path / "index.html"
    file.write_text(made.text.replace("</body>", f"<script>document.title = {measured}</script></body>"))
    assert "<title>true</title>" in _opened(file, "--window-size=390,900").stdout


def test_no_table_is_cut_at_1280_px(made: Page, tmp_path: Path) -> None:
    opened = "document.querySelectorAll('details').forEach(part => part.open = true)"
    cut = "[...document.querySelectorAll('.scroll')].filter(part => part.scrollWidth > part.clientWidth).length"
    file = tmp_path / "index.html"
    file.write_text(made.text.replace("</body>", f"<script>{opened}; document.title = {cut}</script></body>"))
    assert "<title>0</title>" in _opened(file, "--window-size=1280,900").stdout


def _rows(params: Params, paths: Paths) -> dict[str, dict[str, float]]:
    """Read every row of the result table from metrics/, by its name in metrics/evidence.json."""
    rows: dict[str, dict[str, Any]] = {}
    for recipe in (*params.lr_grid, "baseline/colour", "baseline/features"):
        for fold in params.folds:
            path = paths.root / f"metrics/single/{recipe}/{fold}.json"
            rows[f"single {recipe}-{fold}"] = json.loads(path.read_text())
    for lr in params.lr_grid:
        for scheme in params.schemes:
            rows[f"inter {lr} {scheme}"] = json.loads((paths.root / f"metrics/inter/{lr}/{scheme}.json").read_text())
    for reading in ("as_written", "leak_free"):
        for scheme in params.schemes:
            path = paths.root / f"metrics/intra/{reading}-{scheme}.json"
            rows[f"intra {reading} {scheme}"] = json.loads(path.read_text())
    return rows


@pytest.mark.parametrize("rates", [[0.1, 0.01], [0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001]])
def test_a_grid_of_any_length_gives_a_page(make_study: MakeStudy, rates: list[float]) -> None:
    made = run(*make_study(lr=rates[0], lr_grid=rates))
    shown = {attributes["data-average"] for _, attributes in made.elements if "data-average" in attributes}
    assert shown == {*map(str, rates), "baseline/colour", "baseline/features"}


CLICKED = """
const keys = JSON.parse(process.argv[2]);
const row = key => ({cells: [{dataset: {sort: key}, textContent: "", colSpan: 1}], key});
const heading = {
  textContent: "", colSpan: 1, addEventListener: (_, listener) => { heading.click = listener; },
  getAttribute: () => heading.order, removeAttribute: () => { heading.order = null; },
  setAttribute: (_, order) => { heading.order = order; },
};
const body = {rows: keys.map(row), append: (...rows) => { body.rows = rows; }};
const table = {tHead: {rows: [{cells: [heading]}]}, tBodies: [body]};
globalThis.document = {querySelectorAll: () => [table]};
globalThis.addEventListener = () => {};
require(process.argv[1]);
const orders = [0, 1].map(() => { heading.click(); return body.rows.map(row => row.key); });
console.log(JSON.stringify(orders));
"""


@pytest.mark.parametrize(
    ("keys", "ascending"),
    [
        (["0.9", "", "0.10", "-2", "1e-05", ABSENT, "10"], ["-2", "1e-05", "0.10", "0.9", "10"]),
        (["fold 10", ABSENT, "fold 2"], ["fold 2", "fold 10"]),
    ],
)
def test_a_column_with_undefined_values_is_sorted_by_number_and_they_come_last(
    keys: list[str], ascending: list[str]
) -> None:
    node = shutil.which("node")
    if not node:
        pytest.skip("no Node.js here, so no script of the page has run")
    script = Path(page.__file__).parent / "templates/page.js"
    command = [node, "-e", CLICKED, str(script), json.dumps(keys)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    undefined = [key for key in keys if key not in ascending]
    assert json.loads(done.stdout) == [ascending[::-1] + undefined, ascending + undefined]


@pytest.mark.usefixtures("undrawn")
def test_every_number_of_a_sortable_table_has_its_value_to_sort_by(made: Page) -> None:
    tables = re.findall(r'(?s)<table class="sortable".*?</table>', made.text)
    cells = [cell for table in tables for cell in re.findall(r"<td([^>]*)>(.*?)</td>", table)]
    assert cells
    for attributes, content in cells:
        is_number = 'class="text' not in attributes and re.search(r"\d", re.sub("<[^>]*>", "", content))
        assert not is_number or "data-sort" in attributes
