"""Images that are decoded once, into memory."""

import numpy as np
import tensorflow as tf

from supcon_tf.data.decoding import LARGEST_VALUES
from supcon_tf.data.indexed_images import IndexedImages
from supcon_tf.data.sources import ArrayImages, EncodedImages, ImageSource


def decode_images(source: ImageSource) -> ArrayImages:
    """Decodes all images of a source into memory, if they have the same size.

    Decoding takes most of the time that views of small images take. Views of images in memory are
    equal up to rounding. An image with sides of 32 pixels needs 3 KB of memory, one of 224 pixels
    150 KB.

    Examples:
        >>> import tensorflow as tf, supcon_tf
        >>> png = tf.io.encode_png(tf.zeros([8, 6, 3], tf.uint8)).numpy()
        >>> images = supcon_tf.data.EncodedImages([png, png], [0, 1], ["cat", "dog"])
        >>> supcon_tf.data.decode_images(images).images.shape
        (2, 8, 6, 3)

    Args:
        source: the images. `ArrayImages` are returned as they are.

    Returns:
        The images of the source with the same labels, as uint8 or, if they are decoded to 16 bits,
        as uint16. Images of a subclass of yours are float32.

    Raises:
        ValueError: if the images have different sizes.
        tf.errors.InvalidArgumentError: if an image cannot be decoded.
    """
    if isinstance(source, ArrayImages):
        return source
    dtype = "float32"
    if isinstance(source, EncodedImages | IndexedImages):
        dtype = source._pixels.dtype
    largest = LARGEST_VALUES.get(dtype)

    def read(index: tf.Tensor) -> tf.Tensor:
        image = source.views(index[None], tf.zeros([1, 1, 0]), lambda images, _: images)[0, 0]
        return image if largest is None else tf.cast(tf.round(image * largest), dtype)

    numbers = tf.data.Dataset.range(len(source))
    decoded = numbers.map(read, tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)
    images = np.empty([0])
    for index, image in enumerate(decoded.as_numpy_iterator()):
        if index == 0:
            images = np.empty([len(source), *image.shape], dtype)
        elif image.shape != images.shape[1:]:
            raise ValueError(
                "`source` must have images of the same size. "
                f"Received: {images.shape[1:]} and, for image {index}, {image.shape}"
            )
        images[index] = image
    return ArrayImages(images, source.labels, source.class_names)
