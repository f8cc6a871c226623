"""Groups of people that a split cannot separate, because they share copies of cells."""

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def components(index: pd.DataFrame, copies: pd.DataFrame) -> np.ndarray:
    """Number the connected components of "same person, or an exact copy, or a near-copy".

    Parameters
    ----------
    index : DataFrame
        data/index.csv: ``id``, ``subject`` and ``pixels`` of each image. An image without a
        ``subject`` counts as a separate person.
    copies : DataFrame
        data/copies.csv: ids ``one`` and ``other`` of each pair.

    Returns
    -------
    ndarray of shape (images,)
        Each image's component, from 0.
    """
    subject, names = pd.factorize(index.subject.where(index.subject != "", "\N{NULL}" + index.id))
    pixels, looks = pd.factorize(index.pixels)
    of = pd.Series(subject, index=index.id)
    one = np.concatenate([subject, of[copies.one]])
    other = np.concatenate([len(names) + pixels, of[copies.other]])
    size = len(names) + len(looks)
    graph = coo_array((np.ones(len(one)), (one, other)), shape=(size, size))
    _, component = connected_components(graph, directed=False)
    return pd.factorize(component[subject])[0]
