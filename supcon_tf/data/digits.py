"""The handwritten digits of scikit-learn, which need no download."""

import numpy as np

from supcon_tf._requirements import require_extra
from supcon_tf.data.sources import ArrayImages


def load_digits(split: str) -> ArrayImages:
    """Loads gray digits of 8 x 8 pixels: 1,437 for training and 360 for testing, stratified.

    Examples:
        >>> import supcon_tf
        >>> len(supcon_tf.data.load_digits("train")), len(supcon_tf.data.load_digits("test"))
        (1437, 360)

    Args:
        split: `"train"` or `"test"`.

    Returns:
        The gray images, `[images, 8, 8, 1]`, of 10 classes.

    Raises:
        ImportError: if scikit-learn is not installed.
        ValueError: if `split` is neither `"train"` nor `"test"`.
    """
    if split not in ("train", "test"):
        raise ValueError(f'`split` must be "train" or "test". Received: {split!r}')
    with require_extra("load_digits", "scikit-learn"):
        from sklearn.datasets import load_digits as sklearn_digits
        from sklearn.model_selection import train_test_split
    digits = sklearn_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    indices = train_test_split(
        np.arange(len(images)), test_size=0.2, random_state=0, stratify=digits.target
    )
    chosen = np.sort(indices[0] if split == "train" else indices[1])
    return ArrayImages(images[chosen], digits.target[chosen], [str(n) for n in range(10)])
