"""Agreement of the clusters of k-means with classes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from supcon_tf._requirements import require_extra
from supcon_tf.evaluation.unit_length import to_unit_length


def clustering_metrics(
    features: NDArray[Any], labels: NDArray[np.int64], distance: str
) -> dict[str, float]:
    """Compares classes with as many clusters of k-means.

    Args:
        features: `[rows, dim]`.
        labels: `[rows]` class ids.
        distance: `"cosine"` to cluster rows of unit length, `"euclidean"` to cluster them as they
            are.

    Returns:
        `nmi` and `ami`, the normalized and the adjusted mutual information of scikit-learn.

    Raises:
        ImportError: if scikit-learn is not installed.
    """
    with require_extra("The metrics nmi and ami", "scikit-learn"):
        from sklearn.cluster import KMeans
        from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score
    if distance == "cosine":
        features = to_unit_length(features, features.dtype)
    means = KMeans(len(np.unique(labels)), n_init=1, random_state=0)
    clusters = means.fit_predict(features)
    return {
        "nmi": float(normalized_mutual_info_score(labels, clusters)),
        "ami": float(adjusted_mutual_info_score(labels, clusters)),
    }
