"""tf.data pipelines in which every batch is a pure function of the seed and the step.

The order of an epoch is a permutation that is computed index by index. The randomness of a view
depends only on the seed, the epoch and the index of the image. The same seed therefore gives
bitwise the same batches, and a pipeline can start at any step without delay.
"""

import tensorflow as tf

from supcon_tf._checks import check_integer
from supcon_tf._tensorflow_internals import fold_in_each
from supcon_tf.augmentation import Transform, resize
from supcon_tf.data.sampling import balanced_sampler, permutation_sampler
from supcon_tf.data.sources import ImageSource

# Views are created for this many images at once, which bounds the memory of intermediate results on
# every core. A multiple of 16 puts each image at the same position within vector registers as in a
# whole batch. Some functions round differently at the end of a batch, where a register is not full.
CHUNK_SIZE = 64


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
    """Creates shuffled batches of several random views per image.

    Each epoch is a new permutation of the images, without the last partial batch.

    With `images_per_class`, every batch is sampled independently. It holds `images_per_class`
    different images from each of `batch_size / images_per_class` different classes. Use it for many
    classes or rare classes, where few images would have another image of their class in the batch.

    Examples:
        >>> import supcon_tf
        >>> images = supcon_tf.data.load_digits("train")
        >>> policy = supcon_tf.augmentation.crop_flip(8, flip=False)
        >>> batches = supcon_tf.data.multi_view_batches(images, policy, batch_size=256, epochs=2)
        >>> len(batches), batches.element_spec[0].shape
        (10, TensorShape([256, 2, 8, 8, 1]))

    Args:
        source: the labeled images.
        transform: transform from images to views.
        batch_size: number of images in a batch.
        epochs: number of passes over the images.
        num_views: number of views of each image.
        images_per_class: number of images of each class in a batch; `None` to sample regardless of
            class.
        seed: seed of the order and the views.
        start_step: number of batches to skip, counted from the start of the first epoch.
        input_context: context of one of several workers, see
            `supcon_tf.distribution.distribute_batches`. The dataset then holds only the rows of
            this worker's replicas, and each element is one replica's share of a batch. The rows
            equal those of the whole batch bitwise if a worker's share is a multiple of 16 images,
            and up to rounding otherwise.

    Returns:
        A dataset of `(views, labels)`: `[batch_size, num_views, height, width, channels]` float32
        in [0, 1] and `[batch_size]` int64. Its length is known.

    Raises:
        ValueError: if an argument is not as described, the batch is larger than the source, the
            number of replicas does not divide the batch size, or the source is unsuitable for
            `images_per_class`: it has too few classes, too few images of a class, or unlabeled
            images.
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
        sample = permutation_sampler(len(source), batch_size)
    else:
        sample = balanced_sampler(source.labels, batch_size, images_per_class)

    def sample_rows(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the images of this worker's rows, and a seed for each of them."""
        epoch, step_in_epoch = step // steps_per_epoch, step % steps_per_epoch
        order_seed, view_seed = tf.unstack(_split(tf.stack([tf.cast(seed, tf.int64), epoch])))
        indices = sample(step_in_epoch, order_seed)[first_row : first_row + rows]
        if images_per_class is not None:  # An image can occur several times in an epoch.
            view_seed = tf.random.experimental.stateless_fold_in(view_seed, step_in_epoch)
        return indices, fold_in_each(view_seed, indices)

    def create_views(indices: tf.Tensor, seeds: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        def draw(image_seed: tf.Tensor) -> tf.Tensor:
            return tf.random.stateless_uniform([num_views, transform.num_draws], image_seed)

        draws = tf.map_fn(draw, seeds, fn_output_signature=tf.float32)
        return source.views(indices, draws, transform), tf.gather(labels, indices)

    full_chunks, rest = divmod(rows, CHUNK_SIZE)
    chunk_sizes = [CHUNK_SIZE] * full_chunks + [rest] * (rest > 0)
    steps = tf.data.Dataset.range(start_step, total_steps)
    chunks = steps.map(sample_rows, tf.data.AUTOTUNE, deterministic=True).rebatch(chunk_sizes)
    views = chunks.map(create_views, tf.data.AUTOTUNE, deterministic=True)
    batches = views.rebatch(batch_size // replicas, drop_remainder=True)
    length = len(steps) * replicas // context.num_input_pipelines
    batches = batches.apply(tf.data.experimental.assert_cardinality(length))
    # Prefetch a single batch: more batches of large images would exceed the memory.
    return batches.prefetch(replicas // context.num_input_pipelines)


def image_batches(
    source: ImageSource, *, size: int, batch_size: int, short_side: int | None = None
) -> tf.data.Dataset:
    """Creates batches of center crops in the order of the source, for evaluation or embedding.

    Examples:
        >>> import supcon_tf
        >>> images = supcon_tf.data.load_digits("test")
        >>> batches = supcon_tf.data.image_batches(images, size=8, batch_size=100)
        >>> [len(labels) for _, labels in batches]
        [100, 100, 100, 60]

    Args:
        source: the labeled images.
        size: side in pixels of the central square that is cropped from each image.
        batch_size: number of images in a batch. The last batch can be smaller.
        short_side: length in pixels to which the short side is resized before the central square is
            cropped; `size` by default.

    Returns:
        A dataset of `(images, labels)`: `[batch, size, size, channels]` float32 in [0, 1] and
        `[batch]` int64.

    Raises:
        ValueError: if a number is out of range.
    """
    check_integer("size", size)
    check_integer("batch_size", batch_size)
    labels = tf.constant(source.labels)

    def create_batch(indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        no_draws = tf.zeros([tf.size(indices), 1, 0])
        no_draws = tf.ensure_shape(no_draws, [None, 1, 0])
        views = source.views(indices, no_draws, lambda images, _: resize(images, size, short_side))
        return views[:, 0], tf.gather(labels, indices)

    batches = tf.data.Dataset.range(len(source)).batch(batch_size)
    return batches.map(create_batch, tf.data.AUTOTUNE, deterministic=True).prefetch(
        tf.data.AUTOTUNE
    )


def flatten_views(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Converts batches of views to batches in which every view is an image with its own label.

    Examples:
        >>> import tensorflow as tf, supcon_tf
        >>> views = tf.data.Dataset.from_tensors((tf.zeros([4, 2, 8, 8, 1]), tf.range(4)))
        >>> images, labels = next(iter(supcon_tf.data.flatten_views(views)))
        >>> images.shape, labels.numpy().tolist()
        (TensorShape([8, 8, 8, 1]), [0, 0, 1, 1, 2, 2, 3, 3])

    Args:
        dataset: batches of `(views, labels)`, as from `multi_view_batches` or `mix_batches`.

    Returns:
        A dataset of `(images, labels)`: `[batch * views, height, width, channels]` and
        `[batch * views]`, or `[batch * views, classes]` if every view has its own label
        distribution. The views of a sample are adjacent.
    """

    def flatten(views: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images = tf.reshape(views, [-1, *views.shape[2:]])
        if labels.shape.rank == 3:
            return images, tf.reshape(labels, [-1, labels.shape[2]])
        return images, tf.ensure_shape(tf.repeat(labels, views.shape[1]), images.shape[:1])

    return dataset.map(flatten)


def _split(seed: tf.Tensor) -> tf.Tensor:
    """Returns two independent seeds, `[2, 2]`."""
    return tf.random.experimental.stateless_split(seed, 2)
