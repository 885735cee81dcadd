import numpy as np
import pytest
import tensorflow as tf

from supcon_tf import augmentation as aug
from supcon_tf.data import ArrayImages, multi_view_batches

POLICIES = {
    "crop_flip": aug.crop_flip,
    "sim_augment": lambda size, **area: aug.sim_augment(size, blur=True, warp=0.5, **area),
    "auto_augment": aug.auto_augment,
    "rand_augment": aug.rand_augment,
    "stacked_rand_augment": lambda size, **area: aug.stacked_rand_augment(size, warp=0.5, **area),
}
each_policy = pytest.mark.parametrize("make", POLICIES.values(), ids=POLICIES)


def random_images(batch, channels):
    return np.random.default_rng(0).random([batch, 26, 30, channels]).astype("float32")


@each_policy
@pytest.mark.parametrize("channels", [1, 3])
def test_views_are_images_of_their_draws_alone(make, channels):
    policy = make(24)
    images = random_images(40, channels)
    draws = tf.random.stateless_uniform([40, policy.num_draws], [3, 1])
    views = policy(images, draws).numpy()
    assert views.shape == (40, 24, 24, channels)
    assert views.dtype == np.float32
    assert 0 <= views.min() <= views.max() <= 1
    np.testing.assert_array_equal(policy(images, draws), views)
    # In another batch, at another place: the same up to the rounding of floats, which for
    # operations on uint8 can be a level.
    others = policy(images[30:][::-1], draws[30:][::-1]).numpy()[::-1]
    np.testing.assert_allclose(others, views[30:], atol=1.01 / 255)


@each_policy
def test_views_differ_by_their_draws(make):
    policy = make(24)
    images = np.repeat(random_images(1, 3), 30, axis=0)
    draws = tf.random.stateless_uniform([30, policy.num_draws], [3, 1])
    views = policy(images, draws).numpy().reshape(30, -1)
    assert len(np.unique(views, axis=0)) == 30


@each_policy
def test_policies_make_batches(make):
    pixels = np.random.default_rng(0).integers(0, 256, [8, 26, 30, 3], dtype=np.uint8)
    source = ArrayImages(pixels, np.arange(8), list("abcdefgh"))

    def batches():
        dataset = multi_view_batches(source, make(24), batch_size=4, epochs=1)
        return [views.numpy() for views, _ in dataset]

    first, second = batches(), batches()
    np.testing.assert_array_equal(first, second)
    assert first[0].shape == (4, 2, 24, 24, 3)


@pytest.mark.parametrize("flip", [False, True])
def test_all_policies_crop_and_flip_first(flip):
    for make in (aug.crop_flip, aug.auto_augment, aug.rand_augment, aug.stacked_rand_augment):
        first, *rest = make(24, area=(0.3, 0.4), flip=flip).transforms
        assert first == aug.RandomResizedCrop(24, (0.3, 0.4))
        flips = [transform for transform in rest if transform == aug.RandomHorizontalFlip()]
        assert len(flips) == flip
        assert not flip or rest[0] == flips[0]


def test_policies_are_composed_as_the_reference_code_has_them():
    jitter = aug.ColorJitter(0.8, 0.8, 0.8, 0.2)
    sim = aug.sim_augment(224, strength=1.0, blur=True, warp=0.3)
    assert sim.transforms[2:] == [
        jitter, aug.RandomGrayscale(0.2), aug.RandomWarp(23.0, 0.3), aug.RandomGaussianBlur(23)
    ]  # fmt: skip
    stacked = aug.stacked_rand_augment(224)
    assert stacked.transforms[2:] == [
        jitter, aug.RandAugment(2, 10, 100, 40), aug.RandomGrayscale(), aug.RandomGaussianBlur(23)
    ]  # fmt: skip
    assert aug.auto_augment(224).transforms[2:] == [aug.AutoAugment(250)]
    assert aug.rand_augment(224, num_ops=3, magnitude=7).transforms[2:] == [
        aug.RandAugment(3, 7, 100, 40)
    ]


def test_distances_are_in_proportion_to_the_side():
    assert aug.auto_augment(56).transforms[2] == aug.AutoAugment(62.5)
    assert aug.rand_augment(56).transforms[2] == aug.RandAugment(2, 10, 25, 10)
    assert aug.sim_augment(56, warp=1.0).transforms[4] == aug.RandomWarp(5.75, 1.0)
    for side, kernel in ((32, 3), (19, 1), (96, 9)):
        assert aug.sim_augment(side, blur=True).transforms[4].kernel_size == kernel


@pytest.mark.parametrize("make", [aug.sim_augment, aug.stacked_rand_augment])
def test_warp_must_be_a_probability(make):
    with pytest.raises(ValueError, match="`warp` must be a probability. Received: 1.5"):
        make(24, warp=1.5)


@pytest.mark.parametrize("draws", [0.0, 1 - 2**-23])
@each_policy
def test_views_are_finite_at_the_ends_of_the_draws(make, draws):
    policy = make(24)
    views = policy(random_images(1, 3), tf.fill([1, policy.num_draws], draws)).numpy()
    assert np.all((views >= 0) & (views <= 1))
