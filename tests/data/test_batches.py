import numpy as np
import pytest
import tensorflow as tf

from supcon_tf import augmentation
from supcon_tf.data import (
    ArrayImages,
    batches_from_step,
    evaluation_batches,
    flatten_views,
    multi_view_batches,
)
from supcon_tf.data.batches import CHUNK_SIZE


def indexed_images(images=10):
    """Images whose brightness is their index, of class index modulo 3."""
    pixels = np.tile(np.arange(images, dtype=np.uint8)[:, None, None, None], [1, 4, 4, 1])
    return ArrayImages(pixels, np.arange(images) % 3, ["a", "b", "c"])


POLICY = augmentation.RandomResizedCrop(4)
JITTER = augmentation.sim_augment(4)
# No two of its views are equal. Small images have only few different crops of whole pixels.
BRIGHTNESS = augmentation.ColorJitter(probability=1.0)


def indices(views):
    return np.round(views[..., 0, 0, 0].numpy() * 255).astype(int)


def test_an_epoch_is_a_permutation_of_images_with_their_views_and_labels():
    dataset = multi_view_batches(indexed_images(), POLICY, batch_size=5)
    assert len(dataset) == 2
    epochs = []
    for views, labels in [batch for _ in range(3) for batch in dataset]:
        assert views.shape == (5, 2, 4, 4, 1)
        shown = indices(views)
        np.testing.assert_array_equal(shown[:, 0], shown[:, 1])
        np.testing.assert_array_equal(labels, shown[:, 0] % 3)
        epochs.append(shown[:, 0])
    orders = np.concatenate(epochs).reshape(3, 10)
    for order in orders:
        assert sorted(order) == list(range(10))
    assert len({tuple(order) for order in orders}) == 3


def test_the_last_partial_batch_is_dropped():
    dataset = multi_view_batches(indexed_images(), POLICY, batch_size=4)
    assert len(dataset) == len(list(dataset)) == 2
    assert dataset.element_spec[0].shape == (4, 2, 4, 4, 1)


@pytest.mark.slow
def test_the_same_seed_gives_bitwise_the_same_batches():
    def dataset(seed=7):
        return multi_view_batches(indexed_images(), JITTER, batch_size=5, num_views=3, seed=seed)

    def arrays(batches):
        return [(views.numpy(), labels.numpy()) for views, labels in batches]

    passes = dataset()
    first = [*arrays(passes), *arrays(passes)]
    assert not np.array_equal(first[0][0], arrays(dataset(seed=0))[0][0])
    # Batches from the middle on continue like those from the beginning.
    later = arrays(batches_from_step(passes, 1).take(3))
    for (views, labels), (same_views, same_labels) in zip(first[1:], later, strict=True):
        np.testing.assert_array_equal(views, same_views)
        np.testing.assert_array_equal(labels, same_labels)


def imbalanced_images():
    """60 images of class 0, 8 of class 1, 4 of each other class. The first pixel is the index."""
    labels = np.repeat([0, 1, 2, 3, 4], [60, 8, 4, 4, 4])
    pixels = np.random.default_rng(0).integers(0, 256, [80, 8, 8, 1], dtype=np.uint8)
    pixels[:, 0, 0, 0] = np.arange(80)
    return ArrayImages(pixels, labels, list("abcde"))


def whole(images, _):
    return images


whole.num_draws = 0


def balanced(transform=POLICY, **arguments):
    arguments = {"batch_size": 12, "images_per_class": 4, **arguments}
    return multi_view_batches(imbalanced_images(), transform, **arguments)


def test_balanced_batches_contain_different_images_of_different_classes():
    dataset = balanced(whole)
    assert dataset.element_spec[0].shape == (12, 2, 8, 8, 1)
    assert len(dataset) == 80 // 12
    times = np.zeros(80, int)
    for views, labels in batches_from_step(dataset, 0).take(240):
        shown = indices(views)[:, 0]
        assert len(set(shown)) == 12
        np.testing.assert_array_equal(labels, imbalanced_images().labels[shown])
        assert sorted(np.unique(labels, return_counts=True)[1]) == [4, 4, 4]
        times[shown] += 1
    of_classes = np.array([x.sum() for x in np.split(times, [60, 68, 72, 76])])
    np.testing.assert_allclose(of_classes, np.full(5, 240 * 12 / 5), rtol=0.15)
    assert times.min() > 0


@pytest.mark.slow
def test_balanced_batches_are_a_function_of_seed_and_step():
    batches = [x.numpy() for x, _ in batches_from_step(balanced(BRIGHTNESS), 0).take(12)]
    later = [x.numpy() for x, _ in batches_from_step(balanced(BRIGHTNESS), 5).take(7)]
    for actual, expected in zip(later, batches[5:], strict=True):
        np.testing.assert_array_equal(actual, expected)
    other = next(iter(balanced(BRIGHTNESS, seed=1)))[0].numpy()
    assert not np.array_equal(other, batches[0])
    # Images of small classes occur repeatedly, in new views.
    views = np.concatenate(batches).reshape(-1, 64)
    assert len(np.unique(views, axis=0)) == len(views)


def test_a_class_with_fewer_images_repeats_them_in_other_views():
    views, labels = next(iter(balanced(BRIGHTNESS, batch_size=50, images_per_class=10)))
    assert list(np.unique(labels, return_counts=True)[1]) == [10] * 5
    assert len({view.numpy().tobytes() for view in tf.reshape(views, [100, 64])}) == 100
    shown = indices(next(iter(balanced(whole, batch_size=50, images_per_class=10)))[0])[:, 0]
    times = np.unique(shown[np.isin(shown, range(68, 80))], return_counts=True)[1]
    assert sorted(times) == [2] * 6 + [3] * 6


@pytest.mark.parametrize(
    ("images_per_class", "message"),
    [
        (5, "must divide `batch_size`.*images_per_class=5, batch_size=12, 5 classes"),
        (2, "must not exceed the number of classes"),
        (0, "images_per_class=0"),
    ],
)
def test_bad_balanced_batches(images_per_class, message):
    with pytest.raises(ValueError, match=message):
        balanced(images_per_class=images_per_class)


def test_balanced_batches_need_all_labels():
    images = indexed_images()
    images.labels[3] = -1
    with pytest.raises(
        ValueError, match="`images_per_class` requires a label for every image.* 1 unl"
    ):
        multi_view_batches(images, POLICY, batch_size=2, images_per_class=1)


@pytest.mark.slow
def test_views_depend_on_epoch_image_and_view_but_not_on_the_batch():
    noise = np.random.default_rng(0).integers(0, 255, [6, 8, 8, 1]).astype(np.uint8)
    source = ArrayImages(noise, np.arange(6), list("abcdef"))

    def views_by_image(batches):
        return {int(n): view for views, ns in batches for view, n in zip(views, ns, strict=True)}

    first, second = batches_from_step(multi_view_batches(source, JITTER, batch_size=6), 0).take(2)
    together, later = views_by_image([first]), views_by_image([second])
    alone = views_by_image(multi_view_batches(source, JITTER, batch_size=1))
    for image in range(6):
        np.testing.assert_allclose(together[image], alone[image], atol=1e-6)
        assert not np.allclose(together[image][0], together[image][1])
    assert not any(np.allclose(together[image], later[image]) for image in range(6))


class Noise(ArrayImages):
    """Noisy images whose label is their index. The source records the indices that it reads."""

    def __init__(self, images):
        pixels = np.random.default_rng(0).integers(0, 256, [images, 8, 8, 3], dtype=np.uint8)
        super().__init__(pixels, np.arange(images), [str(k) for k in range(images)])
        self.read = []

    def views(self, indices, draws, transform):
        def record(indices):
            self.read.append(indices)
            return indices

        shape = indices.shape
        indices = tf.ensure_shape(tf.numpy_function(record, [indices], indices.dtype), shape)
        return super().views(indices, draws, transform)


def draw_one_by_one(source, epoch, batch_size, seed):
    """The images of the first batch of an epoch, and random numbers drawn image by image."""
    order, views = tf.random.experimental.stateless_split(tf.constant([seed, epoch], tf.int64), 2)
    places = tf.range(batch_size, dtype=tf.int64)
    indices = tf.random.experimental.index_shuffle(places, order, np.int64(len(source) - 1))
    seeds = [tf.random.experimental.stateless_fold_in(views, index) for index in indices]
    draws = [tf.random.stateless_uniform([2, JITTER.num_draws], seed) for seed in seeds]
    return indices, tf.stack(draws)


# Less than a chunk, and full chunks with a rest that is no multiple of a vector register.
@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [20, 2 * CHUNK_SIZE + 21])
def test_chunks_equal_the_batch_created_at_once_bitwise(batch_size):
    source = Noise(batch_size + 1)
    dataset = multi_view_batches(source, JITTER, batch_size=batch_size, seed=3)
    assert dataset.element_spec[0].shape == (batch_size, 2, 4, 4, 3)
    drawn = [draw_one_by_one(source, epoch, batch_size, seed=3) for epoch in range(2)]
    # Outside a pipeline, TensorFlow optimizes arithmetic differently.
    at_once = tf.data.Dataset.from_tensor_slices(tuple(map(tf.stack, zip(*drawn, strict=True))))
    at_once = at_once.map(lambda *drawn: ArrayImages.views(source, *drawn, JITTER))
    batches = batches_from_step(dataset, 0).take(2)
    for (views, labels), (indices, _), expected in zip(batches, drawn, at_once, strict=True):
        np.testing.assert_array_equal(labels, indices)
        np.testing.assert_array_equal(views, expected)
    sizes = {len(read) for read in source.read}
    assert max(sizes) == min(batch_size, CHUNK_SIZE)


def test_chunks_are_joined_without_errors_in_the_log(capfd):
    list(multi_view_batches(indexed_images(160), POLICY, batch_size=160))
    assert "SubBuffer" not in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("images_per_class", [None, 1])
def test_each_worker_creates_only_its_rows_of_every_batch(images_per_class):
    def batches(source, **arguments):
        return multi_view_batches(
            source,
            JITTER,
            batch_size=192,
            images_per_class=images_per_class,
            **arguments,
        )

    whole = list(batches_from_step(batches(Noise(400)), 0).take(4))
    for worker in range(2):
        source = Noise(400)
        own = batches(source, input_context=tf.distribute.InputContext(2, worker, 4))
        assert own.element_spec[0].shape == (48, 2, 4, 4, 3)
        assert len(own) == 2 * 2
        parts = [*own, *own]
        for step, (views, labels) in enumerate(whole):
            rows = slice(96 * worker, 96 * (worker + 1))
            shares = parts[2 * step : 2 * step + 2]
            np.testing.assert_array_equal(np.concatenate([x for x, _ in shares]), views[rows])
            np.testing.assert_array_equal(np.concatenate([n for _, n in shares]), labels[rows])
        assert sum(len(read) for read in source.read) == 4 * 96


def test_replicas_must_divide_the_batch():
    context = tf.distribute.InputContext(1, 0, 2)
    with pytest.raises(ValueError, match="Received: batch_size=5, 2 replicas"):
        multi_view_batches(indexed_images(), POLICY, batch_size=5, input_context=context)


def test_flatten_views():
    dataset = multi_view_batches(indexed_images(), POLICY, batch_size=5, num_views=3)
    flat = flatten_views(dataset)
    assert len(flat) == 2
    (views, labels), *_ = dataset
    (images, repeated), *_ = flat
    np.testing.assert_array_equal(images, tf.reshape(views, [15, 4, 4, 1]))
    np.testing.assert_array_equal(repeated, np.repeat(labels, 3))


def test_flatten_views_with_a_label_for_each_view():
    views = np.arange(2 * 3 * 4).reshape(2, 3, 2, 2, 1)
    labels = np.arange(2 * 3 * 5).reshape(2, 3, 5)
    dataset = tf.data.Dataset.from_tensors((views, labels))
    ((images, rows),) = flatten_views(dataset)
    np.testing.assert_array_equal(images, views.reshape(6, 2, 2, 1))
    np.testing.assert_array_equal(rows, labels.reshape(6, 5))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be an integer of at least 1. Received: 0"),
        ({"batch_size": 11}, "`batch_size`.*Received: batch_size=11, 10 images"),
        ({"num_views": 0}, "`num_views`"),
        ({"seed": None}, "`seed` must be an integer of at least 0"),
        (
            {"source": np.zeros([10, 4, 4, 1], "uint8")},
            "`source`.*ArrayImages.*Received: .*ndarray",
        ),
        ({"transform": "sim_augment"}, "`transform`.*sim_augment.*Received: 'sim_augment'"),
        ({"transform": tf.identity}, "`transform`.*Received: <function"),
    ],
)
def test_bad_arguments(arguments, message):
    good = {"source": indexed_images(), "transform": POLICY, "batch_size": 5}
    with pytest.raises(ValueError, match=message):
        multi_view_batches(**{**good, **arguments})


@pytest.mark.parametrize("argument", ["size", "batch_size"])
def test_bad_image_batches(argument):
    with pytest.raises(ValueError, match=f"`{argument}` must be an integer.*Received: 0"):
        evaluation_batches(indexed_images(), **{"size": 4, "batch_size": 2, argument: 0})


def test_evaluation_batches_by_number():
    batches = evaluation_batches(indexed_images(), size=4, batch_size=4, batches=[2, 0])
    (last, last_labels), (first, first_labels) = batches
    assert indices(last).tolist() == [8, 9]
    assert indices(first).tolist() == [0, 1, 2, 3]
    assert [*last_labels, *first_labels] == [2, 0, 0, 1, 2, 0]
    assert len(evaluation_batches(indexed_images(), size=4, batch_size=4, batches=[])) == 0


@pytest.mark.parametrize("batches", [[3], [-1], [0.5], [[0]]])
def test_bad_batch_numbers(batches):
    with pytest.raises(ValueError, match="`batches` must be.*integers from 0 to 2. Received"):
        evaluation_batches(indexed_images(), size=4, batch_size=4, batches=batches)
