"""Damaged images are left out, counted, and always the same."""

import numpy as np
import pytest
import tensorflow as tf

from supcon_tf.data import ArrayImages, EncodedImages, IndexedImages, drop_damaged

PNG = tf.io.encode_png(np.zeros([8, 8, 3], np.uint8)).numpy()
CONTENTS = [PNG, PNG[:40], b"", PNG]


@pytest.mark.parametrize(
    "source",
    [
        EncodedImages(CONTENTS, [0, 0, 1, 1], ["cat", "dog"]),
        IndexedImages(lambda i: [CONTENTS[k] for k in i], [0, 0, 1, 1], ["cat", "dog"]),
    ],
)
def test_damaged_images_are_left_out(source):
    progress = []
    message = "2 of 4 images are damaged.*The first one is image 1: "
    with pytest.warns(UserWarning, match=message) as warned:
        rest = drop_damaged(source, progress=lambda *numbers: progress.append(numbers))
    assert warned[0].filename == __file__
    assert rest.labels.tolist() == [0, 1]
    assert progress == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert drop_damaged(rest) is rest
    with pytest.raises(ValueError, match="must have images that can be decoded.*2 damaged"):
        drop_damaged(source.take([1, 2]))


def test_an_image_that_cannot_be_read_is_damaged():
    def read(indices):
        if 2 in indices:
            raise OSError("disk on fire")
        return [PNG] * len(indices)

    with pytest.warns(UserWarning, match="1 of 4 images.*image 2:.*disk on fire"):
        rest = drop_damaged(IndexedImages(read, [0, 1, 2, 3], list("abcd")))
    assert rest.labels.tolist() == [0, 1, 3]


def test_decoded_images_are_not_damaged():
    source = ArrayImages(np.zeros([3, 4, 4, 1], np.uint8), [0, 1, 2], list("abc"))
    assert drop_damaged(source) is source
