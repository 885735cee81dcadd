"""Images are checked in threads, which share one graph."""

import numpy as np
import pytest
import tensorflow as tf

from supcon_tf.data import EncodedImages, drop_damaged, readable
from supcon_tf.data.decoding import PixelFormat

PNG = tf.io.encode_png(np.zeros([8, 8, 1], np.uint8)).numpy()


@pytest.fixture
def traced(monkeypatch):
    """The numbers of channels of the graphs that were traced."""
    channels = []
    decode = readable.decode

    def spy(contents, pixels):
        channels.append(pixels.channels)
        return decode(contents, pixels)

    monkeypatch.setattr(readable, "decode", spy)
    readable._graph_decoder.cache_clear()
    yield channels
    readable._graph_decoder.cache_clear()  # Its graphs are not for other tests.


@pytest.fixture
def logged(caplog):
    """The log of TensorFlow."""
    tf.get_logger().addHandler(caplog.handler)
    yield caplog
    tf.get_logger().removeHandler(caplog.handler)


def test_one_graph_for_each_format(tmp_path, traced):
    paths = [tmp_path / f"{i}.png" for i in range(40)]
    for path in paths:
        path.write_bytes(PNG)
    for channels in (1, 3, 1, 3):
        assert list(readable.find_unreadable(paths, PixelFormat(channels))) == []
    assert traced == [1, 3]


def test_no_warning_of_retracing(logged):
    source = EncodedImages([PNG] * 100, [0] * 100, ["cat"])
    assert drop_damaged(source) is source
    assert logged.messages == []
