"""Threads that check images share one graph: TensorFlow does not warn of retracing."""

import numpy as np
import pytest
import tensorflow as tf

from supcon_tf.data import EncodedImages, drop_damaged
from supcon_tf.data.decoding import PixelFormat
from supcon_tf.data.readable import find_unreadable

PNG = tf.io.encode_png(np.zeros([8, 8, 1], np.uint8)).numpy()


@pytest.fixture
def logged(caplog):
    tf.get_logger().addHandler(caplog.handler)
    yield caplog
    tf.get_logger().removeHandler(caplog.handler)


def test_files(tmp_path, logged):
    paths = [tmp_path / f"{i}.png" for i in range(100)]
    for path in paths:
        path.write_bytes(PNG)
    for channels in (1, 3, 1, 3, 1, 3):
        assert list(find_unreadable(paths, PixelFormat(channels))) == []
    assert logged.messages == []


def test_sources(logged):
    source = EncodedImages([PNG] * 100, [0] * 100, ["cat"])
    assert drop_damaged(source) is source
    assert logged.messages == []
