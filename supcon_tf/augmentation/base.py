"""Random image transforms as pure functions of images and of numbers drawn beforehand.

A transform gets its randomness as `draws`, numbers uniform in [0, 1), one row per image. Whoever
calls it decides what the draws depend on, so that a view can be a function of the seed, the epoch
and the image alone, whatever the batch it is made in.
"""

import abc
import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Protocol

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
        """How many uniform numbers one image needs."""

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
    """Applies transforms one after another; each gets its own part of the draws.

    Examples:
        >>> from supcon_tf import augmentation
        >>> policy = augmentation.Compose(
        ...     [augmentation.RandomResizedCrop(8), augmentation.RandomGrayscale()]
        ... )
        >>> policy.num_draws
        5

    Args:
        transforms: what to apply, in this order.
    """

    transforms: Sequence[Transform]

    @property
    def num_draws(self) -> int:
        """The sum over the transforms."""
        return sum(transform.num_draws for transform in self.transforms)

    def __call__(self, images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Transforms `[batch, height, width, channels]` images."""
        parts = tf.split(draws, [transform.num_draws for transform in self.transforms], axis=1)
        for transform, part in zip(self.transforms, parts, strict=True):
            images = transform(images, part)
        return images


class ImageTransform(abc.ABC):
    """A transform that is written for one image and runs over a batch as one compiled loop.

    XLA makes one pass over the pixels out of many small operations, and in a loop over the images
    each takes only the branches that it drew. A program is compiled for every new shape of the
    batch, which takes about a second, so images should have one size; as they have after a crop.

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
    """

    @property
    @abc.abstractmethod
    def num_draws(self) -> int:
        """How many uniform numbers one image needs."""

    @abc.abstractmethod
    def transform(self, image: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Transforms one `[height, width, channels]` image by `[num_draws]` draws."""

    def __call__(self, images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Transforms images of one size.

        Args:
            images: `[batch, height, width, channels]` float32 in [0, 1], of 1 or 3 channels.
            draws: `[batch, num_draws]` float32, uniform in [0, 1).

        Returns:
            Images of the same shape, dtype and range.

        Raises:
            ValueError: if the size of the images is not known or they have other channels.
        """
        images = tf.convert_to_tensor(images)
        if None in images.shape[1:] or images.shape[-1] not in (1, 3):
            raise ValueError(
                "`images` must have a size that is known beforehand, as after a crop, and 1 or 3 "
                f"channels. Received: shape={images.shape}"
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


def in_turn(
    change: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], times: int, image: tf.Tensor
) -> tf.Tensor:
    """Applies `change(step, image)` for each step from 0 on, in a loop of the compiled program.

    Several switches one after another, without a loop, would make XLA compile for 20 seconds.
    """

    def body(step: tf.Tensor, image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return step + 1, change(step, image)

    return tf.while_loop(lambda step, _: step < times, body, (0, image), maximum_iterations=times)[
        1
    ]
