"""The data sets that can be read: C-NMC in its layouts, a folder for each class, a table of images."""

from pathlib import Path

from wen.config.params import Dataset
from wen.config.paths import Paths
from wen.data.readers import cell_table, class_folders, cnmc
from wen.data.readers.labels import positive_of
from wen.data.readers.listing import Listing
from wen.errors import WenError


def place(dataset: Dataset, paths: Paths) -> Path:
    """Return the folder of the images of a data set; C-NMC may also have been put into data/raw by hand."""
    if dataset.source == "synthetic":
        return paths.synthetic
    if dataset.source == "cnmc":
        return paths.raw / "cnmc" if (paths.raw / "cnmc").exists() else paths.raw
    return paths.raw / "cells"


def read(dataset: Dataset, folder: Path) -> Listing:
    """List the labelled images of a data set in a folder, without opening any.

    Raises
    ------
    WenError
        If its table is not a CSV, or lists no images; see also `check`.
    """
    check(dataset)
    if dataset.of_cnmc:
        return cnmc.read(folder)
    if dataset.table is not None:
        return cell_table.read(folder, folder / dataset.table, dataset.classes, dataset.subject)
    return class_folders.read(folder, dataset.classes, dataset.subject)


def check(dataset: Dataset) -> None:
    """Reject C-NMC with its classes in reverse order: labels come from file names, so only their names would change.

    Raises
    ------
    WenError
    """
    if dataset.of_cnmc and positive_of(dataset.classes) == dataset.negative:
        raise WenError(
            f"params.yaml: dataset.classes: {dataset.classes} is in reverse order, because C-NMC's positive class is "
            f"ALL, the blasts; write [{dataset.positive}, {dataset.negative}], the negative class first"
        )
