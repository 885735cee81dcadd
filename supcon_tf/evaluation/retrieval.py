"""Retrieval: whether the rows most similar to a query are of its class."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from supcon_tf._checks import check_choice, check_integer
from supcon_tf.evaluation.clustering import clustering_metrics
from supcon_tf.evaluation.inputs import check_class_ids, check_matrix, check_num_neighbors
from supcon_tf.evaluation.knn_classifier import vote
from supcon_tf.evaluation.nearest import DISTANCES, nearest_neighbors
from supcon_tf.evaluation.ranks import ranks_of_all, ranks_of_nearest

# Metrics of the nearest rows at each of `ks`, and metrics that have one value.
_AT_K = ("recall", "precision", "ndcg")
_OF_FIRST_R = ("r_precision", "map_at_r")
_OF_WHOLE_RANKING = ("map", "mrr")
_RANKING = (*_AT_K, *_OF_FIRST_R, *_OF_WHOLE_RANKING)
_KNN = {"knn_top_1": 1, "knn_top_5": 5}
_CLUSTERING = ("nmi", "ami")
METRICS = (*_RANKING, *_KNN, *_CLUSTERING)
AVERAGES = ("queries", "classes")


def retrieval_metrics(
    queries: ArrayLike,
    query_labels: ArrayLike,
    gallery: ArrayLike | None = None,
    gallery_labels: ArrayLike | None = None,
    *,
    metrics: Sequence[str] = _RANKING,
    ks: Sequence[int] = (1, 5, 10),
    distance: str = "cosine",
    average: str = "queries",
) -> dict[str, float]:
    r"""Measures the ranking of a gallery by the similarity to queries.

    For a query with $R$ relevant rows, those of its class, whose ranks are $r_1 < r_2 < \dots$, the
    metrics are

    | name | value of a query |
    |---|---|
    | `recall_at_k` | $[r_1 \le k]$, as in metric learning; torchmetrics calls it hit rate |
    | `precision_at_k` | $\lvert \{j: r_j \le k\} \rvert / k$ |
    | `ndcg_at_k` | $G / G_{ideal}$ with $G = \sum_{r_j \le k} 1 / \log_2 (1 + r_j)$ |
    | `r_precision` | $\lvert \{j: r_j \le R\} \rvert / R$ |
    | `map_at_r` | $\frac{1}{R} \sum_{r_j \le R} j / r_j$ (Musgrave et al., 2020) |
    | `map` | $\frac{1}{R} \sum_j j / r_j$, the mean average precision |
    | `mrr` | $1 / r_1$, the mean reciprocal rank |

    where $G_{ideal}$ is the gain if all relevant rows rank first. Queries without relevant rows are
    left out. `map` and `mrr` sort the similarities of all rows, which takes longer. Memory does not
    grow with the number of similarities.

    On request, `metrics` also contains `knn_top_1` and `knn_top_5`, whether the class of a query is
    among the first classes by the vote of `knn_predict`, and `nmi` and `ami`, the normalized and
    the adjusted mutual information of classes and of as many clusters of the queries by k-means.

    References: Manning et al., "Introduction to Information Retrieval", 2008, chapter 8; Oh Song et
    al., 2016 (https://arxiv.org/abs/1511.06452), for Recall@K; Musgrave et al., 2020
    (https://arxiv.org/abs/2003.08505), for MAP@R.

    Examples:
        >>> from supcon_tf import evaluation
        >>> gallery, labels = [[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]], [0, 1, 1]
        >>> values = evaluation.retrieval_metrics([[0.7, 0.3]], [1], gallery, labels, ks=(1, 2))
        >>> {name: round(value, 3) for name, value in values.items()}["precision_at_2"]
        0.5

    Args:
        queries: `[queries, dim]` rows of any norm.
        query_labels: `[queries]` or `[queries, 1]` integer class ids, none of them -1.
        gallery: `[rows, dim]` rows to retrieve. `None` retrieves from the other queries.
        gallery_labels: `[rows]` or `[rows, 1]` integer class ids, with `gallery`.
        metrics: names of metrics, without `_at_k`; by default those of the table.
        ks: numbers of nearest rows for recall, precision and nDCG.
        distance: `"cosine"` or `"euclidean"`.
        average: `"queries"` for the mean over queries, `"classes"` for the mean over classes of the
            means over their queries.

    Returns:
        The values, from 0 to 1, by their names.

    Raises:
        ValueError: if an argument is not as described, a number of `ks` exceeds the number of rows
            to retrieve, or no query has a relevant row.
        ImportError: for `nmi` and `ami`, if scikit-learn is not installed.
    """
    check_choice("distance", distance, DISTANCES)
    check_choice("average", average, AVERAGES)
    for name in metrics:
        check_choice("metrics", name, METRICS)
    queries = check_matrix("queries", queries)
    query_labels = check_class_ids("query_labels", query_labels, len(queries))
    leave_one_out = gallery is None
    if gallery is None:
        gallery, gallery_labels = queries, query_labels
    else:
        gallery, gallery_labels = _check_gallery(queries, gallery, gallery_labels)
    ranking = [name for name in metrics if name in _RANKING]
    values = _measure(
        queries,
        query_labels,
        gallery,
        gallery_labels,
        ranking,
        [check_integer("ks", k) for k in ks],
        distance,
        average,
        leave_one_out,
    )
    values |= _knn(queries, query_labels, gallery, gallery_labels, metrics, leave_one_out)
    if set(metrics) & set(_CLUSTERING):
        clustering = clustering_metrics(queries, query_labels, distance)
        values |= {name: value for name, value in clustering.items() if name in metrics}
    return values


def _knn(
    queries: NDArray[Any],
    query_labels: NDArray[np.int64],
    gallery: NDArray[Any],
    gallery_labels: NDArray[np.int64],
    metrics: Sequence[str],
    leave_one_out: bool,
) -> dict[str, float]:
    """Computes the accuracies in `metrics` of k-NN with the defaults of `knn_predict`."""
    chosen = {name: top for name, top in _KNN.items() if name in metrics}
    if not chosen:
        return {}
    classes, positions = np.unique(gallery_labels, return_inverse=True)
    neighbors = nearest_neighbors(
        queries,
        gallery,
        min(200, len(gallery) - leave_one_out),
        exclude_self=leave_one_out,
    )
    votes = np.concatenate(list(vote(neighbors, positions, len(classes), temperature=0.07)))
    best = classes[np.argsort(-votes, axis=1, kind="stable")]
    return {
        name: float(np.mean((best[:, :top] == query_labels[:, None]).any(axis=1)))
        for name, top in chosen.items()
    }


def recall_at_k(features: ArrayLike, labels: ArrayLike, k: int = 1) -> float:
    r"""Computes Recall@K: the fraction of queries with a row of their class among the nearest `k`.

    $$\frac{1}{Q} \sum_q [\exists\, i \in N_k(q): y_i = y_q]$$

    Every row is a query that retrieves from all other rows. A row without another row of its class
    is not a query, but other queries can retrieve it.

    Reference: Oh Song et al., 2016 (https://arxiv.org/abs/1511.06452).

    Examples:
        >>> from supcon_tf import evaluation
        >>> features = [[1.0, 0.0], [1.0, 0.1], [1.0, 0.3], [0.0, 1.0]]
        >>> evaluation.recall_at_k(features, [0, 0, 1, 1], k=1)
        0.75

    Args:
        features: `[rows, dim]` rows of any norm, compared by cosine similarity.
        labels: `[rows]` or `[rows, 1]` integer class ids, none of them -1.
        k: number of retrieved rows.

    Returns:
        The recall, from 0 to 1.

    Raises:
        ValueError: if an argument is not as described, `k` is not below `rows`, or no class has two
            rows.
    """
    check_num_neighbors(k, len(check_matrix("features", features)) - 1)
    return _leave_one_out(features, labels, "recall", k)


def map_at_r(features: ArrayLike, labels: ArrayLike) -> float:
    r"""Computes MAP@R: mean average precision at R, the number of relevant rows of the query.

    $$\frac{1}{Q} \sum_q \frac{1}{R_q} \sum_{i=1}^{R_q} P_q(i) \, [y_{q,i} = y_q]$$

    where $R_q$ is the number of other rows of the query's class, $P_q(i)$ the fraction of this
    class among the `i` most similar other rows, and $y_{q,i}$ the class of the row at rank `i`. The
    value is 1 if all rows of the query's class rank first. Queries are as in `recall_at_k`.

    Reference: Musgrave et al., 2020, section 3.2 (https://arxiv.org/abs/2003.08505).

    Examples:
        >>> from supcon_tf import evaluation
        >>> features = [[1.0, 0.0], [1.0, 0.1], [1.0, 0.3], [0.0, 1.0]]
        >>> evaluation.map_at_r(features, [0, 0, 1, 1])
        0.75

    Args:
        features: as in `recall_at_k`.
        labels: as in `recall_at_k`.

    Returns:
        The mean over all queries, from 0 to 1.

    Raises:
        ValueError: if an argument is not as described, or no class has two rows.
    """
    return _leave_one_out(features, labels, "map_at_r", 1)


def _leave_one_out(features: ArrayLike, labels: ArrayLike, metric: str, k: int) -> float:
    features = check_matrix("features", features)
    labels = check_class_ids("labels", labels, len(features))
    values = _measure(
        features, labels, features, labels, [metric], [k], "cosine", "queries", leave_one_out=True
    )
    return next(iter(values.values()))


def _check_gallery(
    queries: NDArray[Any], gallery: ArrayLike, gallery_labels: ArrayLike | None
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    gallery = check_matrix("gallery", gallery)
    if gallery.shape[1] != queries.shape[1]:
        raise ValueError(
            "`gallery` must have as many columns as `queries`. "
            f"Received: {gallery.shape[1]} and {queries.shape[1]}"
        )
    if gallery_labels is None:
        raise ValueError("`gallery_labels` must be the class ids of `gallery`. Received: None")
    return gallery, check_class_ids("gallery_labels", gallery_labels, len(gallery))


def _measure(
    queries: NDArray[Any],
    query_labels: NDArray[np.int64],
    gallery: NDArray[Any],
    gallery_labels: NDArray[np.int64],
    metrics: Sequence[str],
    ks: Sequence[int],
    distance: str,
    average: str,
    leave_one_out: bool,
) -> dict[str, float]:
    """Computes metrics of checked arguments, see `retrieval_metrics`."""
    if not metrics:
        return {}
    num_rows = len(gallery) - leave_one_out
    for k in ks:
        check_num_neighbors(k, num_rows)
    classes, counts = np.unique(gallery_labels, return_counts=True)
    found = np.minimum(np.searchsorted(classes, query_labels), len(classes) - 1)
    num_relevant = np.where(classes[found] == query_labels, counts[found], 0) - leave_one_out
    is_query = num_relevant > 0
    if not is_query.any():
        raise ValueError(
            "`labels` must hold a class of at least two rows. "
            f"Received: {len(gallery_labels)} rows of {len(classes)} classes"
            if leave_one_out
            else "`query_labels` must have a class of `gallery_labels`. Received: no common class"
        )
    arguments = queries, query_labels, gallery, gallery_labels
    if set(metrics) & set(_OF_WHOLE_RANKING):
        all_ranks = ranks_of_all(*arguments, distance, leave_one_out)
    else:
        depth = max(*ks, num_relevant.max() if set(metrics) & set(_OF_FIRST_R) else 1)
        all_ranks = ranks_of_nearest(*arguments, min(depth, num_rows), distance, leave_one_out)
    values = np.array(
        [
            list(_values_of_query(ranks, int(r), metrics, ks))
            for ranks, r in zip(all_ranks, num_relevant, strict=True)
            if r > 0
        ]
    )
    if average == "classes":
        _, class_of_query = np.unique(query_labels[is_query], return_inverse=True)
        in_class = np.arange(class_of_query.max() + 1)[:, None] == class_of_query
        values = (in_class @ values) / in_class.sum(axis=1, keepdims=True)
    names = _names(metrics, ks)
    return {name: float(value) for name, value in zip(names, values.mean(axis=0), strict=True)}


def _names(metrics: Sequence[str], ks: Sequence[int]) -> list[str]:
    return [
        name
        for metric in metrics
        for name in ([f"{metric}_at_{k}" for k in ks] if metric in _AT_K else [metric])
    ]


def _values_of_query(
    ranks: NDArray[np.int64], r: int, metrics: Sequence[str], ks: Sequence[int]
) -> Iterator[float]:
    """Yields the metrics of a query, in the order of `_names`.

    Args:
        ranks: the ranks of relevant rows in ascending order, as far as they are needed.
        r: the number of all relevant rows.
        metrics: names of metrics.
        ks: numbers of nearest rows.
    """
    for metric in metrics:
        if metric == "recall":
            yield from (float(ranks.size > 0 and ranks[0] <= k) for k in ks)
        elif metric == "precision":
            yield from (np.sum(ranks <= k) / k for k in ks)
        elif metric == "ndcg":
            yield from (_gain(ranks[ranks <= k]) / _gain(np.arange(1, min(r, k) + 1)) for k in ks)
        elif metric == "r_precision":
            yield np.sum(ranks <= r) / r
        elif metric == "map_at_r":
            yield np.sum(_precisions(ranks[ranks <= r])) / r
        elif metric == "map":
            yield np.sum(_precisions(ranks)) / r
        else:
            yield 1 / ranks[0]


def _gain(ranks: NDArray[np.int64]) -> float:
    """Returns the discounted gain of relevant rows at some ranks."""
    return float(np.sum(1 / np.log2(1 + ranks)))


def _precisions(ranks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns the precision at each of the ranks of the relevant rows."""
    return np.arange(1, len(ranks) + 1) / ranks
