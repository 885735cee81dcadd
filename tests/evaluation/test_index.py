import numpy as np
import pytest

from supcon_tf.evaluation import Index

RNG = np.random.default_rng(0)
CENTERS = RNG.normal(size=[12, 8])
LABELS = RNG.permutation(np.arange(90) % 9)  # The classes 9 to 11 are not in the index.
ROWS = CENTERS[LABELS] + 0.7 * RNG.normal(size=[90, 8])
QUERY_LABELS = np.arange(60) % 12
QUERIES = 5 * CENTERS[QUERY_LABELS] + 4 * RNG.normal(size=[60, 8])


def cosines(a, b):
    a, b = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (a, b))
    return a @ b.T


def make_index(**options):
    index = Index(**options)
    for part in np.array_split(np.arange(90), 3):
        index.add(ROWS[part], LABELS[part])
    return index


@pytest.mark.parametrize("backend", ["exact", "faiss", "hnswlib"])
def test_search_finds_the_rows_of_highest_cosine(backend):
    if backend != "exact":
        pytest.importorskip(backend)
    index = make_index(backend=backend)
    for k in (1, 7, 90):
        similarities, positions, labels = index.search(QUERIES, k)
        expected = cosines(QUERIES, ROWS)
        order = np.argsort(-expected, axis=1)[:, :k]
        np.testing.assert_array_equal(positions, order)
        np.testing.assert_allclose(similarities, np.take_along_axis(expected, order, 1), atol=1e-6)
        np.testing.assert_array_equal(labels, LABELS[order])
        assert (similarities.dtype, positions.dtype, labels.dtype) == ("float32", "int64", "int64")
    assert len(index) == 90


def test_rows_added_after_a_search_are_found():
    index = Index()
    index.add([[1, 0], [0, 0]])
    assert index.search([[0, 1]], k=2).similarities.tolist() == [[0, 0]]
    index.add([[0, 3]])
    assert index.search([[0, 1]], k=1) == ([[1]], [[2]], None)


def calibrate_naively(precision):
    similarities = cosines(QUERIES, ROWS)
    nearest, true = similarities.max(axis=1), LABELS[similarities.argmax(axis=1)] == QUERY_LABELS
    threshold = min(t for t in nearest if true[nearest >= t].mean() >= precision)
    p, r = true[nearest >= threshold].mean(), true[nearest >= threshold].sum() / 45
    return threshold, p, r, 2 * p * r / (p + r)


@pytest.mark.parametrize("precision", [0, 0.7, 0.8, 1])
def test_calibrate(precision):
    calibration = make_index().calibrate(QUERIES, QUERY_LABELS[:, None], precision=precision)
    assert calibration == pytest.approx(calibrate_naively(precision), abs=1e-6)
    assert calibration.precision >= precision


def test_queries_of_one_similarity_are_matched_together():
    index = Index()
    index.add(np.eye(2), [0, 1])
    # The first three queries are equal, and one of them is wrong.
    calibration = index.calibrate(np.eye(2)[[0, 0, 0, 1]] + 0.1, [0, 2, 0, 1], precision=0.7)
    assert calibration == pytest.approx((0.9959, 0.75, 1, 6 / 7), abs=1e-4)
    with pytest.raises(ValueError, match="`precision` must be at most 0.75.*Received: 0.8"):
        index.calibrate(np.eye(2)[[0, 0, 0, 1]] + 0.1, [0, 2, 0, 1], precision=0.8)


def test_match():
    index = make_index()
    with pytest.raises(ValueError, match="requires a call of `calibrate`"):
        index.match(QUERIES)
    threshold = index.calibrate(QUERIES, QUERY_LABELS, precision=0.8).threshold
    matches = index.match(QUERIES)
    similarities = cosines(QUERIES, ROWS)
    clear = np.abs(similarities.max(axis=1) - threshold) > 1e-6
    expected = np.where(
        similarities.max(axis=1) >= threshold, LABELS[similarities.argmax(axis=1)], -1
    )
    np.testing.assert_array_equal(matches[clear], expected[clear])
    assert clear.sum() == 59 and 0 < np.sum(matches == -1) < 59


@pytest.mark.parametrize("labeled", [True, False])
def test_a_loaded_index_is_the_same(tmp_path, labeled):
    index = make_index() if labeled else Index()
    if labeled:
        index.calibrate(QUERIES, QUERY_LABELS, precision=0.8)
    else:
        index.add(ROWS)
    index.save(tmp_path / "names.index")
    assert [path.name for path in tmp_path.iterdir()] == ["names.index"]
    loaded = Index.load(tmp_path / "names.index")
    assert loaded.calibration == index.calibration and len(loaded) == 90
    for before, after in zip(index.search(QUERIES, 3), loaded.search(QUERIES, 3), strict=True):
        np.testing.assert_array_equal(before, after)
    assert (loaded.search(QUERIES).labels is not None) == labeled


def test_files_that_are_not_an_index(tmp_path):
    with pytest.raises(FileNotFoundError):
        Index.load(tmp_path / "missing")
    for name, write in {
        "text": lambda path: path.write_text("embeddings"),
        "empty": lambda path: path.write_text(""),
        "array.npy": lambda path: np.save(path, ROWS),
        "arrays.npz": lambda path: np.savez(path, rows=ROWS),
    }.items():
        write(tmp_path / name)
        with pytest.raises(ValueError, match=f"file of `Index.save`. Received: .*{name}"):
            Index.load(tmp_path / name)


def test_bad_arguments(tmp_path):
    with pytest.raises(ValueError, match="`backend` must be one of.*'annoy'"):
        Index(backend="annoy")
    empty = Index()
    with pytest.raises(ValueError, match="`k` must be at most 0"):
        empty.search(QUERIES, 1)
    with pytest.raises(ValueError, match="must have rows to be saved"):
        empty.save(tmp_path / "index")
    index = make_index()
    for call, message in (
        (lambda: index.search(QUERIES, 91), "`k` must be at most 90.*Received: 91"),
        (lambda: index.search(QUERIES[:, :3]), r"`queries` must have 8 columns.*\(60, 3\)"),
        (lambda: index.add(ROWS[:, :3], LABELS), r"`embeddings` must have 8 columns.*\(90, 3\)"),
        (lambda: index.add(ROWS), "Received: rows without labels after rows with labels"),
        (lambda: index.add(ROWS, LABELS[:2]), "`labels` must be integer class ids"),
        (lambda: index.calibrate(QUERIES, QUERY_LABELS, precision=2), "`precision` must be"),
        (
            lambda: index.calibrate(QUERIES, QUERY_LABELS + 100, precision=0.5),
            "a label of the index",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    assert len(index) == 90
    unlabeled = Index()
    unlabeled.add(ROWS)
    with pytest.raises(ValueError, match="rows with labels after rows without labels"):
        unlabeled.add(ROWS, LABELS)
    with pytest.raises(ValueError, match="The index must have labels"):
        unlabeled.calibrate(QUERIES, QUERY_LABELS, precision=0.5)
