"""The embedded data set: synthetic cells in C-NMC's layout and names, so that the same reader reads them.

Stain and illumination differ between subjects, so splitting by image leaks a subject's look as it
does in the real data. ALL differs from HEM as the thesis describes in section 3.1: more varied
and larger cells, irregular nucleus, prominent nucleoli, more cytoplasm with vacuoles, darker stain.
The classes overlap: a cell's ``blastness`` is normal with unit variance around plus or minus half of
``separation``, and every trait follows it loosely.
"""

import csv
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from wen.config.params import Synthetic
from wen.config.seeds import seed_for
from wen.data.readers.cnmc import LABELS_CSV, PRELIMINARY
from wen.data.symmetry import turned
from wen.files import atomic, write_text

ALL_SHARE = 0.68  # of the cells, as in C-NMC (7,272 of 10,661)
ALL_SUBJECTS = 0.6  # of the subjects


@dataclass(frozen=True)
class Subject:
    """A donor: the name (H marks a healthy donor), the class, and the look of the slides."""

    name: str
    label: int
    stain: np.ndarray  # added to the colour, RGB in [0, 1]
    gain: float  # illumination
    slope: np.ndarray  # uneven illumination, along y and x
    size: float  # relative size of the cells

    @property
    def suffix(self) -> str:
        return "all" if self.label else "hem"


def write(root: Path, options: Synthetic, side: int, seed: int) -> None:
    """Write the data set under ``root``, in Kaggle's layout.

    Parameters
    ----------
    root : Path
        An earlier data set there is replaced.
    options : Synthetic
        Numbers of subjects, cells, duplicates and altered copies, and the separation of the classes.
    side : int
        Width and height of an image, in px.
    seed : int
        Equal arguments give equal bytes.
    """
    rng = np.random.default_rng([seed, 0])
    training = _subjects(options.subjects, first=1, rng=rng)
    preliminary = _subjects(options.preliminary_subjects, first=options.subjects + 1, rng=rng)
    with atomic(root) as partial:
        paths = _write_training(partial / "training_data", training, options, side, seed, rng)
        _write_duplicates(paths, training, options.duplicates, rng)
        _write_altered(paths, training, options.altered, seed)
        _write_preliminary(partial / "validation_data", preliminary, options, side, seed, rng)


def _write_bmp(image: np.ndarray, path: Path) -> None:
    """Write an RGB image, of shape (height, width, 3)."""
    # Not directly to the path: Pillow does not notice that the disk is full.
    with BytesIO() as content:
        Image.fromarray(image).save(content, format="BMP")
        path.write_bytes(content.getvalue())


def _subjects(count: int, first: int, rng: np.random.Generator) -> list[Subject]:
    n_all = min(max(round(count * ALL_SUBJECTS), 1), count - 1)
    return [
        Subject(
            name=f"{first + count - n_all + k}" if k < n_all else f"H{first + k - n_all}",
            label=int(k < n_all),
            stain=rng.normal(0, [0.05, 0.035, 0.05]),
            gain=rng.uniform(0.82, 1.12),
            slope=rng.normal(0, 0.08, 2),
            size=rng.normal(1, 0.05),
        )
        for k in range(count)
    ]


def _subject_of_cells(subjects: list[Subject], cells: int, rng: np.random.Generator) -> list[Subject]:
    """Assign a subject to each cell: two cells to every subject, the rest unevenly, as in the real data."""
    assigned = [subject for subject in subjects for _ in range(2)]
    for label, share in ((1, ALL_SHARE), (0, 1 - ALL_SHARE)):
        donors = [subject for subject in subjects if subject.label == label]
        rest = max(round(cells * share) - 2 * len(donors), 0)
        weights = rng.dirichlet(np.full(len(donors), 2.0))
        assigned += [donors[k] for k in rng.choice(len(donors), rest, p=weights)]
    return assigned


def _write_training(
    root: Path, subjects: list[Subject], options: Synthetic, side: int, seed: int, rng: np.random.Generator
) -> dict[str, list[Path]]:
    paths: dict[str, list[Path]] = {subject.name: [] for subject in subjects}
    for number, subject in enumerate(_subject_of_cells(subjects, options.cells, rng)):
        folder = root / f"fold_{subjects.index(subject) % 3}" / subject.suffix
        # C-NMC spells one healthy subject with a lower-case h; so is H3 here.
        name = subject.name.lower() if subject.name == "H3" else subject.name
        count = len(paths[subject.name])
        path = folder / f"UID_{name}_{count // 5 + 1}_{count % 5 + 1}_{subject.suffix}.bmp"
        folder.mkdir(parents=True, exist_ok=True)
        image = draw_cell(subject, options.separation, side, np.random.default_rng([seed, 1, number]))
        _write_bmp(image, path)
        paths[subject.name].append(path)
    return paths


def _write_duplicates(
    paths: dict[str, list[Path]], subjects: list[Subject], count: int, rng: np.random.Generator
) -> None:
    """Copy files of a subject with ALL, byte for byte, under the name of another one."""
    blasts = [subject for subject in subjects if subject.label]
    for copy in range(count):
        donor, other = blasts[copy % 2 % len(blasts)], blasts[(copy % 2 + len(blasts) // 2) % len(blasts)]
        original = paths[donor.name][copy // 2 % len(paths[donor.name])]
        folder = paths[other.name][0].parent
        (folder / f"UID_{other.name}_{90 + copy}_1_all.bmp").write_bytes(original.read_bytes())


def _write_altered(paths: dict[str, list[Path]], subjects: list[Subject], count: int, seed: int) -> None:
    """Copy cells of a healthy subject under the name of another one; the alterations take turns."""
    donors = [subject for subject in subjects if not subject.label]
    for copy in range(count):
        donor, other = donors[copy % 2 % len(donors)], donors[(copy % 2 + len(donors) // 2) % len(donors)]
        original = paths[donor.name][copy // 2 % len(paths[donor.name])]
        with Image.open(original) as image:
            cell = np.asarray(image)
        alter, rng = ALTERATIONS[copy % len(ALTERATIONS)], np.random.default_rng(seed_for(seed, copy, what="altered"))
        _write_bmp(alter(cell, rng), paths[other.name][0].parent / f"UID_{other.name}_{95 + copy}_1_hem.bmp")


def _moved(cell: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.roll(cell, rng.integers(2, max(len(cell) // 20, 3), 2), axis=(0, 1))


def _mirrored(cell: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return turned(cell, int(rng.integers(4, 8)))


def _brighter(cell: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (cell * rng.uniform(1.05, 1.15)).clip(0, 255).round().astype(np.uint8)


def _compressed(cell: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    with BytesIO() as content:
        Image.fromarray(cell).save(content, format="JPEG", quality=int(rng.integers(80, 95)))
        with Image.open(content) as image:
            return np.asarray(image)


ALTERATIONS = (_moved, _mirrored, _brighter, _compressed)


def _write_preliminary(
    root: Path, subjects: list[Subject], options: Synthetic, side: int, seed: int, rng: np.random.Generator
) -> None:
    folder = root / PRELIMINARY
    folder.mkdir(parents=True)
    table = StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["Patient_ID", "new_names", "labels"])
    assigned = _subject_of_cells(subjects, options.preliminary_cells, rng)
    for number, k in enumerate(rng.permutation(len(assigned)), start=1):
        subject = assigned[k]
        rows.writerow([f"UID_{subject.name}_{number}_1_{subject.suffix}.bmp", f"{number}.bmp", subject.label])
        image = draw_cell(subject, options.separation, side, np.random.default_rng([seed, 2, number]))
        _write_bmp(image, folder / f"{number}.bmp")
    write_text(root / LABELS_CSV, table.getvalue())


def draw_cell(subject: Subject, separation: float, side: int, rng: np.random.Generator) -> np.ndarray:
    """Draw one cell on black.

    Parameters
    ----------
    subject : Subject
        The donor, who determines the class and the look.
    separation : float
        Distance of the classes' mean blastness, in standard deviations.
    side : int
        Width and height, in px.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of shape (side, side, 3), uint8
    """
    blastness = rng.normal(separation * (subject.label - 0.5), 1)

    def trait(hem: float, per_unit: float, spread: float) -> float:
        return max(hem + per_unit * blastness + rng.normal(0, spread), 0.0)

    radius = subject.size * trait(0.46, 0.025, 0.03 * (1 + 0.4 * subject.label))
    nucleus_share = trait(0.80, -0.03, 0.04)
    irregular = trait(0.05, 0.035, 0.015)
    grain = trait(0.16, -0.02, 0.03)  # chromatin is clumped in healthy cells
    darkness = trait(0.06, 0.03, 0.03)
    nucleoli = rng.poisson(trait(0.8, 0.7, 0.2))
    vacuoles = rng.poisson(trait(0.6, 0.6, 0.2))

    y, x = np.meshgrid(*2 * [np.linspace(-1, 1, side)], indexing="ij")
    distance, angle = np.hypot(y, x), np.arctan2(y, x)
    cell = distance < radius * _outline(angle, 0.04, rng)
    off_y, off_x = rng.normal(0, 0.03, 2)
    to_nucleus = np.hypot(y - off_y, x - off_x)
    edge = radius * min(nucleus_share, 0.92) * _outline(angle, irregular, rng)
    nucleus = np.clip((edge - to_nucleus) / 0.04, 0, 1)[..., None]

    cytoplasm_colour = np.array([0.66, 0.56, 0.74]) - darkness / 2
    nucleus_colour = np.array([0.46, 0.26, 0.55]) - darkness
    chromatin = gaussian_filter(rng.normal(size=(side, side)), side / 45)
    chromatin = grain * chromatin / chromatin.std()
    colour = (1 - nucleus) * cytoplasm_colour + nucleus * (nucleus_colour + 0.5 * chromatin[..., None])
    for _ in range(nucleoli):
        colour += _blob(y, x, radius * 0.5, rng.uniform(0.03, 0.06), rng)[..., None] * nucleus * 0.16
    for _ in range(vacuoles):
        colour += _blob(y, x, radius, rng.uniform(0.03, 0.05), rng)[..., None] * (1 - nucleus) * 0.25

    light = subject.gain * (1 + subject.slope[0] * y + subject.slope[1] * x)
    colour = (colour + subject.stain) * light[..., None] + rng.normal(0, 0.02, (side, side, 3))
    colour = gaussian_filter(colour, (side / 200, side / 200, 0)) * cell[..., None]
    return (255 * colour.clip(0, 1)).round().astype(np.uint8)


def _outline(angle: np.ndarray, amplitude: float, rng: np.random.Generator) -> np.ndarray:
    """Relative radius of a closed, wavy outline at each angle."""
    waves = [rng.normal(0, amplitude / k) * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in (2, 3, 4, 5)]
    return 1 + np.sum(waves, axis=0)


def _blob(y: np.ndarray, x: np.ndarray, reach: float, size: float, rng: np.random.Generator) -> np.ndarray:
    """A soft spot at a random place within ``reach`` of the centre."""
    direction, far = rng.uniform(0, 2 * np.pi), reach * np.sqrt(rng.uniform(0, 1))
    distance = np.hypot(y - far * np.sin(direction), x - far * np.cos(direction))
    return np.exp(-((distance / size) ** 2))
