"""tf.data pipelines whose every batch is a pure function of the seed and the step.

The order of an epoch is a permutation computed index by index, and the randomness of a view depends
on the seed, the epoch and the image's index in the data set. So the same seed gives bitwise the
same batches, and a pipeline can start at any step at once.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from supcon_tf._checks import check_integer
from supcon_tf._tensorflow_internals import fold_in_each
from supcon_tf.augmentation import Transform, resize
from supcon_tf.data.sources import ImageSource

# Images of a batch whose views are made at once. All of a large batch, with what is between images
# and views, would need several times its memory on every core. A multiple of 16 leaves every image
# in the same place of vector registers as in a batch made at once: some functions round otherwise
# at the end of a batch, where a register is not full.
PIECE = 64


def multi_view_batches(
    source: ImageSource,
    transform: Transform,
    *,
    batch_size: int,
    epochs: int,
    num_views: int = 2,
    images_per_class: int | None = None,
    seed: int = 0,
    start_step: int = 0,
    input_context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Makes shuffled batches of several random views per image.

    Each epoch is a new permutation, without the images beyond its last full batch. With
    `images_per_class` every batch is drawn anew instead: so many different images of each of
    `batch_size / images_per_class` different classes. Where there are many classes or rare ones, an
    image would otherwise seldom meet another one of its class.

    Examples:
        >>> import supcon_tf
        >>> images = supcon_tf.data.load_digits("train")
        >>> policy = supcon_tf.augmentation.crop_flip(8, flip=False)
        >>> batches = supcon_tf.data.multi_view_batches(images, policy, batch_size=256, epochs=2)
        >>> len(batches), batches.element_spec[0].shape
        (10, TensorShape([256, 2, 8, 8, 1]))

    Args:
        source: the labeled images.
        transform: makes a view of an image.
        batch_size: images in a batch.
        epochs: how many times to go through the images.
        num_views: views of each image.
        images_per_class: `None`, or how many images of a class a batch holds, if any.
        seed: decides order and views.
        start_step: how many batches, counted from the first epoch on, to leave out.
        input_context: of several workers, see `supcon_tf.distribution.distribute_batches`. Then
            only the rows of this worker's replicas are made, and every element is what one replica
            gets of a batch. They are bitwise the rows of the whole batch where a worker's part is a
            multiple of 16 images, and elsewhere but for rounding.

    Returns:
        A dataset of `(views, labels)`: `[batch_size, num_views, height, width, channels]` float32
        in [0, 1] and `[batch_size]` int64. Its length is known.

    Raises:
        ValueError: if an argument is not as described, the batch is larger than the source, the
            replicas do not divide it, or the source has too few classes, or images of a class, or
            images without a label, for `images_per_class`.
    """
    for argument, value, least in (
        ("batch_size", batch_size, 1),
        ("epochs", epochs, 1),
        ("num_views", num_views, 1),
        ("start_step", start_step, 0),
    ):
        check_integer(argument, value, least)
    if not isinstance(source, ImageSource):
        raise ValueError(
            "`source` must be an ImageSource: wrap arrays in `supcon_tf.data.ArrayImages(images, "
            f"labels, class_names)`. Received: {type(source)}"
        )
    if not isinstance(getattr(transform, "num_draws", None), int):
        raise ValueError(
            "`transform` must be a transform of supcon_tf.augmentation, such as "
            f"`supcon_tf.augmentation.sim_augment(32)`. Received: {transform!r}"
        )
    if batch_size > len(source):
        raise ValueError(
            "`batch_size` must not exceed the number of images. "
            f"Received: batch_size={batch_size}, {len(source)} images"
        )
    context = input_context or tf.distribute.InputContext()
    replicas = context.num_replicas_in_sync
    if batch_size % replicas:
        raise ValueError(
            "`batch_size` must be a multiple of the number of replicas. "
            f"Received: batch_size={batch_size}, {replicas} replicas"
        )
    rows = batch_size // context.num_input_pipelines
    first_row = context.input_pipeline_id * rows
    steps_per_epoch = len(source) // batch_size
    total_steps = epochs * steps_per_epoch
    labels = tf.constant(source.labels)
    if images_per_class is None:
        choose = _permutation(len(source), batch_size)
    else:
        choose = _balanced(source.labels, batch_size, images_per_class)

    def choose_rows(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        epoch, step_in_epoch = step // steps_per_epoch, step % steps_per_epoch
        order_seed, view_seed = tf.unstack(_split(tf.stack([tf.cast(seed, tf.int64), epoch])))
        indices = choose(step_in_epoch, order_seed)[first_row : first_row + rows]
        if images_per_class is not None:  # an image may come several times in an epoch
            view_seed = tf.random.experimental.stateless_fold_in(view_seed, step_in_epoch)
        return indices, fold_in_each(view_seed, indices)

    def make_views(indices: tf.Tensor, seeds: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        def draw(image_seed: tf.Tensor) -> tf.Tensor:
            return tf.random.stateless_uniform([num_views, transform.num_draws], image_seed)

        draws = tf.map_fn(draw, seeds, fn_output_signature=tf.float32)
        return source.views(indices, draws, transform), tf.gather(labels, indices)

    whole_pieces, rest = divmod(rows, PIECE)
    pieces = [PIECE] * whole_pieces + [rest] * (rest > 0)
    steps = tf.data.Dataset.range(start_step, total_steps)
    chosen = steps.map(choose_rows, tf.data.AUTOTUNE, deterministic=True).rebatch(pieces)
    views = chosen.map(make_views, tf.data.AUTOTUNE, deterministic=True)
    batches = views.rebatch(batch_size // replicas, drop_remainder=True)
    length = len(steps) * replicas // context.num_input_pipelines
    batches = batches.apply(tf.data.experimental.assert_cardinality(length))
    # One batch waits while the next one is put together; of large images more would not fit.
    return batches.prefetch(replicas // context.num_input_pipelines)


# Both choose the images of a step of an epoch: int64 positions in the source.
_Choice = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def _permutation(images: int, batch_size: int) -> _Choice:
    def choose(step_in_epoch: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        positions = step_in_epoch * batch_size + tf.range(batch_size, dtype=tf.int64)
        return tf.random.experimental.index_shuffle(
            positions, seed, tf.constant(images - 1, tf.int64)
        )

    return choose


def _balanced(labels: NDArray[np.int64], batch_size: int, images_per_class: int) -> _Choice:
    if labels.min() < 0:
        raise ValueError(
            "`images_per_class` needs a label of every image. Received: "
            f"images_per_class={images_per_class}, {np.sum(labels < 0)} images without a label"
        )
    classes, counts = np.unique(labels, return_counts=True)
    num_classes = batch_size // images_per_class if images_per_class > 0 else 0
    if num_classes * images_per_class != batch_size or not 0 < num_classes <= len(classes):
        raise ValueError(
            "`images_per_class` must divide `batch_size` into no more parts than there are classes."
            f" Received: images_per_class={images_per_class}, batch_size={batch_size}, "
            f"{len(classes)} classes"
        )
    if counts.min() < images_per_class:
        raise ValueError(
            "`images_per_class` must not exceed the number of images of any class. Received: "
            f"images_per_class={images_per_class}, {counts.min()} images of class "
            f"{classes[counts.argmin()]}"
        )
    by_class = tf.constant(np.argsort(labels, kind="stable"), tf.int64)
    first = tf.constant(np.cumsum(counts) - counts, tf.int64)
    last = tf.constant(counts - 1, tf.int64)
    shuffle, fold_in = (
        tf.random.experimental.index_shuffle,
        tf.random.experimental.stateless_fold_in,
    )

    def choose(step_in_epoch: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        seed = fold_in(seed, step_in_epoch)
        parts = tf.range(num_classes, dtype=tf.int64)
        chosen = shuffle(parts, seed, tf.constant(len(classes) - 1, tf.int64))

        def images_of(number: tf.Tensor) -> tf.Tensor:
            within = tf.range(images_per_class, dtype=tf.int64)
            place = shuffle(within, fold_in(seed, number), last[number])
            return tf.gather(by_class, first[number] + place)

        return tf.reshape(tf.map_fn(images_of, chosen), [batch_size])

    return choose


def image_batches(
    source: ImageSource, *, size: int, batch_size: int, short_side: int | None = None
) -> tf.data.Dataset:
    """Makes batches of whole images in the order of the source, to evaluate or to embed.

    Examples:
        >>> import supcon_tf
        >>> images = supcon_tf.data.load_digits("test")
        >>> batches = supcon_tf.data.image_batches(images, size=8, batch_size=100)
        >>> [len(labels) for _, labels in batches]
        [100, 100, 100, 60]

    Args:
        source: the labeled images.
        size: side in pixels of the central square that is kept.
        batch_size: images in a batch; the last one may hold fewer.
        short_side: what an image's short side is resized to before; `size` by default.

    Returns:
        A dataset of `(images, labels)`: `[batch, size, size, channels]` float32 in [0, 1] and
        `[batch]` int64.

    Raises:
        ValueError: if a number is out of range.
    """
    check_integer("size", size)
    check_integer("batch_size", batch_size)
    labels = tf.constant(source.labels)

    def make_batch(indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        no_draws = tf.zeros([tf.size(indices), 1, 0])
        no_draws = tf.ensure_shape(no_draws, [None, 1, 0])
        views = source.views(indices, no_draws, lambda images, _: resize(images, size, short_side))
        return views[:, 0], tf.gather(labels, indices)

    batches = tf.data.Dataset.range(len(source)).batch(batch_size)
    return batches.map(make_batch, tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def flatten_views(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Makes every view an image of its own with its sample's label.

    Examples:
        >>> import tensorflow as tf, supcon_tf
        >>> views = tf.data.Dataset.from_tensors((tf.zeros([4, 2, 8, 8, 1]), tf.range(4)))
        >>> images, labels = next(iter(supcon_tf.data.flatten_views(views)))
        >>> images.shape, labels.numpy().tolist()
        (TensorShape([8, 8, 8, 1]), [0, 0, 1, 1, 2, 2, 3, 3])

    Args:
        dataset: `(views, labels)` as `multi_view_batches` or `mix_batches` give them.

    Returns:
        A dataset of `(images, labels)`: `[batch * views, height, width, channels]` and
        `[batch * views]`, or `[batch * views, classes]` if every view has its own label
        distribution; the views of a sample together.
    """

    def flatten(views: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images = tf.reshape(views, [-1, *views.shape[2:]])
        if labels.shape.rank == 3:
            return images, tf.reshape(labels, [-1, labels.shape[2]])
        return images, tf.ensure_shape(tf.repeat(labels, views.shape[1]), images.shape[:1])

    return dataset.map(flatten)


def _split(seed: tf.Tensor) -> tf.Tensor:
    """Two independent seeds from one."""
    return tf.random.experimental.stateless_split(seed, 2)
