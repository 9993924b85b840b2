"""Features in two dimensions by t-SNE (paper: Figs. 2b, 5; van der Maaten and Hinton, 2008)."""

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from jimt.errors import InputError

_COMPONENTS = 50  # as van der Maaten and Hinton did; 2,048 features would only cost time
_PERPLEXITY = 30.0
_SAME = 1e-6  # of the largest feature: what is left of rounding
_MANY = 1000
MIN_POINTS = 5
"""Fewer patches have no neighbourhoods to keep."""


def tsne(features: NDArray[np.floating], *, seed: int) -> NDArray[np.float32]:
    """Coordinates of patches, shape ``(n, 2)``, in which near features lie near; distances far apart mean nothing.

    Principal components first (at most 50, of features that are centred but not scaled), then Barnes-Hut t-SNE with
    a perplexity of 30, or a third of the patches where there are fewer than 90.

    Args:
        features: Shape ``(n, n_features)``.
        seed: The same seed gives the same coordinates.

    Raises:
        InputError: If there are fewer than 5 patches, or their features are all the same or no numbers.
    """
    n = len(features)
    if n < MIN_POINTS:
        raise InputError(f"{n} patch{'es' * (n != 1)} cannot be laid out by t-SNE", advice=f"it needs {MIN_POINTS}")
    centred = np.asarray(features, np.float64) - np.mean(features, axis=0, dtype=np.float64)
    if not np.isfinite(centred).all():
        raise InputError(
            "some patches have features that are no numbers", advice="the network has diverged, so train it anew"
        )
    if np.abs(centred).max() <= _SAME * np.abs(features).max():
        raise InputError(
            "every patch has the same features, so there is nothing to lay out", advice="train the network first"
        )
    k = min(_COMPONENTS, n - 1, features.shape[1])
    if k == 1:  # t-SNE lays out in two dimensions
        centred, k = np.hstack([centred, np.zeros_like(centred)]), 2
    components = PCA(k, svd_solver="randomized" if k < min(centred.shape) else "full", random_state=seed).fit_transform(
        centred
    )
    model = TSNE(
        perplexity=min(_PERPLEXITY, max(1.0, (n - 1) / 3)),
        init="pca",
        learning_rate="auto",
        random_state=seed,
        n_jobs=-1 if n > _MANY else 1,  # on busy cores threads that wait for each other take longer than one
    )
    return np.asarray(model.fit_transform(components.astype(np.float32)), np.float32)
