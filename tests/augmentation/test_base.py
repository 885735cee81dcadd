import numpy as np
import pytest
import tensorflow as tf

from supcon_tf import augmentation as aug


def random_images(batch=2, height=6, width=8, channels=3):
    return np.random.default_rng(0).random([batch, height, width, channels]).astype("float32")


def test_flip():
    images = random_images(2)
    flipped = aug.RandomHorizontalFlip()(images, tf.constant([[0.4], [0.6]]))
    np.testing.assert_array_equal(flipped[0], images[0, :, ::-1])
    np.testing.assert_array_equal(flipped[1], images[1])


def test_compose_gives_each_transform_its_draws():
    images = random_images(3)
    flip, gray = aug.RandomHorizontalFlip(), aug.RandomGrayscale()
    policy = aug.Compose([flip, gray])
    assert policy.num_draws == 2
    draws = tf.constant([[0.1, 0.9], [0.9, 0.1], [0.1, 0.1]])
    expected = gray(flip(images, draws[:, :1]), draws[:, 1:])
    np.testing.assert_array_equal(policy(images, draws), expected)


@pytest.mark.parametrize("shape", [[None, None, None, 3], [None, 8, 8, None]])
def test_images_must_have_a_static_size(shape):
    def trace(images):
        return aug.RandomHorizontalFlip()(images, tf.zeros([2, 1]))

    with pytest.raises(ValueError, match="`images` must have .*Received: shape="):
        tf.function(trace).get_concrete_function(tf.TensorSpec(shape))


def test_tf_function_takes_transforms_with_lists():
    crop = aug.RandomResizedCrop(4, scale=[0.5, 1.0], ratio=[0.75, 1.25])
    erase = aug.RandomErasing(scale=[0.1, 0.2], value=[0.25, 0.5, 0.75])
    policy = aug.Compose([crop, erase])
    images = np.random.default_rng(0).random([2, 6, 6, 3]).astype("float32")
    draws = tf.random.stateless_uniform([2, policy.num_draws], [0, 1])
    np.testing.assert_array_equal(tf.function(policy)(images, draws), policy(images, draws))
    blur = aug.RandomGaussianBlur(3, sigma=[0.1, 2.0])
    assert hash(blur) == hash(aug.RandomGaussianBlur(3, sigma=(0.1, 2.0)))
