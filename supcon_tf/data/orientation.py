"""The orientation of a JPEG, which cameras write to its EXIF header instead of turning pixels."""

import tensorflow as tf

_JPEG, _JFIF, _EXIF = b"\xff\xd8", b"\xff\xe0", b"\xff\xe1"  # markers of segments
_MAX_SEGMENT_BYTES = 1 << 16
_ORIENTATION_TAG = 0x0112
_ENTRY_BYTES = 12


def turn_upright(image: tf.Tensor, contents: tf.Tensor) -> tf.Tensor:
    """Turns and mirrors a decoded image as its EXIF orientation demands. TensorFlow ignores it.

    Args:
        image: `[height, width, channels]`.
        contents: scalar string, the bytes of the image file.

    Returns:
        The upright image; the same image if the file is no JPEG or states no orientation.
    """
    orientation = read_orientation(contents)
    return tf.cond(orientation == 1, lambda: image, lambda: _turn(image, orientation))


def read_orientation(contents: tf.Tensor) -> tf.Tensor:
    """Reads the orientation of a JPEG.

    The header must be the first segment of the file, as EXIF requires, or follow that of JFIF.

    Reference: CIPA DC-008, "Exchangeable image file format", sections 4.5 and 4.6.4.

    Args:
        contents: scalar string, the bytes of an image file.

    Returns:
        Scalar int32 from 1 to 8; 1, upright, without an EXIF header that is intact.
    """

    def part(position: tf.Tensor | int, length: int) -> tf.Tensor:
        position = tf.minimum(position, tf.strings.length(contents))
        return tf.strings.substr(contents, position, length)

    length = tf.io.decode_raw(part(4, 2), tf.uint16, little_endian=False, fixed_length=2)
    segment = tf.where(part(2, 2) == _JFIF, 4 + tf.cast(length[0], tf.int32), 2)
    is_exif = (
        (part(0, 2) == _JPEG) & (part(segment, 2) == _EXIF) & (part(segment + 4, 6) == b"Exif\0\0")
    )
    return tf.cond(
        is_exif, lambda: _find_orientation(part(segment + 10, _MAX_SEGMENT_BYTES)), lambda: 1
    )


def _find_orientation(contents: tf.Tensor) -> tf.Tensor:
    """Finds the orientation in the TIFF structure of an EXIF header."""
    # Positions beyond the end read the zero that is added.
    values = tf.concat([tf.io.decode_raw(contents, tf.uint8), [tf.constant(0, tf.uint8)]], 0)
    end = tf.size(values) - 1
    little_endian = tf.strings.substr(contents, 0, 1) == b"I"

    def number(position: tf.Tensor | int) -> tf.Tensor:
        first, second = (
            tf.cast(tf.gather(values, tf.minimum(p, end)), tf.int32)
            for p in (position, position + 1)
        )
        return tf.where(little_endian, first + 256 * second, 256 * first + second)

    # Two of the four bytes of the offset are enough, because a segment has at most 64 kB.
    directory = number(tf.where(little_endian, 4, 6))
    entries = directory + 2 + _ENTRY_BYTES * tf.range(number(directory))
    found = tf.where(number(entries) == _ORIENTATION_TAG, number(entries + 8), 0)
    orientation = tf.reduce_max(tf.concat([[0], found], 0))
    return tf.where((orientation >= 1) & (orientation <= 8), orientation, 1)


def _turn(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    def is_one_of(*values: int) -> tf.Tensor:
        return tf.reduce_any(orientation == list(values))

    image = tf.cond(is_one_of(5, 6, 7, 8), lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
    mirrored = tf.cond(is_one_of(2, 3, 6, 7), lambda: tf.reverse(image, [1]), lambda: image)
    return tf.cond(is_one_of(3, 4, 7, 8), lambda: tf.reverse(mirrored, [0]), lambda: mirrored)
