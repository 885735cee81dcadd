"""Operations on the colors of one uint8 image, as Pillow defines them.

Each takes and returns `[height, width, channels]` uint8, of 1 or 3 channels. Numbers that say how
much are scalars or scalar tensors. Results are those of Pillow's `ImageOps` and `ImageEnhance`,
which AutoAugment was searched with, up to one level where a float rounds otherwise.
"""

import tensorflow as tf


def autocontrast(image: tf.Tensor) -> tf.Tensor:
    """Stretches each channel so that its darkest value is 0 and its brightest 255."""
    darkest = tf.cast(tf.reduce_min(image, axis=[0, 1]), tf.float32)
    brightest = tf.cast(tf.reduce_max(image, axis=[0, 1]), tf.float32)
    span = brightest - darkest
    # Quotients are whole or at least 1/255 away from it: the addend makes up for the rounding.
    stretched = (tf.cast(image, tf.float32) - darkest) * (255.0 / tf.maximum(span, 1)) + 0.001
    return tf.where(span > 0, tf.cast(stretched, tf.uint8), image)


def equalize(image: tf.Tensor) -> tf.Tensor:
    """Makes the histogram of each channel as uniform as a change of values can."""
    channels = image.shape[-1]
    bins = tf.cast(image, tf.int32) + 256 * tf.range(channels)
    histogram = tf.math.unsorted_segment_sum(tf.ones_like(bins), bins, 256 * channels)
    histogram = tf.reshape(histogram, [channels, 256])
    values = tf.range(256)
    brightest = tf.reduce_max(tf.where(histogram > 0, values, 0), axis=1)
    pixels = tf.reduce_sum(histogram, axis=1) - tf.gather(histogram, brightest, batch_dims=1)
    step = (pixels // 255)[:, None]
    below = tf.cumsum(histogram, axis=1, exclusive=True)
    table = tf.minimum((below + step // 2) // tf.maximum(step, 1), 255)
    table = tf.cast(tf.where(step > 0, table, values), tf.uint8)
    return tf.gather(tf.reshape(table, [-1]), bins)


def invert(image: tf.Tensor) -> tf.Tensor:
    """Turns each value v into 255 - v."""
    return 255 - image


def posterize(image: tf.Tensor, bits: tf.Tensor | int) -> tf.Tensor:
    """Keeps the upper `bits` of each value, from 0 to 8; but 1 where 0 would leave nothing."""
    masks = tf.constant([128, 128, 192, 224, 240, 248, 252, 254, 255], tf.uint8)
    return tf.bitwise.bitwise_and(image, tf.gather(masks, tf.cast(bits, tf.int32)))


def solarize(image: tf.Tensor, threshold: tf.Tensor | int) -> tf.Tensor:
    """Inverts the values from `threshold` on, which may be 256."""
    return tf.where(tf.cast(image, tf.int32) < tf.cast(threshold, tf.int32), image, 255 - image)


def solarize_add(image: tf.Tensor, addition: tf.Tensor | int) -> tf.Tensor:
    """Adds to the values below 128, up to 255."""
    added = tf.minimum(tf.cast(image, tf.int32) + tf.cast(addition, tf.int32), 255)
    return tf.where(image < 128, tf.cast(added, tf.uint8), image)


def color(image: tf.Tensor, factor: tf.Tensor | float) -> tf.Tensor:
    """Gray at factor 0, the image at 1, more saturated above."""
    return _blend(tf.broadcast_to(_gray(image), image.shape), image, factor)


def contrast(image: tf.Tensor, factor: tf.Tensor | float) -> tf.Tensor:
    """The image's mean gray at factor 0, the image at 1, of more contrast above."""
    # The TF model garden blends with the number of pixels over 256 in place of the mean.
    mean = tf.floor(tf.reduce_mean(tf.cast(_gray(image), tf.float32)) + 0.5)
    return _blend(mean, image, factor)


def brightness(image: tf.Tensor, factor: tf.Tensor | float) -> tf.Tensor:
    """Black at factor 0, the image at 1, brighter above."""
    return _blend(0.0, image, factor)


def sharpness(image: tf.Tensor, factor: tf.Tensor | float) -> tf.Tensor:
    """A smoothed image at factor 0, the image at 1, sharper above; the border stays as it is."""
    height, width, _ = image.shape
    values = tf.cast(image, tf.float32)
    around = 4 * values[1:-1, 1:-1]
    for row in range(3):
        for column in range(3):
            around += values[row : height - 2 + row, column : width - 2 + column]
    smooth = tf.floor(around / 13 + 0.5)
    inner = _blend(smooth, image[1:-1, 1:-1], factor)
    rows = tf.concat([image[1:-1, :1], inner, image[1:-1, -1:]], axis=1)
    return tf.concat([image[:1], rows, image[-1:]], axis=0)


def _gray(image: tf.Tensor) -> tf.Tensor:
    if image.shape[-1] == 1:
        return image
    red, green, blue = tf.unstack(tf.cast(image, tf.int32), axis=-1)
    gray = (19595 * red + 38470 * green + 7471 * blue + 32768) // 65536  # ITU-R BT.601
    return tf.cast(gray, tf.uint8)[..., None]


def _blend(other: tf.Tensor | float, image: tf.Tensor, factor: tf.Tensor | float) -> tf.Tensor:
    """`other` at factor 0, `image` at 1, beyond them above 1; cut off, not rounded, as Pillow."""
    other, image = tf.cast(other, tf.float32), tf.cast(image, tf.float32)
    return tf.cast(tf.clip_by_value(other + factor * (image - other), 0.0, 255.0), tf.uint8)
