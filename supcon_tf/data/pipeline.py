"""tf.data pipelines whose every batch is a pure function of the seed and the step.

The order of an epoch is a permutation computed index by index, and the randomness of a view depends
on the seed, the epoch and the image's index in the data set. So the same seed gives bitwise the
same batches, and a pipeline can start at any step at once.
"""

import tensorflow as tf

from supcon_tf.augmentation import Transform, resize
from supcon_tf.data.sources import ImageSource


def multi_view_batches(
    source: ImageSource,
    transform: Transform,
    *,
    batch_size: int,
    epochs: int,
    num_views: int = 2,
    seed: int = 0,
    start_step: int = 0,
) -> tf.data.Dataset:
    """Makes shuffled batches of several random views per image.

    Each epoch is a new permutation, without the images beyond its last full batch.

    Args:
        source: the labelled images.
        transform: makes a view of an image.
        batch_size: images in a batch.
        epochs: how many times to go through the images.
        num_views: views of each image.
        seed: decides order and views.
        start_step: how many batches, counted from the first epoch on, to leave out.

    Returns:
        A dataset of `(views, labels)`: `[batch_size, num_views, height, width, channels]` float32
        in [0, 1] and `[batch_size]` int64. Its length is known.

    Raises:
        ValueError: if a number is out of range or the batch is larger than the source.
    """
    for argument, value, least in (
        ("batch_size", batch_size, 1),
        ("epochs", epochs, 1),
        ("num_views", num_views, 1),
        ("start_step", start_step, 0),
    ):
        if value < least:
            raise ValueError(f"`{argument}` must be at least {least}. Received: {value}")
    if batch_size > len(source):
        raise ValueError(
            "`batch_size` must not exceed the number of images. "
            f"Received: batch_size={batch_size}, {len(source)} images"
        )
    steps_per_epoch = len(source) // batch_size
    total_steps = epochs * steps_per_epoch
    labels = tf.constant(source.labels)

    def make_batch(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        epoch, step_in_epoch = step // steps_per_epoch, step % steps_per_epoch
        order_seed, view_seed = tf.unstack(_split(tf.stack([tf.cast(seed, tf.int64), epoch])))
        positions = step_in_epoch * batch_size + tf.range(batch_size, dtype=tf.int64)
        indices = tf.random.experimental.index_shuffle(
            positions, order_seed, tf.constant(len(source) - 1, tf.int64)
        )

        def draw(index: tf.Tensor) -> tf.Tensor:
            image_seed = tf.random.experimental.stateless_fold_in(view_seed, index)
            return tf.random.stateless_uniform([num_views, transform.num_draws], image_seed)

        draws = tf.map_fn(draw, indices, fn_output_signature=tf.float32)
        return source.views(indices, draws, transform), tf.gather(labels, indices)

    steps = tf.data.Dataset.range(start_step, total_steps)
    return steps.map(make_batch, tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def image_batches(source: ImageSource, *, size: int, batch_size: int) -> tf.data.Dataset:
    """Makes batches of whole images in the order of the source, to evaluate or to embed.

    Args:
        source: the labelled images.
        size: side in pixels; the short side is resized to it and the central square kept.
        batch_size: images in a batch; the last one may hold fewer.

    Returns:
        A dataset of `(images, labels)`: `[batch, size, size, channels]` float32 in [0, 1] and
        `[batch]` int64.
    """
    labels = tf.constant(source.labels)

    def make_batch(indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        no_draws = tf.zeros([tf.size(indices), 1, 0])
        no_draws = tf.ensure_shape(no_draws, [None, 1, 0])
        views = source.views(indices, no_draws, lambda images, _: resize(images, size))
        return views[:, 0], tf.gather(labels, indices)

    batches = tf.data.Dataset.range(len(source)).batch(batch_size)
    return batches.map(make_batch, tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def flatten_views(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Makes every view an image of its own with its sample's label.

    Args:
        dataset: `(views, labels)` as `multi_view_batches` gives them.

    Returns:
        A dataset of `(images, labels)`: `[batch * views, height, width, channels]` and
        `[batch * views]`, the views of a sample together.
    """

    def flatten(views: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images = tf.reshape(views, [-1, *views.shape[2:]])
        return images, tf.ensure_shape(tf.repeat(labels, views.shape[1]), images.shape[:1])

    return dataset.map(flatten)


def _split(seed: tf.Tensor) -> tf.Tensor:
    """Two independent seeds from one."""
    return tf.random.experimental.stateless_split(seed, 2)
