"""Wrong CSV files: the challenge's labels, and data/index.csv and data/split.csv edited by hand."""

import shutil
from collections.abc import Callable
from pathlib import Path

import layouts
import pytest
from project import Project

Change = Callable[[str], str | bytes]
HEAD = "Patient_ID,new_names,labels\n"
ALL, HEM = "UID_57_1_1_all.bmp,1.bmp,1\n", "UID_H49_1_1_hem.bmp,2.bmp,0\n"

BAD_LABELS: dict[str, Change] = {
    "empty": lambda _: "",
    "a blank line": lambda _: "\n",
    "no header": lambda _: ALL + HEM,
    "header alone": lambda _: HEAD,
    "a column less": lambda _: "Patient_ID,new_names\nUID_57_1_1_all.bmp,1.bmp\nUID_H49_1_1_hem.bmp,2.bmp\n",
    "a column misnamed": lambda text: text.replace("labels", "label"),
    "a column twice": lambda _: HEAD.replace("\n", ",labels\n") + ALL.replace("\n", ",1\n") + HEM.replace("\n", ",0\n"),
    "a value less in a row": lambda text: text.replace(",1.bmp,1", ",1.bmp"),
    "a value more in a row": lambda text: text.replace(",1.bmp,1", ",1.bmp,1,1"),
    "a row less": lambda _: HEAD + ALL,
    "a row twice": lambda text: text + ALL,
    "an image with two labels": lambda text: text + "UID_H57_1_1_hem.bmp,1.bmp,0\n",
    "a label of 2": lambda text: text.replace(",1.bmp,1", ",1.bmp,2"),
    "a label of -1": lambda text: text.replace(",2.bmp,0", ",2.bmp,-1"),
    "no label": lambda text: text.replace(",1.bmp,1", ",1.bmp,"),
    "a label not a number": lambda text: text.replace(",1.bmp,1", ",1.bmp,nan"),
    "labels against names": lambda text: text.replace(",1.bmp,1", ",1.bmp,0"),
    "a name without ending": lambda text: text.replace(",1.bmp,", ",1,"),
    "a path for a name": lambda text: text.replace(",1.bmp,", ",../1.bmp,"),
    "a subject misnamed": lambda text: text.replace("UID_57_1_1_all", "57_1_1_all"),
    "an empty row": lambda text: text + "\n" + HEM,  # the row after it is there twice
    "latin-1": lambda text: text.replace("UID_57", "\u00dcID_57").encode("latin-1"),
    "zeros": lambda _: bytes(100),
    "a quote never closed": lambda text: text.replace("UID_57", '"UID_57'),
    "a field of a megabyte": lambda text: text.replace("UID_57", "U" * 1_000_000),
}


@pytest.mark.parametrize("name", BAD_LABELS)
def test_bad_labels_are_refused_with_their_file(project: Project, data: Path, name: str) -> None:
    labels = data / layouts.LABELS
    text = BAD_LABELS[name](labels.read_text())
    labels.write_bytes(text if isinstance(text, bytes) else text.encode())
    message = project.refuses(*project.study(data), named=str(data))
    assert len(message) < 2000 or "megabyte" in name


HARMLESS: dict[str, Change] = {
    "another separator": lambda text: text.replace(",", ";"),
    "tabs": lambda text: text.replace(",", "\t"),
    "a column more": lambda _: HEAD.replace("\n", ",note\n") + ALL.replace("\n", ",a\n") + HEM.replace("\n", ",b\n"),
    "a label of 1.0": lambda text: text.replace(",1.bmp,1", ",1.bmp,1.0"),
    "a label in words": lambda text: text.replace(",1.bmp,1", ",1.bmp,all"),
    "utf-16": lambda text: text.encode("utf-16"),
    "utf-16 without a mark": lambda text: text.encode("utf-16-le"),
    "an index column": lambda text: "".join(f"{k or ''},{line}\n" for k, line in enumerate(text.splitlines())),
    "empty values at the end": lambda text: text.replace("\n", ",,\n"),
    "byte-order mark": lambda text: text.encode("utf-8-sig"),
    "windows line ends": lambda text: text.replace("\n", "\r\n"),
    "old macintosh line ends": lambda text: text.replace("\n", "\r"),
    "quotes": lambda text: "\n".join(",".join(f'"{value}"' for value in line.split(",")) for line in text.splitlines()),
    "blanks around values": lambda text: text.replace(",", " , "),
    "rows shuffled": lambda _: HEAD + HEM + ALL,
    "columns shuffled": lambda _: (
        "labels,Patient_ID,new_names\n1,UID_57_1_1_all.bmp,1.bmp\n0,UID_H49_1_1_hem.bmp,2.bmp\n"
    ),
    "blank lines at the end": lambda text: text + "\n\n",
    "a spreadsheet's blank rows": lambda text: text + ",,\n , , \n",
    "images named in capitals": lambda text: text.replace("1.bmp,1", "1.BMP,1").replace("_all.bmp", "_all.BMP"),
    "no line end": lambda text: text.rstrip(),
    "names without ending": lambda text: text.replace("_all.bmp", "_all").replace("_hem.bmp", "_hem"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where what commands made once is kept for other tests of this module."""
    return tmp_path_factory.mktemp("made")


def after(project: Project, kept: Path, *commands: tuple[str, ...]) -> Project:
    """Give a project the files that commands leave, from the folder ``kept`` if they were run before."""
    if kept.exists():
        shutil.copytree(kept, project.root, dirs_exist_ok=True)
        return project
    for command in commands:
        code, output = project.wen(*command)
        assert code == 0, output
    shutil.copytree(project.root, kept)
    return project


@pytest.mark.parametrize("name", HARMLESS)
def test_labels_in_other_notations_are_read_alike(project: Project, data: Path, made: Path, name: str) -> None:
    after(project, made / "prepared", project.study(data), ("prepare",))
    expected = (project.root / "data/index.csv").read_bytes()
    labels = project.root / "data/raw/cnmc" / layouts.LABELS
    text = HARMLESS[name](labels.read_text())
    labels.unlink()
    labels.write_bytes(text if isinstance(text, bytes) else text.encode())
    code, output = project.wen("prepare")
    assert code == 0, output
    assert (project.root / "data/index.csv").read_bytes() == expected


def replaced(line: int, column: int, value: str) -> Change:
    """The table with one value replaced."""

    def change(text: str) -> str:
        rows = [row.split(",") for row in text.splitlines()]
        rows[line][column] = value
        return "\n".join(map(",".join, rows)) + "\n"

    return change


BAD_TABLE: dict[str, Change] = {
    "empty": lambda _: "",
    "header alone": lambda text: text.splitlines()[0] + "\n",
    "a column less": lambda text: "\n".join(row.rsplit(",", 1)[0] for row in text.splitlines()),
    "columns shuffled": lambda text: "\n".join(",".join(reversed(row.split(","))) for row in text.splitlines()),
    "a value more in a row": lambda text: text.rstrip() + ",1,1\n",
    "another separator": lambda text: text.replace(",", ";"),
    "zeros": lambda _: bytes(100),
    "utf-16": lambda text: text.encode("utf-16"),
    "html": lambda _: "<html>\n",
}
BAD_INDEX = BAD_TABLE | {
    "a label of 2": replaced(1, 2, "2"),
    "no label": replaced(1, 2, ""),
    "a label in words": replaced(1, 2, "ALL"),
    "a label of 1.0": replaced(1, 2, "1.0"),
    "a label not a number": replaced(1, 2, "nan"),
    "a huge label": replaced(1, 2, "9" * 30),
    "an id twice": lambda text: text + text.splitlines()[1] + "\n",
    "a width in words": replaced(2, 5, "wide"),
}
BAD_SPLIT = BAD_TABLE | {
    "a part misspelt": replaced(1, 1, "tests"),
    "no part": replaced(1, 1, ""),
    "a fold in words": replaced(1, 2, "one"),
    "a fold of 0.5": replaced(1, 2, "0.5"),
    "test in a fold": lambda text: text.replace("test,-1", "test,0", 1),
    "development in no fold": lambda text: text.replace("development,0", "development,-1", 1),
    "rows shuffled": lambda text: "\n".join([text.splitlines()[0], *reversed(text.splitlines()[1:])]),
    "a row less": lambda text: text.rsplit("\n", 2)[0] + "\n",
    "a row more": lambda text: text + "UID_9_9_9_all,test,-1\n",
    "another id": replaced(1, 0, "UID_9_9_9_all"),
}


@pytest.fixture
def indexed(project: Project, data: Path, made: Path) -> Project:
    """A project with its two tables."""
    for look, (subject, cls) in enumerate((s, c) for c in ("all", "hem") for s in range(4, 12)):
        name = f"UID_{subject if cls == 'all' else f'H{subject + 60}'}_1_1_{cls}.bmp"
        layouts.write_image(data / "C-NMC_training_data/fold_2" / cls / name, 100 + look)
    profile = project.root / "profiles/tiny.yaml"
    profile.write_text(profile.read_text().replace("folds: [0, 1, 2, 3, 4]", "folds: [0, 1]"))
    return after(project, made / "split", project.study(data), ("prepare",), ("split",))


def spoil(path: Path, change: Change) -> None:
    text = change(path.read_text())
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.mark.parametrize("name", BAD_INDEX)
def test_an_index_changed_by_hand_is_refused(indexed: Project, name: str) -> None:
    spoil(indexed.root / "data/index.csv", BAD_INDEX[name])
    (indexed.root / "data/split.csv").unlink()
    indexed.refuses("split", named="data/index.csv")


@pytest.mark.parametrize("name", BAD_SPLIT)
def test_a_split_changed_by_hand_is_refused(indexed: Project, name: str) -> None:
    spoil(indexed.root / "data/split.csv", BAD_SPLIT[name])
    indexed.refuses("train-fold", "--lr", "0.001", "--fold", "0", named="data/split.csv")


def test_a_missing_table_says_which_command_to_run_first(indexed: Project) -> None:
    (indexed.root / "data/split.csv").unlink()
    indexed.refuses("train-fold", "--lr", "0.001", "--fold", "0", named="run `wen split` first")
    (indexed.root / "data/index.csv").unlink()
    indexed.refuses("split", named="run `wen prepare` first")


@pytest.mark.parametrize("unit", ["image", "subject"])
def test_fewer_groups_than_folds_are_refused(indexed: Project, unit: str) -> None:
    params = indexed.root / "params.yaml"
    text = params.read_text().replace("folds: [0, 1]", f"folds: {list(range(12))}")
    params.write_text(text.replace("unit: image", f"unit: {unit}"))
    indexed.refuses("split", named="too few")


@pytest.mark.parametrize("cells", [2, 3, 4, 5])
def test_a_handful_of_images_is_refused_as_too_few(indexed: Project, cells: int) -> None:
    index = indexed.root / "data/index.csv"
    head, *rows = index.read_text().splitlines()
    index.write_text("\n".join([head, *rows[: cells - 1], rows[-1]]) + "\n")
    indexed.refuses("split", named="too few")
