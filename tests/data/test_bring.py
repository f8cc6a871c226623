import re
import shutil
import stat
import zipfile
from pathlib import Path

import layouts
import pandas as pd
import pytest
from conftest import PROJECT

from wen.config.params import Split
from wen.config.paths import Paths
from wen.config.read import load
from wen.data import bring, prepare
from wen.data.leaks import audit
from wen.data.split import assign
from wen.data.table import COPIES
from wen.errors import WenError


@pytest.fixture
def project(tmp_path: Path) -> Paths:
    """A project whose only profile expects the tiny images of `layouts`."""
    paths = Paths(tmp_path / "project")
    paths.profiles.mkdir(parents=True)
    text = (
        (PROJECT / "profiles/laptop.yaml").read_text().replace("side: 450", "side: 8").replace("crop: 450", "crop: 8")
    )
    (paths.profiles / "laptop.yaml").write_text(text)
    return paths


def zipped(folder: Path, target: Path, packing: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(target, "w", packing) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    return target


@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_and_a_zip_are_imported_unaltered(tmp_path: Path, project: Paths, packed: bool) -> None:
    source = layouts.tcia(tmp_path / "C-NMC")
    before = {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}
    data = zipped(source, tmp_path / "C-NMC.zip") if packed else source
    bring.run(data, "laptop", incomplete=True, paths=project)
    assert {path: path.read_bytes() for path in source.rglob("*") if path.is_file()} == before
    for path, content in before.items():
        assert (project.raw / "cnmc" / path.relative_to(source)).read_bytes() == content
    assert load(project.params).dataset.complete is False


def test_a_profile_without_comments_accepts_a_part_of_the_data(tmp_path: Path, project: Paths) -> None:
    profile = project.profiles / "laptop.yaml"
    profile.write_text(re.sub(r" *#.*", "", profile.read_text()))
    bring.run(layouts.tcia(tmp_path / "C-NMC"), "laptop", incomplete=True, paths=project)
    assert load(project.params).dataset.complete is False


def test_an_incomplete_data_set_is_refused_and_params_yaml_is_unchanged(tmp_path: Path, project: Paths) -> None:
    project.params.write_text("mine\n")
    with pytest.raises(WenError, match="incomplete C-NMC 2019"):
        bring.run(layouts.kaggle(tmp_path / "C-NMC"), "laptop", incomplete=False, paths=project)
    assert project.params.read_text() == "mine\n"


def test_zips_of_c_nmc_s_parts_are_refused_with_the_advice_to_unpack_them(tmp_path: Path, project: Paths) -> None:
    source = layouts.tcia(tmp_path / "C-NMC")
    zipped(source / "C-NMC_training_data", source / "C-NMC_training_data.zip")
    for folder in ("C-NMC_training_data", "C-NMC_test_prelim_phase_data", "C-NMC_test_final_phase_data"):
        shutil.rmtree(source / folder)
    with pytest.raises(WenError, match="BMP files only; unpack archives that contain images") as refused:
        bring.run(source, "laptop", incomplete=False, paths=project)
    assert "dataset.complete" not in str(refused.value)


def test_params_that_the_user_edited_are_kept(tmp_path: Path, project: Paths) -> None:
    project.params.write_text("mine\n")
    bring.run(layouts.kaggle(tmp_path / "C-NMC"), "laptop", incomplete=True, paths=project)
    assert (project.root / "params.yaml.old").read_text() == "mine\n"


def test_each_version_of_params_that_the_user_edited_is_kept_and_named(
    tmp_path: Path, project: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    source = layouts.kaggle(tmp_path / "C-NMC")
    kept = {"params.yaml.old": "mine\n", "params.yaml.old.2": "mine again\n", "params.yaml.old.3": "and again\n"}
    for name, text in kept.items():
        project.params.write_text(text)
        bring.run(source, "laptop", incomplete=True, paths=project)
        assert f"kept as {name}\n" in capsys.readouterr().out
    bring.run(source, "laptop", incomplete=True, paths=project)  # a profile is not the user's own
    assert {path.name: path.read_text() for path in project.root.glob("params.yaml.old*")} == kept


def test_the_closing_line_counts_copies_of_both_kinds(
    tmp_path: Path, project: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    source = layouts.kaggle(tmp_path / "C-NMC")
    original = source / "training_data/fold_0/all/UID_1_1_1_all.bmp"
    original.with_name("UID_1_9_1_all.bmp").write_bytes(original.read_bytes())
    bring.run(source, "laptop", incomplete=True, paths=project)
    output = capsys.readouterr().out
    assert "; pairs of duplicates: 1 (0 across subjects), of near-copies: 0 (0 across subjects)\n" in output


def test_params_that_are_not_utf_8_are_kept_as_they_are(tmp_path: Path, project: Paths) -> None:
    content = "m\u00efne\n".encode("utf-16")
    project.params.write_bytes(content)
    (project.profiles / "other.yaml").write_bytes(b"\xff")
    bring.run(layouts.kaggle(tmp_path / "C-NMC"), "laptop", incomplete=True, paths=project)
    assert (project.root / "params.yaml.old").read_bytes() == content


def test_a_profile_that_is_not_utf_8_is_refused_before_anything_changes(tmp_path: Path, project: Paths) -> None:
    (project.profiles / "other.yaml").write_bytes((project.profiles / "laptop.yaml").read_text().encode("utf-16"))
    with pytest.raises(WenError, match=r"other\.yaml: not UTF-8"):
        bring.run(layouts.kaggle(tmp_path / "C-NMC"), "other", incomplete=True, paths=project)
    assert not (project.raw / "cnmc").exists()


def test_params_that_are_a_folder_are_refused_before_anything_changes(tmp_path: Path, project: Paths) -> None:
    project.params.mkdir()
    with pytest.raises(WenError, match=r"params\.yaml: not a file; move it away"):
        bring.run(layouts.kaggle(tmp_path / "C-NMC"), "laptop", incomplete=True, paths=project)
    assert project.params.is_dir()
    assert not (project.raw / "cnmc").exists()


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_of_any_compression_is_unpacked(tmp_path: Path, project: Paths, packing: int) -> None:
    source = layouts.tcia(tmp_path / "C-NMC")
    bring.run(zipped(source, tmp_path / "C-NMC.zip", packing), "laptop", incomplete=True, paths=project)
    for path in source.rglob("*.bmp"):
        assert (project.raw / "cnmc" / path.relative_to(source)).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", ["../outside.bmp", "/outside.bmp", "a/../../outside.bmp", "..\\outside.bmp"])
def test_a_zip_member_that_leads_outside_is_refused(tmp_path: Path, project: Paths, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(WenError, match="unsafe path"):
        bring.run(tmp_path / "bad.zip", "laptop", incomplete=True, paths=project)
    assert not list(tmp_path.rglob("outside.bmp"))
    assert not (project.raw / "cnmc").exists()


def test_a_symbolic_link_in_a_zip_is_refused(tmp_path: Path, project: Paths) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(WenError, match="unsafe path"):
        bring.run(tmp_path / "bad.zip", "laptop", incomplete=True, paths=project)


@pytest.mark.parametrize("packed", [False, True])
def test_two_names_that_the_disk_cannot_tell_apart_are_refused(
    tmp_path: Path, project: Paths, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    source = layouts.tcia(tmp_path / "C-NMC")
    twins = [source / "1.txt", source / "\u0661.txt"]
    for path in twins:
        path.write_text(path.name)
    data = zipped(source, tmp_path / "C-NMC.zip") if packed else source
    exists = bring.os.path.lexists
    alike = {twins[1].name: twins[0].name}
    monkeypatch.setattr(
        bring.os.path,
        "lexists",
        lambda place: exists(place) or exists(Path(place).with_name(alike.get(Path(place).name, "-"))),
    )
    with pytest.raises(WenError, match=r"this disk cannot hold .* beside a file whose name differs only in capitals"):
        bring.run(data, "laptop", incomplete=True, paths=project)
    assert [path.read_text() for path in twins] == [path.name for path in twins]
    assert not project.params.exists()


def test_a_missing_path_and_a_file_other_than_a_zip_are_refused(tmp_path: Path, project: Paths) -> None:
    with pytest.raises(WenError, match="no such folder or zip"):
        bring.run(tmp_path / "nowhere", "laptop", incomplete=True, paths=project)
    (tmp_path / "text.zip").write_text("not a zip")
    with pytest.raises(WenError, match="neither a folder nor a complete zip"):
        bring.run(tmp_path / "text.zip", "laptop", incomplete=True, paths=project)
    for name, cause in (("cells.tar.gz", "unpack it and name the folder"), ("1.png", "name the folder or zip")):
        (tmp_path / name).write_bytes(b"content")
        with pytest.raises(WenError, match=cause):
            bring.run(tmp_path / name, "laptop", incomplete=True, paths=project)
    with pytest.raises(WenError, match="choose one of laptop"):
        bring.run(tmp_path, "desktop", incomplete=True, paths=project)
    with pytest.raises(WenError, match=r"profiles: no profiles here; run this in the project's folder, or make a"):
        bring.run(tmp_path, "laptop", incomplete=True, paths=Paths(tmp_path / "elsewhere"))


def test_a_part_of_c_nmc_is_refused_without_incomplete_and_read_with_it(
    tmp_path: Path, real_sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = Paths(tmp_path)
    shutil.copytree(PROJECT / "profiles", paths.profiles)
    with pytest.raises(WenError, match=r"training ALL: 790 of 7,272 images, 6,482 missing"):
        bring.run(real_sample, "laptop", incomplete=False, paths=paths)
    assert not paths.params.exists()
    assert not (paths.raw / "cnmc").exists()
    surveys = []
    monkeypatch.setattr(bring, "survey", lambda *given: surveys.append(prepare.survey(*given)) or surveys[-1])
    bring.run(real_sample, "laptop", incomplete=True, paths=paths)
    params = load(paths.params)
    ((index, _, summary),) = surveys
    assert (len(index), summary["positive"], summary["negative"], summary["unlabelled_final_images"]) == (
        1301,
        856,
        445,
        7,
    )
    assert summary["duplicate_pairs_by_subjects"] == {"20 and 21": 71}
    no_copies = pd.DataFrame(columns=list(COPIES))
    leaks = {
        unit: audit(
            assign(index, no_copies, Split(unit=unit, test="random", test_fraction=0.2), 5, params.seed), no_copies
        )
        for unit in ("image", "subject")
    }
    assert leaks["image"]["test_and_development"]["duplicate_images"] > 0
    assert leaks["subject"]["test_and_development"]["duplicate_images"] == 0
    assert leaks["subject"]["test_and_development"]["shared_subjects"] == 0
