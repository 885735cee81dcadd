"""Random image transforms as pure functions of images and of random numbers drawn beforehand.

A transform receives its randomness as `draws`: one row per image of numbers uniform in [0, 1). The
caller decides how the draws are computed. A view can therefore depend only on the seed, the epoch
and the image, and not on the batch.
"""

import abc
import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import tensorflow as tf


class Transform(Protocol):
    """A random transform of a batch of images.

    Examples:
        >>> from supcon_tf import augmentation
        >>> class Darken:
        ...     num_draws = 1
        ...
        ...     def __call__(self, images, draws):
        ...         return images * draws[:, :, None, None]
        >>> policy = augmentation.Compose([augmentation.RandomResizedCrop(8), Darken()])
        >>> policy.num_draws
        5
    """

    @property
    def num_draws(self) -> int:
        """Number of draws per image."""

    def __call__(self, images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Transforms images.

        Args:
            images: `[batch, height, width, channels]` float32 in [0, 1].
            draws: `[batch, num_draws]` float32, uniform in [0, 1).

        Returns:
            Images of the same rank, dtype and range.
        """


@dataclasses.dataclass(frozen=True)
class Compose:
    """Applies transforms in sequence, each with its own part of the draws.

    Examples:
        >>> from supcon_tf import augmentation
        >>> policy = augmentation.Compose(
        ...     [augmentation.RandomResizedCrop(8), augmentation.RandomGrayscale()]
        ... )
        >>> policy.num_draws
        5

    Args:
        transforms: the transforms in the order of application.
    """

    transforms: Sequence[Transform]

    def __post_init__(self) -> None:
        to_tuples(self, "transforms")

    @property
    def num_draws(self) -> int:
        """Number of draws per image: the sum over the transforms."""
        return sum(transform.num_draws for transform in self.transforms)

    def __call__(self, images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Transforms `[batch, height, width, channels]` images."""
        parts = tf.split(draws, [transform.num_draws for transform in self.transforms], axis=1)
        for transform, part in zip(self.transforms, parts, strict=True):
            images = transform(images, part)
        return images


class ImageTransform(abc.ABC):
    """Base class of transforms that are written for one image and run as a compiled loop.

    XLA fuses many small operations into one pass over the pixels. In a loop over the images, each
    image runs only the branches that its draws select. XLA compiles a program for every new shape
    of the batch, which takes about a second. Images should therefore have one size, as they have
    after a crop.

    Examples:
        >>> import tensorflow as tf
        >>> from supcon_tf import augmentation
        >>> class Darken(augmentation.ImageTransform):
        ...     num_draws = 1
        ...
        ...     def transform(self, image, draws):
        ...         return image * draws[0]
        >>> darker = Darken()(tf.ones([2, 4, 4, 1]), tf.constant([[0.5], [0.25]]))
        >>> darker[:, 0, 0, 0].numpy().tolist()
        [0.5, 0.25]

    Attributes:
        channels: the numbers of channels that images can have; `None` for any number.
    """

    channels: tuple[int, ...] | None = None

    @property
    @abc.abstractmethod
    def num_draws(self) -> int:
        """Number of draws per image."""

    @abc.abstractmethod
    def transform(self, image: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Transforms one `[height, width, channels]` image with `[num_draws]` draws."""

    def __call__(self, images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Transforms images of one size.

        Args:
            images: `[batch, height, width, channels]` float32 in [0, 1].
            draws: `[batch, num_draws]` float32, uniform in [0, 1).

        Returns:
            Images of the same shape, dtype and range.

        Raises:
            ValueError: if the size of the images is not static, or the number of channels is not
                one of `channels`.
        """
        images = tf.convert_to_tensor(images)
        if None in images.shape[1:]:
            raise ValueError(
                f"`images` must have a static size, as after a crop. Received: shape={images.shape}"
            )
        if self.channels is not None and images.shape[-1] not in self.channels:
            raise ValueError(
                f"`images` of {type(self).__name__} must have one of {self.channels} channels. "
                f"Received: shape={images.shape}"
            )
        return self._compiled(images, draws)

    @functools.cached_property
    def _compiled(self) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
        @tf.function(jit_compile=True, autograph=False)
        def transform_batch(images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
            return tf.map_fn(
                lambda image_and_draws: self.transform(*image_and_draws),
                (images, draws),
                fn_output_signature=tf.TensorSpec(images.shape[1:], images.dtype),
            )

        return transform_batch


def to_tuples(transform: Any, *names: str) -> None:
    """Converts sequences in fields of a frozen dataclass to tuples: `tf.function` hashes it."""
    for name in names:
        object.__setattr__(transform, name, tuple(getattr(transform, name)))


def for_loop(
    num_steps: int, body: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], image: tf.Tensor
) -> tf.Tensor:
    """Computes `image = body(step, image)` for each step from 0, as a loop of the compiled program.

    An unrolled sequence of several `tf.switch_case` would take XLA 20 seconds to compile.
    """

    def next_step(step: tf.Tensor, image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return step + 1, body(step, image)

    _, image = tf.while_loop(
        lambda step, _: step < num_steps, next_step, (0, image), maximum_iterations=num_steps
    )
    return image
