"""Operations on the colors of one uint8 image, as Pillow defines them.

Each function takes and returns `[height, width, channels]` uint8 with 1 or 3 channels. Other
arguments are scalars or scalar tensors. Results equal those of Pillow's `ImageOps` and
`ImageEnhance`, which the search of AutoAugment used, except for differences of one level where
floats round differently.
"""

import tensorflow as tf


def autocontrast(image: tf.Tensor) -> tf.Tensor:
    """Stretches each channel so that its darkest value is 0 and its brightest 255."""
    darkest = tf.cast(tf.reduce_min(image, axis=[0, 1]), tf.float32)
    brightest = tf.cast(tf.reduce_max(image, axis=[0, 1]), tf.float32)
    span = brightest - darkest
    # Exact results are integers or at least 1/255 below the next one. The small addend makes up
    # for rounding errors before the truncation.
    stretched = (tf.cast(image, tf.float32) - darkest) * (255.0 / tf.maximum(span, 1)) + 0.001
    return tf.where(span > 0, tf.cast(stretched, tf.uint8), image)


def equalize(image: tf.Tensor) -> tf.Tensor:
    """Equalizes the histogram of each channel."""
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
    """Replaces each value v by 255 - v."""
    return 255 - image


def posterize(image: tf.Tensor, bits: tf.Tensor | int) -> tf.Tensor:
    """Keeps the upper `bits` bits of each value, from 0 to 8. 0 bits count as 1."""
    masks = tf.constant([128, 128, 192, 224, 240, 248, 252, 254, 255], tf.uint8)
    return tf.bitwise.bitwise_and(image, tf.gather(masks, tf.cast(bits, tf.int32)))


def solarize(image: tf.Tensor, threshold: tf.Tensor | int) -> tf.Tensor:
    """Inverts the values that are at least `threshold`. A threshold of 256 inverts none."""
    return tf.where(tf.cast(image, tf.int32) < tf.cast(threshold, tf.int32), image, 255 - image)


def solarize_add(image: tf.Tensor, addition: tf.Tensor | int) -> tf.Tensor:
    """Adds `addition` to the values below 128, clipped to 255."""
    added = tf.minimum(tf.cast(image, tf.int32) + tf.cast(addition, tf.int32), 255)
    return tf.where(image < 128, tf.cast(added, tf.uint8), image)


def color(image: tf.Tensor, factor: tf.Tensor | float) -> tf.Tensor:
    """Changes the saturation: grayscale at factor 0, the image at 1, more saturated above 1."""
    return _blend(tf.broadcast_to(_to_gray(image), image.shape), image, factor)


def contrast(image: tf.Tensor, factor: tf.Tensor | float) -> tf.Tensor:
    """Changes the contrast: mean gray at factor 0, the image at 1, more contrast above 1."""
    # The TF Model Garden blends with the number of pixels / 256 instead of the mean.
    mean = tf.floor(tf.reduce_mean(tf.cast(_to_gray(image), tf.float32)) + 0.5)
    return _blend(mean, image, factor)


def brightness(image: tf.Tensor, factor: tf.Tensor | float) -> tf.Tensor:
    """Changes the brightness: black at factor 0, the image at 1, brighter above 1."""
    return _blend(0.0, image, factor)


def sharpness(image: tf.Tensor, factor: tf.Tensor | float) -> tf.Tensor:
    """Changes the sharpness: a smoothed image at factor 0, the image at 1, sharper above 1.

    The border pixels do not change.
    """
    height, width, _ = image.shape
    values = tf.cast(image, tf.float32)
    kernel_sum = 4 * values[1:-1, 1:-1]
    for row in range(3):
        for column in range(3):
            kernel_sum += values[row : height - 2 + row, column : width - 2 + column]
    smooth = tf.floor(kernel_sum / 13 + 0.5)
    inner = _blend(smooth, image[1:-1, 1:-1], factor)
    rows = tf.concat([image[1:-1, :1], inner, image[1:-1, -1:]], axis=1)
    return tf.concat([image[:1], rows, image[-1:]], axis=0)


def _to_gray(image: tf.Tensor) -> tf.Tensor:
    if image.shape[-1] == 1:
        return image
    red, green, blue = tf.unstack(tf.cast(image, tf.int32), axis=-1)
    gray = (19595 * red + 38470 * green + 7471 * blue + 32768) // 65536  # ITU-R BT.601
    return tf.cast(gray, tf.uint8)[..., None]


def _blend(other: tf.Tensor | float, image: tf.Tensor, factor: tf.Tensor | float) -> tf.Tensor:
    """Returns `other` at factor 0, `image` at 1, an extrapolation above 1.

    Results are clipped and truncated, not rounded, as in Pillow.
    """
    other, image = tf.cast(other, tf.float32), tf.cast(image, tf.float32)
    return tf.cast(tf.clip_by_value(other + factor * (image - other), 0.0, 255.0), tf.uint8)
