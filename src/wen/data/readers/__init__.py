"""The data sets that can be read: C-NMC in its layouts, a folder for each class, a table of images."""

from pathlib import Path

from wen.config.params import Dataset
from wen.config.paths import Paths
from wen.data.readers import cell_table, class_folders, cnmc
from wen.data.readers.listing import Listing


def place(dataset: Dataset, paths: Paths) -> Path:
    """Where the images of a data set are; C-NMC may also have been put into data/raw by hand."""
    if dataset.source == "synthetic":
        return paths.synthetic
    if dataset.source == "cnmc":
        return paths.raw / "cnmc" if (paths.raw / "cnmc").exists() else paths.raw
    return paths.raw / "cells"


def read(dataset: Dataset, folder: Path) -> Listing:
    """List the labelled images of a data set in a folder, without opening one.

    Raises
    ------
    WenError
        If its table is no CSV, or names no images.
    """
    if dataset.of_cnmc:
        return cnmc.read(folder)
    if dataset.table is not None:
        return cell_table.read(folder, folder / dataset.table, dataset.classes, dataset.subject)
    return class_folders.read(folder, dataset.classes, dataset.subject)
