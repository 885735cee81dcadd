import pathlib

import numpy as np
import pytest

from supcon_tf import evaluation
from supcon_tf.evaluation import nearest, ranks

RNG = np.random.default_rng(0)
# Classes of 1 to 15 rows. One row is a duplicate.
LABELS = RNG.permutation(np.repeat(np.arange(10) * 3, [1, 1, 2, 3, 5, 8, 10, 12, 13, 15]))
FEATURES = RNG.normal(size=[30, 6])[LABELS] + RNG.normal(size=[70, 6])
FEATURES[4] = FEATURES[40]


def ranked(query):
    """Returns whether the other rows are of the query's class, most similar first."""
    unit = FEATURES / np.linalg.norm(FEATURES, axis=1, keepdims=True)
    order = [i for i in np.argsort(-unit @ unit[query], kind="stable") if i != query]
    return LABELS[order] == LABELS[query]


def naive_map_at_r(query):
    relevant = ranked(query)
    r = relevant.sum()
    return sum(relevant[: i + 1].mean() * relevant[i] for i in range(r)) / r


QUERIES = [i for i in range(70) if np.sum(LABELS[i] == LABELS) > 1]


@pytest.fixture(params=["one tile", "small tiles"], autouse=True)
def tiles(request, monkeypatch):
    if request.param == "small tiles":
        monkeypatch.setattr(nearest, "_TILE_ROWS", 16)
        monkeypatch.setattr(nearest, "_TILE_COLUMNS", 11)
        monkeypatch.setattr(ranks, "_BLOCK_NUMBERS", 300)
        monkeypatch.setattr(ranks, "_BLOCK_COLUMNS", 17)


@pytest.mark.parametrize("k", [1, 2, 8, 69])
def test_recall(k):
    expected = np.mean([ranked(query)[:k].any() for query in QUERIES])
    assert evaluation.recall_at_k(FEATURES, LABELS, k) == pytest.approx(expected)
    assert 0.2 < expected <= (1 if k == 69 else 0.99)


def test_map_at_r():
    expected = np.mean([naive_map_at_r(query) for query in QUERIES])
    assert evaluation.map_at_r(FEATURES, LABELS[:, None]) == pytest.approx(expected)
    assert 0.1 < expected < 0.9


def test_separate_classes_are_retrieved_completely():
    features, labels = np.eye(4)[[0, 0, 1, 1, 1, 2, 2, 3]], [0, 0, 1, 1, 1, 2, 2, 3]
    assert evaluation.map_at_r(features, labels) == 1
    assert evaluation.recall_at_k(features, labels) == 1


def test_a_row_does_not_retrieve_itself_when_all_similarities_are_negative():
    """The first row is nearest to the second one, the third row to the first one."""
    angles = np.deg2rad([0, 100, 235])
    features, labels = np.stack([np.cos(angles), np.sin(angles)], axis=1), [0, 1, 0]
    assert evaluation.recall_at_k(features, labels) == 0.5
    assert evaluation.map_at_r(features, labels) == 0.5


@pytest.mark.parametrize("function", [evaluation.recall_at_k, evaluation.map_at_r])
def test_bad_arguments(function):
    with pytest.raises(
        ValueError, match="class of at least two rows.*Received: 70 rows of 70 classes"
    ):
        function(FEATURES, np.arange(70))
    with pytest.raises(ValueError, match="`labels` must not contain -1"):
        function(FEATURES, np.where(LABELS == 0, -1, LABELS))
    with pytest.raises(ValueError, match="`features` must be finite"):
        function(np.full([70, 2], np.inf), LABELS)


def test_bad_k():
    with pytest.raises(ValueError, match="`k` must be at most 69.*Received: 70"):
        evaluation.recall_at_k(FEATURES, LABELS, 70)


# Names in pytorch-metric-learning.
PML = {
    "map": "mean_average_precision",
    "map_at_r": "mean_average_precision_at_r",
    "mrr": "mean_reciprocal_rank",
    "precision_at_1": "precision_at_1",
    "r_precision": "r_precision",
}
TORCHMETRICS = (
    "map",
    "mrr",
    "precision_at_5",
    "recall_at_5",
    "r_precision",
    "ndcg_at_5",
    "ndcg_at_10",
)


@pytest.mark.parametrize("case", ["separate", "leave_one_out"])
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_metrics_equal_those_of_other_libraries(case, distance):
    golden = np.load(pathlib.Path(__file__).parents[1] / "data" / "retrieval.npz")
    arrays = [golden[f"{case}/{name}"] for name in ("queries", "query_labels")]
    if case == "separate":
        arrays += [golden[f"{case}/{name}"] for name in ("gallery", "gallery_labels")]
    for average in ("queries", "classes"):
        values = evaluation.retrieval_metrics(*arrays, distance=distance, average=average)
        for name, theirs in PML.items():
            expected = golden[f"{case}/{distance}/{average}/pml_{theirs}"]
            assert values[name] == pytest.approx(float(expected), abs=1e-6)
        of_nearest = ("recall", "precision", "ndcg", "r_precision", "map_at_r")
        again = evaluation.retrieval_metrics(
            *arrays, distance=distance, average=average, metrics=of_nearest
        )
        assert again == pytest.approx({name: values[name] for name in again})
    values = evaluation.retrieval_metrics(*arrays, distance=distance)
    for name in TORCHMETRICS:
        expected = golden[f"{case}/{distance}/queries/torchmetrics_{name}"]
        assert values[name] == pytest.approx(float(expected), abs=1e-6)


def test_knn_and_clustering():
    from sklearn import cluster, metrics

    values = evaluation.retrieval_metrics(
        FEATURES[:20],
        LABELS[:20],
        FEATURES[20:],
        LABELS[20:],
        metrics=["knn_top_1", "knn_top_5", "nmi", "ami"],
    )
    unit = FEATURES / np.linalg.norm(FEATURES, axis=1, keepdims=True)
    votes = np.exp(unit[:20] @ unit[20:].T / 0.07)
    of_classes = np.stack([votes[:, LABELS[20:] == c].sum(1) for c in range(30)], axis=1)
    order = np.argsort(-of_classes, axis=1)
    for name, top in (("knn_top_1", 1), ("knn_top_5", 5)):
        expected = np.mean([y in row[:top] for y, row in zip(LABELS[:20], order, strict=True)])
        assert values[name] == pytest.approx(expected)
    count = len(set(LABELS[:20].tolist()))
    clusters = cluster.KMeans(count, n_init=1, random_state=0).fit_predict(unit[:20])
    assert values["nmi"] == pytest.approx(
        metrics.normalized_mutual_info_score(LABELS[:20], clusters)
    )
    assert values["ami"] == pytest.approx(metrics.adjusted_mutual_info_score(LABELS[:20], clusters))
    alone = evaluation.retrieval_metrics(FEATURES, LABELS, metrics=["knn_top_1"])
    assert alone["knn_top_1"] < 1  # A row is not its own neighbor.


def test_far_from_the_origin_distances_do_not_cancel():
    values = [
        evaluation.retrieval_metrics(FEATURES + shift, LABELS, distance="euclidean")
        for shift in (0, 1e4)
    ]
    assert values[0] == pytest.approx(values[1], abs=1e-3)


def test_ties_rank_relevant_rows_first():
    gallery, labels = np.eye(2)[[0, 0, 0, 1, 1]], [1, 0, 1, 0, 1]
    values = evaluation.retrieval_metrics(np.eye(2)[:1], [0], gallery, labels, ks=(1,))
    # The ranks of the relevant rows are 1, among three equal rows, and 4.
    assert (values["mrr"], values["map"]) == (1, (1 + 2 / 4) / 2)


def test_bad_arguments_of_retrieval_metrics():
    for options, message in (
        ({"metrics": ["accuracy"]}, "`metrics` must be one of.*'accuracy'"),
        ({"distance": "l1"}, "`distance` must be one of.*'l1'"),
        ({"average": "none"}, "`average` must be one of"),
        ({"ks": (0,)}, "`ks` must be.*Received: 0"),
        ({"ks": (70,)}, "`k` must be at most 69"),
        ({"gallery": FEATURES}, "`gallery_labels` must be the class ids"),
        ({"gallery": FEATURES[:, :2], "gallery_labels": LABELS}, "as many columns.*2 and 6"),
        ({"gallery": FEATURES, "gallery_labels": LABELS + 100}, "no common class"),
    ):
        with pytest.raises(ValueError, match=message):
            evaluation.retrieval_metrics(FEATURES, LABELS, **options)
