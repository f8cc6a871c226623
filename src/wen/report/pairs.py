"""The pairs of copies that stage ``prepare`` drew, as the page shows them; the data set's images are not read."""

from typing import Any

from wen.config.paths import Paths
from wen.files import read_json
from wen.report.hard_cases import png_uri


def shown(paths: Paths) -> dict[str, Any]:
    """Read the pictures of pairs; the doubtful ones come last.

    Returns
    -------
    dict
        ``pairs``: rows of data/copies.csv with the ``subjects`` and ``labels`` of both and the ``image`` as a data
        URI; ``rest``: how many pairs are not shown.
    """
    drawn: dict[str, Any] = read_json(paths.copies_plots / "pairs.json")
    for pair in drawn["pairs"]:
        pair["image"] = png_uri((paths.copies_plots / pair["picture"]).read_bytes())
    return drawn


def people(dataset: dict[str, Any]) -> list[dict[str, Any]]:
    """Each pair of subjects who share cells, with their number of exact and of near copies; the largest first."""
    exact, near = ((dataset["copies"][kind] or {}).get("pairs_by_subjects") or {} for kind in ("exact", "near"))
    rows = [
        {"subjects": pair, "exact": exact.get(pair, 0), "near": near.get(pair, 0)} for pair in sorted({*exact, *near})
    ]
    return sorted(rows, key=lambda row: -row["exact"] - row["near"])
