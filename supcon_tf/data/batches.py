"""tf.data pipelines in which every batch is a pure function of the seed and the step.

The order of an epoch is a permutation that is computed index by index. The randomness of a view
depends only on the seed, the epoch and the index of the image. The same seed therefore gives
bitwise the same batches, and training can resume at any step without delay.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from supcon_tf._checks import check_integer
from supcon_tf._epochs import LocalEpochs, epoch_dataset, find_epochs, map_epochs
from supcon_tf._tensorflow_internals import fold_in_each
from supcon_tf.augmentation import Transform, resize
from supcon_tf.data.indexed_images import IndexedImages
from supcon_tf.data.sampling import balanced_sampler, block_sampler, permutation_sampler
from supcon_tf.data.sources import ImageSource, Source
from supcon_tf.data.windows import read_windows

# Views are created for this many images at once, which bounds the memory of intermediate results on
# every core. A multiple of 16 puts each image at the same position within vector registers as in a
# whole batch. Some functions round differently at the end of a batch, where a register is not full.
CHUNK_SIZE = 64

# A transform of images, or a function of a sample and a seed for a `TensorSource`.
_Transform = Transform | Callable[[Any, tf.Tensor], Any]


def multi_view_batches(
    source: Source,
    transform: _Transform | Sequence[_Transform],
    *,
    batch_size: int,
    num_views: int | Sequence[int] = 2,
    images_per_class: int | None = None,
    shuffle_buffer: int | None = None,
    seed: int = 0,
    input_context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Creates shuffled batches of several random views per image.

    The dataset has the batches of one epoch: a permutation of the images, without the last partial
    batch. Every pass over it is the next epoch, with new views in a new order. In `fit` of this
    library's models, the number of the epoch determines its views, so that a training that resumes
    or starts at `initial_epoch` continues exactly. Elsewhere, the dataset counts its passes; use
    `batches_from_step` to resume.

    With `images_per_class`, an epoch is not a permutation: every batch is sampled independently. It
    holds `images_per_class` images from each of `batch_size / images_per_class` different classes.
    The images of a class are different; a class with fewer images repeats them with other views.
    Use it for many classes or rare classes, where few images would have another image of their
    class in the batch.

    With `shuffle_buffer`, images that are stored side by side are read together, which object
    stores and hard disks do much faster than reading images in random order. Blocks of at least 64
    adjacent images are read in random order, and the images are shuffled within as many blocks as
    the buffer holds. Adjacent images then occur in the same few batches, so the order of the stored
    images should be random. In particular, they should not be sorted by class.

    With several transforms, views have several sizes (multi-crop, Caron et al., "SwAV", 2020,
    https://arxiv.org/abs/2006.09882), which `SupConModel` takes as they are. The views of the first
    transform equal those without the others. Images are decoded once for each transform, and
    without `shuffle_buffer` also read.

    Examples:
        >>> import supcon_tf
        >>> images = supcon_tf.data.load_digits("train")
        >>> policy = supcon_tf.augmentation.crop_flip(8, flip=False)
        >>> views = supcon_tf.data.multi_view_batches(images, policy, batch_size=256)
        >>> len(views), views.element_spec[0].shape
        (5, TensorShape([256, 2, 8, 8, 1]))

    Args:
        source: the labeled images, or samples of another kind in a `TensorSource`.
        transform: transform from images to views, such as `supcon_tf.augmentation.sim_augment(32)`.
            For a `TensorSource`, a function of a sample and a seed. For views of several sizes, a
            list of transforms, one for each size.
        batch_size: number of images in a batch.
        num_views: number of views of each image; for a list of transforms, a list with the number
            of each.
        images_per_class: number of images of each class in a batch; `None` to sample regardless of
            class.
        shuffle_buffer: number of images that are read at once, rounded down to whole batches, for a
            source that reads images by their indices, such as that of `load_tfrecords`. Up to two
            buffers of encoded images are in memory. `None` reads the images in the order of a
            permutation of all.
        seed: seed of the order and the views, an integer of at least 0.
        input_context: context of one of several workers, see
            `supcon_tf.distribution.distribute_batches`. The dataset then holds only the rows of
            this worker's replicas, and each element is one replica's share of a batch. The rows
            equal those of the whole batch bitwise if a worker's share is a multiple of 16 images,
            and up to rounding otherwise.

    Returns:
        A dataset of `(views, labels)`: `[batch_size, num_views, height, width, channels]` float32
        in [0, 1] and `[batch_size]` int64 class ids. If the source has label distributions, the
        labels are `[batch_size, classes]` float32, for `GeneralizedSupConLoss`. For a
        `TensorSource`, the views have the structure that `transform` returns. For a list of
        transforms, `views` is a tuple of the views of each. The length is the number of steps of an
        epoch.

    Raises:
        ValueError: if an argument is not as described, the batch is larger than the source, the
            number of replicas does not divide the batch size, or the source is unsuitable for
            `images_per_class`, because it has too few classes, unlabeled images or label
            distributions, or for `shuffle_buffer`.
    """
    check_integer("batch_size", batch_size)
    check_integer("seed", seed, least=0)
    if not isinstance(source, Source):
        raise ValueError(
            "`source` must be a Source: wrap arrays in `supcon_tf.data.ArrayImages(images, labels, "
            "class_names)`, or in `TensorSource` if they hold no images. "
            f"Received: {type(source)}"
        )
    sizes = _pair_transforms_and_numbers(transform, num_views)
    for transform_of_size, _ in sizes:
        source.check_transform(transform_of_size)
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
    labels = tf.constant(source.labels)
    if shuffle_buffer is not None:
        _check_shuffle_buffer(shuffle_buffer, batch_size, images_per_class, source)
        sample = block_sampler(len(source), batch_size, shuffle_buffer // batch_size)
    elif images_per_class is None:
        sample = permutation_sampler(len(source), batch_size)
    else:
        sample = balanced_sampler(source.labels, batch_size, images_per_class)

    # Several datasets contain these functions: tf.function traces them once.
    @tf.function
    def sample_rows(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns the images of this worker's rows, a seed for each of them, and their labels."""
        epoch, step_in_epoch = step // steps_per_epoch, step % steps_per_epoch
        order_seed, view_seed = tf.unstack(_split(tf.stack([tf.cast(seed, tf.int64), epoch])))
        indices, occurrences = (
            x[first_row : first_row + rows] for x in sample(step_in_epoch, order_seed)
        )
        if images_per_class is not None:  # An image can occur several times in an epoch.
            view_seed = tf.random.experimental.stateless_fold_in(view_seed, step_in_epoch)
        return indices, fold_in_each(view_seed, occurrences), tf.gather(labels, indices)

    create: Callable[[tf.Tensor, tf.Tensor, int, Any], Any]
    if isinstance(source, IndexedImages) and shuffle_buffer is not None:
        create = source.create_views_of_contents
        rows_between = read_windows(
            source.read_in_order,
            sample_rows,
            labels.dtype,
            steps_per_epoch,
            shuffle_buffer // batch_size,
        )
    else:
        create = source.create_views

        def rows_between(first_step: tf.Tensor, last_step: tf.Tensor) -> tf.data.Dataset:
            steps = tf.data.Dataset.range(first_step, last_step)
            return steps.map(sample_rows, tf.data.AUTOTUNE, deterministic=True)

    @tf.function
    def create_views(
        images: tf.Tensor, seeds: tf.Tensor, labels: tf.Tensor
    ) -> tuple[Any, tf.Tensor]:
        views = tuple(
            create(images, _seeds_of_size(seeds, number), num_views_of_size, transform_of_size)
            for number, (transform_of_size, num_views_of_size) in enumerate(sizes)
        )
        # TensorFlow logs an error for each chunk if `rebatch` joins slices of one tensor again.
        labels = tf.raw_ops.DeepCopy(x=labels)
        return (views if isinstance(transform, (list, tuple)) else views[0]), labels

    full_chunks, rest = divmod(rows, CHUNK_SIZE)
    chunk_sizes = [CHUNK_SIZE] * full_chunks + [rest] * (rest > 0)
    shares = replicas // context.num_input_pipelines  # of this worker in a batch

    def batches_between(first_step: tf.Tensor, last_step: tf.Tensor) -> tf.data.Dataset:
        chunks = rows_between(first_step, last_step).rebatch(chunk_sizes)
        views = chunks.map(create_views, tf.data.AUTOTUNE, deterministic=True)
        batches = views.rebatch(batch_size // replicas, drop_remainder=True)
        # Prefetch a single batch: more batches of large images would exceed the memory.
        return batches.prefetch(shares)

    return epoch_dataset(LocalEpochs(steps_per_epoch, batches_between, shares))


def training_batches(
    source: Source,
    transform: _Transform,
    *,
    batch_size: int,
    shuffle_buffer: int | None = None,
    seed: int = 0,
    input_context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Creates shuffled batches of one random view per image, to train a classifier.

    Every pass over the dataset is the next epoch, as with `multi_view_batches`. To evaluate a
    model, use `evaluation_batches`.

    Examples:
        >>> import supcon_tf
        >>> images = supcon_tf.data.load_digits("train")
        >>> policy = supcon_tf.augmentation.crop_flip(8, flip=False)
        >>> batches = supcon_tf.data.training_batches(images, policy, batch_size=256)
        >>> len(batches), batches.element_spec[0].shape
        (5, TensorShape([256, 8, 8, 1]))

    Args:
        source: as in `multi_view_batches`.
        transform: a single one, as in `multi_view_batches`.
        batch_size: number of images in a batch.
        shuffle_buffer: as in `multi_view_batches`.
        seed: seed of the order and the views.
        input_context: as in `multi_view_batches`.

    Returns:
        A dataset of `(images, labels)`: `[batch_size, height, width, channels]` float32 in [0, 1]
        and labels as in `multi_view_batches`. For a `TensorSource`, the images have the structure
        that `transform` returns.

    Raises:
        ValueError: as in `multi_view_batches`.
    """
    views = multi_view_batches(
        source,
        transform,
        batch_size=batch_size,
        num_views=1,
        shuffle_buffer=shuffle_buffer,
        seed=seed,
        input_context=input_context,
    )
    return map_batches(
        views, lambda views, labels: (tf.nest.map_structure(lambda x: x[:, 0], views), labels)
    )


def evaluation_batches(
    source: ImageSource,
    *,
    size: int,
    batch_size: int,
    short_side: int | None = None,
    batches: ArrayLike | None = None,
) -> tf.data.Dataset:
    """Creates batches of center crops in the order of the source, for evaluation or embedding.

    Examples:
        >>> import supcon_tf
        >>> images = supcon_tf.data.load_digits("test")
        >>> batches = supcon_tf.data.evaluation_batches(images, size=8, batch_size=100)
        >>> [len(labels) for _, labels in batches]
        [100, 100, 100, 60]
        >>> rest = supcon_tf.data.evaluation_batches(images, size=8, batch_size=100, batches=[2, 3])
        >>> [len(labels) for _, labels in rest]
        [100, 60]

    Args:
        source: the labeled images.
        size: side in pixels of the central square that is cropped from each image.
        batch_size: number of images in a batch. The last batch can be smaller.
        short_side: length in pixels to which the short side is resized before the central square is
            cropped; `size` by default.
        batches: numbers of the batches to create, from 0; all batches by default. The images of
            other batches are not read.

    Returns:
        A dataset of `(images, labels)`: `[batch, size, size, channels]` float32 in [0, 1] and
        `[batch]` int64 class ids or, if the source has them, `[batch, classes]` float32 label
        distributions.

    Raises:
        ValueError: if a number is out of range.
    """
    check_integer("size", size)
    check_integer("batch_size", batch_size)
    labels = tf.constant(source.labels)
    number_of_batches = -(-len(source) // batch_size)
    if batches is None:
        numbers = tf.data.Dataset.range(number_of_batches)
    else:
        numbers = tf.data.Dataset.from_tensor_slices(
            _check_batch_numbers(batches, number_of_batches)
        )

    def create_batch(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        first = number * batch_size
        indices = tf.range(first, tf.minimum(first + batch_size, len(source)))
        no_draws = tf.zeros([tf.size(indices), 1, 0])
        no_draws = tf.ensure_shape(no_draws, [None, 1, 0])
        views = source.views(indices, no_draws, lambda images, _: resize(images, size, short_side))
        return views[:, 0], tf.gather(labels, indices)

    return numbers.map(create_batch, tf.data.AUTOTUNE, deterministic=True).prefetch(
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
        `[batch * views]`, or `[batch * views, classes]` for label distributions of samples or of
        views. The views of a sample are adjacent.

    Raises:
        ValueError: if the views are not one array.
    """

    def flatten(views: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        if tf.nest.is_nested(views):
            raise ValueError(
                "`dataset` must hold the views in one array, and not in several sizes or inputs. "
                f"Received: a {type(views).__name__} of {len(views)} arrays"
            )
        images = tf.reshape(views, [-1, *views.shape[2:]])
        if labels.shape.rank == 3:
            return images, tf.reshape(labels, [-1, labels.shape[2]])
        rows = tf.repeat(labels, views.shape[1], axis=0)
        return images, tf.ensure_shape(rows, [images.shape[0], *labels.shape[1:]])

    return map_batches(dataset, flatten)


def batches_from_step(dataset: tf.data.Dataset, step: int) -> tf.data.Dataset:
    """Returns the batches of all epochs from a training step on, without an end.

    `fit` of this library's models needs no such dataset. Use it in a training loop of your own, or
    to resume the training of another Keras model.

    Examples:
        >>> import supcon_tf
        >>> images = supcon_tf.data.load_digits("train")
        >>> policy = supcon_tf.augmentation.crop_flip(8, flip=False)
        >>> views = supcon_tf.data.multi_view_batches(images, policy, batch_size=256)
        >>> second_epoch = supcon_tf.data.batches_from_step(views, len(views)).take(len(views))
        >>> len(second_epoch)
        5

    Args:
        dataset: batches, as from `multi_view_batches`, `mix_batches`, `flatten_views` or
            `map_batches`.
        step: number of the first step. The first epoch has the steps 0 to `len(dataset) - 1`.

    Returns:
        An infinite dataset.

    Raises:
        ValueError: if `step` is negative, or `dataset` holds no batches of `supcon_tf.data`.
    """
    check_integer("step", step, least=0)
    epochs = find_epochs(dataset)
    if epochs is None:
        raise ValueError(
            "`dataset` must hold batches of `supcon_tf.data.multi_view_batches`, changed only with "
            f"functions of `supcon_tf.data`, such as `map_batches`. Received: {dataset}"
        )
    return epochs.from_step(step)


def map_batches(dataset: tf.data.Dataset, function: Callable[..., Any]) -> tf.data.Dataset:
    """Applies a function to every batch, like `tf.data.Dataset.map`, and keeps the epochs.

    `fit` of this library's models then still starts at the right epoch, and resumes at the right
    step. Methods of `tf.data.Dataset` return a dataset of which `fit` knows neither.

    Examples:
        >>> import tensorflow as tf, supcon_tf
        >>> images = supcon_tf.data.load_digits("train")
        >>> policy = supcon_tf.augmentation.crop_flip(8, flip=False)
        >>> views = supcon_tf.data.multi_view_batches(images, policy, batch_size=256)
        >>> one_hot = supcon_tf.data.map_batches(
        ...     views, lambda views, ids: (views, tf.one_hot(ids, 10))
        ... )
        >>> one_hot.element_spec[1].shape
        TensorShape([256, 10])

    Args:
        dataset: batches, as from `multi_view_batches`.
        function: a function of the components of a batch, as for `tf.data.Dataset.map`, without
            random operations that have a state.

    Returns:
        A dataset of the same length.
    """
    return map_epochs(dataset, lambda batches, _: batches.map(function, tf.data.AUTOTUNE))


def _check_batch_numbers(batches: ArrayLike, number_of_batches: int) -> NDArray[np.int64]:
    """Returns the numbers of batches as an array, after checks."""
    numbers = np.asarray(batches)
    if not numbers.size:
        return np.zeros([0], np.int64)
    if (
        numbers.ndim != 1
        or not np.issubdtype(numbers.dtype, np.integer)
        or numbers.min() < 0
        or numbers.max() >= number_of_batches
    ):
        raise ValueError(
            f"`batches` must be a list of integers from 0 to {number_of_batches - 1}. "
            f"Received: {batches!r}"
        )
    return numbers.astype(np.int64)


def _pair_transforms_and_numbers(
    transform: _Transform | Sequence[_Transform], num_views: int | Sequence[int]
) -> list[tuple[_Transform, int]]:
    """Returns the transform and the number of views for each size of views."""
    transforms = transform if isinstance(transform, (list, tuple)) else None
    numbers = num_views if isinstance(num_views, (list, tuple)) else None
    if transforms is None and numbers is None:
        transforms, numbers = [transform], [num_views]
    if not transforms or not numbers or len(transforms) != len(numbers):
        raise ValueError(
            "`num_views` must be a list with a number for each transform of a list, or a number "
            "for a single transform. Compose transforms that apply in sequence with "
            "`supcon_tf.augmentation.Compose`. "
            f"Received: num_views={num_views}, transform={transform!r}"
        )
    numbers = [check_integer("num_views", number) for number in numbers]
    return list(zip(transforms, numbers, strict=True))


def _seeds_of_size(seeds: tf.Tensor, number: int) -> tf.Tensor:
    """Returns other seeds for every size of views but the first one.

    With equal seeds, the views of two sizes would draw the same random numbers.
    """
    if number == 0:
        return seeds
    of_size = tf.constant(number, seeds.dtype)
    return tf.map_fn(lambda seed: tf.random.experimental.stateless_fold_in(seed, of_size), seeds)


def _check_shuffle_buffer(
    shuffle_buffer: int, batch_size: int, images_per_class: int | None, source: Source
) -> None:
    check_integer("shuffle_buffer", shuffle_buffer)
    if shuffle_buffer < batch_size:
        raise ValueError(
            "`shuffle_buffer` must not be smaller than the batch. "
            f"Received: shuffle_buffer={shuffle_buffer}, batch_size={batch_size}"
        )
    if images_per_class is not None:
        raise ValueError(
            "`images_per_class` requires images in any order. Pass no `shuffle_buffer`. "
            f"Received: shuffle_buffer={shuffle_buffer}, images_per_class={images_per_class}"
        )
    if not isinstance(source, IndexedImages):
        raise ValueError(
            "`shuffle_buffer` requires an IndexedImages, such as from `load_tfrecords`. The images "
            f"of other sources are read one by one in any order. Received: {type(source)}"
        )


def _split(seed: tf.Tensor) -> tf.Tensor:
    """Returns two independent seeds, `[2, 2]`."""
    return tf.random.experimental.stateless_split(seed, 2)
