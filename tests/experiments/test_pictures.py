import xml.etree.ElementTree

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

from experiments import pictures
from experiments.pictures.sample import sample

CLASS_NAMES = ("cat", "dog", "three words here")


@pytest.fixture
def figures(monkeypatch):
    """Returns the drawn figures."""
    drawn = []
    savefig = Figure.savefig

    def record(figure, *arguments, **others):
        savefig(figure, *arguments, **others)
        if figure not in drawn:
            drawn.append(figure)

    monkeypatch.setattr(Figure, "savefig", record)
    return drawn


@pytest.fixture
def labels():
    return np.arange(30) % 3


@pytest.fixture
def representations():
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=[30, 5]) for name in ("SupCon", "cross-entropy")}


def naive_cosines(vectors):
    return [[(a @ b) / np.sqrt((a @ a) * (b @ b)) for b in vectors] for a in vectors]


def assert_whole_and_alone(directory, name, text):
    assert {path.name for path in directory.iterdir()} == {f"{name}.png", f"{name}.svg"}
    assert matplotlib.image.imread(directory / f"{name}.png").shape[1] == 1245
    svg = xml.etree.ElementTree.parse(directory / f"{name}.svg")
    texts = {element.text for element in svg.iter("{http://www.w3.org/2000/svg}text")}
    assert text in texts


def test_sample():
    chosen = sample(100, 40)
    assert len(set(chosen.tolist())) == 40
    assert chosen.tolist() == sorted(chosen.tolist()) == sample(100, 40).tolist()
    assert chosen.min() >= 0 and chosen.max() < 100
    assert sample(3, 5).tolist() == [0, 1, 2]


@pytest.mark.parametrize("labels", [np.arange(1000) // 100, np.arange(1000) % 10])
def test_sample_holds_every_class(labels):
    assert np.bincount(labels[sample(1000, 500)], minlength=10).min() > 30


def test_learning_curves(tmp_path, figures):
    pictures.learning_curves(tmp_path / "l.png", {"SupCon": [3.0, 2.0], "cross-entropy": [1.0]})
    assert_whole_and_alone(tmp_path, "l", "training loss")
    (figure,) = figures
    first, second = figure.axes
    assert first.get_title() == "SupCon"
    assert first.lines[0].get_xydata().tolist() == [[1, 3], [2, 2]]
    assert second.lines[0].get_xydata().tolist() == [[1, 1]]


def test_loss_costs(tmp_path, figures):
    measurements = [
        {"method": "tiles", "rows": 256, "dim": 8, "seconds": 0.5},
        {"method": "tiles", "rows": 512, "dim": 8, "seconds": 1.0, "bytes": 2_000_000},
        {"method": "dense", "rows": 256, "dim": 8, "seconds": 2.0},
        {"method": "dense", "rows": 512, "dim": 8, "predicted_bytes": 9},
        {"method": "tiles", "rows": 256, "dim": 16, "seconds": 4.0},
    ]
    pictures.loss_costs(tmp_path / "l.png", measurements)
    assert_whole_and_alone(tmp_path, "l", "embeddings of 16 numbers")
    (figure,) = figures
    drawn = [
        {line.get_label(): line.get_xydata().tolist() for line in axis.lines}
        for axis in figure.axes
    ]
    assert drawn == [
        {"tiles": [[256, 0.5], [512, 1]], "dense": [[256, 2]]},
        {"tiles": [[256, 4]]},
        {"tiles": [[512, 2]]},
        {},
    ]


@pytest.mark.parametrize("projection", ["PCA", "t-SNE"])
def test_embedding_maps(tmp_path, figures, representations, labels, projection):
    labels = np.append(labels[:-1], 0)
    if projection == "t-SNE":
        del representations["cross-entropy"]  # to save time
    pictures.embedding_maps(
        tmp_path / "e.png", representations, labels, CLASS_NAMES, points=20, projection=projection
    )
    assert_whole_and_alone(tmp_path, "e", "SupCon")
    (figure,) = figures
    chosen = sample(30, 20)
    assert [axis.get_title() for axis in figure.axes] == list(representations)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(CLASS_NAMES)
    for axis, vectors in zip(figure.axes, representations.values(), strict=True):
        drawn = [collection.get_offsets() for collection in axis.collections]
        assert [len(part) for part in drawn] == np.bincount(labels[chosen]).tolist()
        markers = {part.get_paths()[0].vertices.tobytes() for part in axis.collections}
        assert len(markers) == len(CLASS_NAMES)
        assert all(part.get_rasterized() for part in axis.collections)
        if projection == "PCA":
            units = vectors[chosen] / np.linalg.norm(vectors[chosen], axis=1, keepdims=True)
            left, sizes, _ = np.linalg.svd(units - units.mean(axis=0))
            expected = left[:, :2] * sizes[:2]
            for label, part in enumerate(drawn):
                rows = expected[labels[chosen] == label]
                np.testing.assert_allclose(np.abs(part), np.abs(rows), atol=1e-5)
            share = 100 * sizes[0] ** 2 / np.sum(sizes**2)
            assert axis.get_xlabel() == f"first component, {share:.0f} % of variance"


def test_a_single_map_fits_its_frame(tmp_path, figures, representations, labels):
    del representations["cross-entropy"]
    pictures.embedding_maps(
        tmp_path / "e.png", representations, labels, CLASS_NAMES, projection="PCA"
    )
    (axis,) = figures[0].axes
    points = np.concatenate([part.get_offsets() for part in axis.collections])
    for extent, limits in zip(
        np.ptp(points, axis=0), (axis.get_xlim(), axis.get_ylim()), strict=True
    ):
        assert extent < np.ptp(limits) < 1.25 * extent


def test_maps_side_by_side_have_equal_frames_around_their_points(
    tmp_path, figures, representations, labels
):
    pictures.embedding_maps(
        tmp_path / "e.png", representations, labels, CLASS_NAMES, projection="PCA"
    )
    axes = figures[0].axes
    (ratio,) = {axis.get_box_aspect() for axis in axes}
    for axis in axes:
        box = axis.get_window_extent()
        assert box.height / box.width == pytest.approx(ratio, rel=0.01)
        assert np.ptp(axis.get_ylim()) / np.ptp(axis.get_xlim()) == pytest.approx(ratio)
        points = np.concatenate([part.get_offsets() for part in axis.collections])
        margins = [
            1 - np.ptp(column) / np.ptp(limits)
            for column, limits in zip(points.T, (axis.get_xlim(), axis.get_ylim()), strict=True)
        ]
        assert min(margins) == pytest.approx(1 - 1 / 1.08)


def test_embedding_maps_of_many_classes_have_no_legend(tmp_path, figures, representations):
    names = [str(number) for number in range(30)]
    pictures.embedding_maps(
        tmp_path / "e.png", representations, np.arange(30), names, projection="PCA"
    )
    assert not figures[0].legends
    looks = {
        (part.get_facecolor().tobytes(), part.get_paths()[0].vertices.tobytes())
        for part in figures[0].axes[0].collections
    }
    assert len(looks) == 30


def test_unknown_projection(tmp_path, representations, labels):
    with pytest.raises(ValueError, match="`projection`.*'UMAP'"):
        pictures.embedding_maps(
            tmp_path / "e.png", representations, labels, CLASS_NAMES, projection="UMAP"
        )
    assert not list(tmp_path.iterdir())


def test_similarity_histograms(tmp_path, figures, representations, labels):
    pictures.similarity_histograms(tmp_path / "h.png", representations, labels)
    assert_whole_and_alone(tmp_path, "h", "pairs of the same class")
    (figure,) = figures
    for axis, (method, vectors) in zip(figure.axes, representations.items(), strict=True):
        cosines = naive_cosines(vectors)
        positive, negative = [], []
        for i in range(30):
            for j in range(i):
                (positive if labels[i] == labels[j] else negative).append(cosines[i][j])
        same, _, different, _ = axis.patches  # each filled, then outlined
        for patch, pairs in ((same, positive), (different, negative)):
            heights, edges, _ = patch.get_data()
            counts, _ = np.histogram(pairs, edges)
            assert counts.sum() == len(pairs)
            np.testing.assert_allclose(heights, 100 * counts / len(pairs), atol=1e-9)
        above = np.mean([p > n for p in positive for n in negative])
        assert axis.get_title() == f"{method}\nAUC {above:.3f}"
    assert different.get_hatch() and not same.get_hatch()


@pytest.mark.parametrize("labels", [[0] * 30, range(30)])
def test_similarity_histograms_need_both_kinds_of_pairs(tmp_path, representations, labels):
    with pytest.raises(ValueError, match="`labels` must contain two images of the same"):
        pictures.similarity_histograms(tmp_path / "h.png", representations, np.array(labels))


def test_nearest_neighbors(tmp_path, figures, representations, labels):
    images = np.random.default_rng(1).random([30, 4, 4, 1])
    pictures.nearest_neighbors(
        tmp_path / "n.png",
        representations,
        labels,
        CLASS_NAMES,
        images.__getitem__,
        queries=[2, 10],
        k=3,
    )
    assert_whole_and_alone(tmp_path, "n", "three words")
    (figure,) = figures
    assert [part.get_suptitle() for part in figure.subfigs] == list(representations)
    wrong = 0
    for part, vectors in zip(figure.subfigs, representations.values(), strict=True):
        cosines = naive_cosines(vectors)
        axes = np.reshape(part.axes, [2, 4])
        for query, row in zip([2, 10], axes, strict=True):
            others = sorted(set(range(30)) - {query}, key=lambda i: -cosines[query][i])  # noqa: B023
            for axis, shown in zip(row, [query, *others[:3]], strict=True):
                drawn = axis.images[0].get_array()
                np.testing.assert_array_equal(np.squeeze(drawn), images[shown, ..., 0])
                named = axis.get_xlabel().replace("\n", " ")
                framed = axis.spines["left"].get_visible()
                if labels[shown] == labels[query]:
                    assert not framed
                    assert named == (CLASS_NAMES[labels[query]] if shown == query else "")
                else:
                    wrong += 1
                    assert framed and axis.spines["left"].get_linestyle() != "-"
                    assert named == CLASS_NAMES[labels[shown]]
    assert 0 < wrong < 12
    (key,) = figure.legends
    assert [text.get_text() for text in key.get_texts()] == ["another class than the query"]


@pytest.mark.parametrize("k", [0, 30])
def test_too_many_neighbors(tmp_path, representations, labels, k):
    with pytest.raises(ValueError, match=f"`k` must be between 1.*Received: {k} of 29"):
        pictures.nearest_neighbors(
            tmp_path / "n.png", representations, labels, CLASS_NAMES, None, queries=[0], k=k
        )


def test_reliability_diagrams(tmp_path, figures, labels):
    rng = np.random.default_rng(2)
    probabilities = {name: rng.dirichlet([1, 1, 1], 30) for name in ("one", "other")}
    pictures.reliability_diagrams(tmp_path / "r.png", probabilities, labels, bins=5)
    assert_whole_and_alone(tmp_path, "r", "perfectly calibrated")
    (figure,) = figures
    uppers, lowers = figure.axes[:2], figure.axes[2:]
    for upper, lower, (name, rows) in zip(uppers, lowers, probabilities.items(), strict=True):
        confidence, right = rows.max(axis=1), rows.argmax(axis=1) == labels
        in_bin = [(confidence > m / 5) & (confidence <= (m + 1) / 5) for m in range(5)]
        counts, edges, _ = lower.patches[0].get_data()
        assert counts.tolist() == [chosen.sum() for chosen in in_bin]
        np.testing.assert_allclose(edges, [0, 0.2, 0.4, 0.6, 0.8, 1])
        drawn = upper.lines[1].get_xydata()
        error = 0
        for point, chosen in zip(drawn, in_bin, strict=True):
            if chosen.any():
                means = confidence[chosen].mean(), right[chosen].mean()
                np.testing.assert_allclose(point, means)
                error += chosen.mean() * abs(means[0] - means[1])
            else:
                assert np.isnan(point).all()
        assert upper.get_title() == f"{name}\nexpected calibration error {100 * error:.1f} %"


@pytest.mark.parametrize("logarithmic", [False, True])
def test_curves(tmp_path, figures, logarithmic):
    pictures.curves(
        tmp_path / "c.png",
        {"SupCon": [(0.5, 80, 2), (0.05, 70, None)], "cross-entropy": [(0.1, 60, None)]},
        "temperature",
        "accuracy, %",
        title="Ablation",
        logarithmic=logarithmic,
    )
    assert_whole_and_alone(tmp_path, "c", "accuracy, %")
    (figure,) = figures
    (axis,) = figure.axes
    assert axis.get_title() == "Ablation"
    first, second = axis.containers
    assert first.lines[0].get_xydata().tolist() == [[0.05, 70], [0.5, 80]]
    assert second.lines[0].get_xydata().tolist() == [[0.1, 60]]
    drawn = [bar for bar in first.lines[2][0].get_segments() if len(bar)]
    np.testing.assert_allclose(drawn, [[[0.5, 78], [0.5, 82]]])
    assert not second.lines[2]  # A line without deviations has no bars, also in the legend.
    assert first.lines[0].get_marker() != second.lines[0].get_marker()
    assert first.lines[0].get_linestyle() != second.lines[0].get_linestyle()
    ticks = [label.get_text() for label in axis.get_xticklabels()]
    assert (axis.get_xscale() == "log") == logarithmic
    assert (ticks == ["0.05", "0.1", "0.5"]) == logarithmic


@pytest.mark.parametrize("series", [{}, {"a": []}, {"a": [(0, 1, None)]}])
def test_curves_without_points(tmp_path, series):
    with pytest.raises(ValueError, match="`series` must have points.*Received"):
        pictures.curves(tmp_path / "c.png", series, "x", "y", logarithmic=True)
