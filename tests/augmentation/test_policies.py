import numpy as np
import pytest
import tensorflow as tf

from supcon_tf import augmentation as aug
from supcon_tf.data import ArrayImages, multi_view_batches

POLICIES = {
    "crop_flip": aug.crop_flip(24),
    "sim_augment": aug.sim_augment(24, blur=True, warp=0.5),
    "auto_augment": aug.auto_augment(24),
    "rand_augment": aug.rand_augment(24),
    "stacked_rand_augment": aug.stacked_rand_augment(24, warp=0.5),
}
each_policy = pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
# One size of batch in all tests: a policy is compiled once for each.
BATCH = 40


def random_images(channels=3):
    return np.random.default_rng(0).random([BATCH, 26, 30, channels]).astype("float32")


def random_draws(policy, seed):
    draws = tf.random.stateless_uniform([BATCH, policy.num_draws], [seed, 1]).numpy()
    draws[0], draws[1] = 0, 1 - 2**-23  # the ends of their range
    return draws


def check_views(policy, channels):
    images, draws = random_images(channels), random_draws(policy, 0)
    views = policy(images, tf.constant(draws)).numpy()
    assert views.shape == (BATCH, 24, 24, channels)
    assert views.dtype == np.float32
    assert np.all((views >= 0) & (views <= 1))
    np.testing.assert_array_equal(policy(images, tf.constant(draws)), views)
    # In other places of another batch: the same.
    half = BATCH // 2
    others = random_draws(policy, 1)
    others[:half] = draws[half:]
    moved = np.concatenate([images[half:], images[:half]])
    np.testing.assert_array_equal(policy(moved, tf.constant(others))[:half], views[half:])


@each_policy
def test_views_are_functions_of_images_and_draws(policy):
    check_views(policy, channels=3)


@pytest.mark.parametrize("name", ["auto_augment", "stacked_rand_augment"])
def test_views_of_gray_images(name):
    check_views(POLICIES[name], channels=1)


@each_policy
def test_views_differ_by_their_draws(policy):
    images = np.repeat(random_images()[:1], BATCH, axis=0)
    views = policy(images, tf.constant(random_draws(policy, 0))).numpy()
    assert len(np.unique(views.reshape(BATCH, -1), axis=0)) == BATCH


def test_policies_make_batches():
    pixels = np.random.default_rng(0).integers(0, 256, [8, 26, 30, 3], dtype=np.uint8)
    source = ArrayImages(pixels, np.arange(8), list("abcdefgh"))
    policy = POLICIES["auto_augment"]

    def batches():
        dataset = multi_view_batches(source, policy, batch_size=4, epochs=1)
        return [views.numpy() for views, _ in dataset]

    first, second = batches(), batches()
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
        first, *rest = make(24, area=(0.3, 0.4), flip=flip, crop="tensorflow").transforms
        assert first == aug.RandomResizedCrop(24, (0.3, 0.4), definition="tensorflow")
        assert make(24).transforms[0].definition == "torchvision"
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


@pytest.mark.parametrize("make", [aug.sim_augment, aug.stacked_rand_augment])
def test_policies_take_the_definition_of_the_jitter(make):
    for jitter in ("torchvision", "tensorflow"):
        jitters = [x for x in make(24, jitter=jitter).transforms if isinstance(x, aug.ColorJitter)]
        assert [x.definition for x in jitters] == [jitter]


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
