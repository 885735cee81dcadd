"""Random Gaussian blur."""

import dataclasses

import tensorflow as tf

from supcon_tf._checks import check_probability, check_range
from supcon_tf.augmentation.base import ImageTransform, for_loop, to_tuples


@dataclasses.dataclass(frozen=True)
class RandomGaussianBlur(ImageTransform):
    """Blurs an image with a Gaussian of random standard deviation.

    Pixels outside the image count as black, as in the reference code.

    Examples:
        >>> from supcon_tf import augmentation
        >>> augmentation.RandomGaussianBlur(3, sigma=(0.1, 2.0)).num_draws
        2

    Args:
        kernel_size: side of the kernel in pixels, odd.
        sigma: smallest and largest standard deviation in pixels.
        probability: probability that an image is blurred.

    Raises:
        ValueError: if `kernel_size` is not a positive odd number, `sigma` is no range above 0, or
            `probability` is not between 0 and 1.
    """

    kernel_size: int
    sigma: tuple[float, float] = (0.1, 2.0)
    probability: float = 0.5

    num_draws = 2

    def __post_init__(self) -> None:
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise ValueError(
                f"`kernel_size` must be a positive odd number. Received: {self.kernel_size}"
            )
        check_range("sigma", self.sigma)
        to_tuples(self, "sigma")
        check_probability("probability", self.probability)

    def transform(self, image: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Blurs a `[height, width, channels]` image with the given probability."""
        return tf.cond(
            draws[0] < self.probability, lambda: self._blur(image, draws[1]), lambda: image
        )

    def _blur(self, image: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
        low, high = self.sigma
        sigma = low + draw * (high - low)
        radius = self.kernel_size // 2
        offsets = tf.range(-radius, radius + 1, dtype=tf.float32)
        weights = tf.exp(-(offsets**2) / (2 * sigma**2))
        weights /= tf.reduce_sum(weights)
        for _ in range(2):  # The kernel is separable: blur the columns, transpose, and repeat.
            image = tf.transpose(_blur_columns(image, weights), [1, 0, 2])
        return image


def _blur_columns(image: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    height, width, channels = image.shape
    radius = weights.shape[0] // 2
    padded = tf.pad(tf.reshape(image, [height, width * channels]), [[radius, radius], [0, 0]])

    def add_tap(tap: tf.Tensor, total: tf.Tensor) -> tf.Tensor:
        return total + weights[tap] * tf.slice(padded, [tap, 0], [height, width * channels])

    # A loop over the taps takes a third of the time of their sum in one expression.
    total = for_loop(weights.shape[0], add_tap, tf.zeros([height, width * channels]))
    return tf.reshape(total, image.shape)
