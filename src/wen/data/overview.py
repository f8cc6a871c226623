"""Figures of the data set: class balance, cells per subject, cell statistics, and a montage."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from wen.config.params import Dataset
from wen.data import images
from wen.data.table import has_subjects
from wen.figure_style import ALL_COLOUR, HEM_COLOUR, cover, save

Classes = tuple[tuple[int, str, str], ...]
"""Label, name and colour of each class."""


def draw(index: pd.DataFrame, looks: pd.DataFrame, dataset: Dataset, root: Path, folder: Path) -> None:
    """Draw and write the four figures.

    Parameters
    ----------
    index : DataFrame
        data/index.csv.
    looks : DataFrame
        `wen.data.outliers.look` of the same rows.
    dataset : Dataset
        Names the classes.
    root : Path
        Folder that the paths in the index are relative to.
    folder : Path
        Folder for classes.svg, subjects.svg, statistics.svg and montage.png.
    """
    cover([*dataset.classes, *index.subject.unique()])
    classes = ((1, dataset.positive, ALL_COLOUR), (0, dataset.negative, HEM_COLOUR))
    _class_balance(index, classes, folder / "classes.svg")
    _cells_per_subject(index, classes, folder / "subjects.svg")
    _cell_statistics(index, looks, classes, folder / "statistics.svg")
    _montage(index, classes, root, folder / "montage.png")


def _class_balance(index: pd.DataFrame, classes: Classes, path: Path) -> None:
    counts = index.groupby(["source", "label"]).size().unstack(fill_value=0)
    figure, axes = plt.subplots(figsize=(6, 3))
    bottom = np.zeros(len(counts))
    for label, name, colour in classes:
        count = counts.get(label, pd.Series(0, index=counts.index)).to_numpy()
        bars = axes.bar(counts.index, count, bottom=bottom, color=colour, label=name, edgecolor="white")
        axes.bar_label(bars, label_type="center", color="white", fontsize=8)
        bottom += count
    axes.set(ylabel="images", title="Class balance by source")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    save(figure, path)


def _cells_per_subject(index: pd.DataFrame, classes: Classes, path: Path) -> None:
    figure, axes = plt.subplots(figsize=(8, 3))
    if not has_subjects(index):
        axes.set(title="Subjects unknown", xticks=[], yticks=[])
        save(figure, path)
        return
    counts = index.groupby(["subject", "label"]).size().reset_index(name="cells")
    counts = counts.sort_values("cells", ascending=False, kind="stable").reset_index(drop=True)
    for label, name, colour in classes:
        subjects = counts[counts.label == label]
        axes.bar(subjects.index, subjects.cells, color=colour, label=f"{name}, {len(subjects)} subjects", width=0.9)
    axes.set(xlabel="subjects, by number of cells", ylabel="cells", title="Cells per subject", xticks=[])
    axes.legend()
    save(figure, path)


def _cell_statistics(index: pd.DataFrame, looks: pd.DataFrame, classes: Classes, path: Path) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(8, 3))
    for ax, measured, title in (
        (axes[0], looks.area, "Share of the image that is not black"),
        (axes[1], looks[["red", "green", "blue"]].mean(axis=1), "Mean level of the pixels that are not black"),
    ):
        bins = np.histogram_bin_edges(measured, bins=30)
        for label, name, colour in classes:
            values = measured[(index.label == label).to_numpy()]
            ax.hist(values, bins, density=True, histtype="step", linewidth=1.6, color=colour,
                    linestyle="-" if label else "--", label=name)  # fmt: skip
        ax.set(title=title, yticks=[])
        ax.legend()
    save(figure, path)


def _montage(index: pd.DataFrame, classes: Classes, root: Path, path: Path) -> None:
    """Show cells of both classes from as many subjects as possible, in one axes per class, which is fast to draw."""
    rows, columns, side, place = 3, 8, 128, 140
    figure, axes = plt.subplots(2, 1, figsize=(columns, 2 * rows + 0.6))
    for ax, (label, name, colour) in zip(axes, classes, strict=True):
        cells = index[index.label == label]
        rank = cells.groupby("subject").cumcount()
        chosen = cells.iloc[np.argsort(rank.to_numpy(), kind="stable")].head(rows * columns)
        sheet = np.full((rows, place, columns, place, 3), 255, np.uint8)
        for k, file in enumerate(chosen.path):
            cell = images.central_square(images.read(root / file), None, side)
            sheet[k // columns, :side, k % columns, :side] = cell
        ax.imshow(sheet.reshape(rows * place, columns * place, 3))
        ax.set_axis_off()
        ax.set_title(name, color=colour, loc="left", fontweight="bold")
    save(figure, path)
