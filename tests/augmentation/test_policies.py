import numpy as np
import pytest
import tensorflow as tf

from supcon_tf import augmentation as aug
from supcon_tf.augmentation.random_operations import RandomOperations
from supcon_tf.augmentation.sub_policies import RandomSubPolicy
from supcon_tf.data import ArrayImages, multi_view_batches

POLICIES = {
    "crop_flip": aug.crop_flip(24),
    "sim_augment": aug.sim_augment(24, blur=True),
    "auto_augment": aug.auto_augment(24),
    "rand_augment": aug.rand_augment(24),
    "stacked_rand_augment": aug.stacked_rand_augment(24),
}
each_policy = pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
# All tests share one batch size, because each size is a compilation.
BATCH = 40


def random_images(channels=3):
    return np.random.default_rng(0).random([BATCH, 26, 30, channels]).astype("float32")


def random_draws(policy, seed):
    draws = tf.random.stateless_uniform([BATCH, policy.num_draws], [seed, 1]).numpy()
    draws[0], draws[1] = 0, 1 - 2**-23  # the ends of the range
    return draws


def check_views(policy, channels):
    images, draws = random_images(channels), random_draws(policy, 0)
    views = policy(images, tf.constant(draws)).numpy()
    assert views.shape == (BATCH, 24, 24, channels)
    assert views.dtype == np.float32
    assert np.all((views >= 0) & (views <= 1))
    np.testing.assert_array_equal(policy(images, tf.constant(draws)), views)
    # Views do not depend on their position or on the rest of the batch.
    half = BATCH // 2
    others = random_draws(policy, 1)
    others[:half] = draws[half:]
    moved = np.concatenate([images[half:], images[:half]])
    np.testing.assert_array_equal(policy(moved, tf.constant(others))[:half], views[half:])


@pytest.mark.slow
@each_policy
def test_views_are_functions_of_images_and_draws(policy):
    check_views(policy, channels=3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["auto_augment", "stacked_rand_augment"])
def test_views_of_gray_images(name):
    check_views(POLICIES[name], channels=1)


@each_policy
def test_views_differ_by_their_draws(policy):
    images = np.repeat(random_images()[:1], BATCH, axis=0)
    views = policy(images, tf.constant(random_draws(policy, 0))).numpy()
    assert len(np.unique(views.reshape(BATCH, -1), axis=0)) == BATCH


@pytest.mark.slow
def test_policies_make_batches():
    pixels = np.random.default_rng(0).integers(0, 256, [8, 26, 30, 3], dtype=np.uint8)
    source = ArrayImages(pixels, np.arange(8), list("abcdefgh"))
    policy = POLICIES["auto_augment"]

    first, second = (
        [views.numpy() for views, _ in multi_view_batches(source, policy, batch_size=4)]
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    assert first[0].shape == (4, 2, 24, 24, 3)


@pytest.mark.parametrize("flip", [False, True])
def test_all_policies_crop_and_flip_first(flip):
    for make in (
        aug.crop_flip,
        aug.sim_augment,
        aug.auto_augment,
        aug.rand_augment,
        aug.stacked_rand_augment,
    ):
        first, *rest = make(24, scale=(0.3, 0.4), flip=flip, crop="tensorflow").transforms
        assert first == aug.RandomResizedCrop(24, (0.3, 0.4), definition="tensorflow")
        assert make(24).transforms[0].definition == "torchvision"
        flips = [transform for transform in rest if transform == aug.RandomHorizontalFlip()]
        assert len(flips) == flip
        assert not flip or rest[0] == flips[0]


def test_policies_are_composed_as_in_the_reference_code():
    jitter = aug.ColorJitter(0.8, 0.8, 0.8, 0.2)
    sim = aug.sim_augment(224, strength=1.0, blur=True)
    assert list(sim.transforms[2:]) == [
        jitter,
        aug.RandomGrayscale(0.2),
        aug.RandomGaussianBlur(23),
    ]
    weaker = aug.ColorJitter(0.4, 0.4, 0.4, 0.1)
    assert aug.sim_augment(32, strength=0.5).transforms[2] == weaker
    stacked = aug.stacked_rand_augment(224)
    assert list(stacked.transforms[2:]) == [
        jitter,
        RandomOperations(2, 10, 100, 40),
        aug.RandomGrayscale(),
        aug.RandomGaussianBlur(23),
    ]
    assert list(aug.auto_augment(224).transforms[2:]) == [RandomSubPolicy(250)]
    assert list(aug.rand_augment(224, num_ops=3, magnitude=7).transforms[2:]) == [
        RandomOperations(3, 7, 100, 40)
    ]


@pytest.mark.parametrize("make", [aug.sim_augment, aug.stacked_rand_augment])
def test_policies_take_the_definition_of_the_jitter(make):
    for jitter in ("torchvision", "tensorflow"):
        jitters = [x for x in make(24, jitter=jitter).transforms if isinstance(x, aug.ColorJitter)]
        assert [x.definition for x in jitters] == [jitter]


def test_distances_scale_with_the_side():
    assert aug.auto_augment(56).transforms[2] == RandomSubPolicy(62.5)
    assert aug.rand_augment(56).transforms[2] == RandomOperations(2, 10, 25, 10)
    for side, kernel in ((32, 3), (19, 1), (96, 9)):
        assert aug.sim_augment(side, blur=True).transforms[4].kernel_size == kernel


@pytest.mark.slow
@pytest.mark.parametrize(("flip", "channels"), [(False, 1), (True, 3)])
def test_range_and_shape_of_sim_augment(channels, flip):
    policy = aug.sim_augment(12, flip=flip)
    assert policy.num_draws == (12 if flip else 11)
    draws = tf.random.stateless_uniform([BATCH, policy.num_draws], [1, 2])
    views = policy(random_images(channels), draws)
    assert views.shape == (BATCH, 12, 12, channels)
    assert 0 <= views.numpy().min() <= views.numpy().max() <= 1


def test_resize_keeps_the_central_square():
    images = np.random.default_rng(0).random([1, 4, 10, 3]).astype("float32")
    np.testing.assert_allclose(aug.resize(images, 4), images[:, :, 3:7], atol=1e-6)
    square = np.ones([1, 6, 6, 3], "float32")
    assert aug.resize(square, 6) is square
    flat = np.full([1, 9, 12, 3], 0.25, "float32")
    np.testing.assert_allclose(aug.resize(flat, 5), np.full([1, 5, 5, 3], 0.25), atol=1e-6)


def test_resize_to_a_square_larger_than_the_short_side():
    with pytest.raises(ValueError, match="`short_side`.*at least 8. Received: 4"):
        aug.resize(random_images(), 8, short_side=4)
