import numpy as np
import pytest
import tensorflow as tf

from supcon_tf.augmentation import color_ops, geometry
from supcon_tf.augmentation.operations import operations
from supcon_tf.augmentation.random_operations import RandomOperations
from supcon_tf.augmentation.sub_policies import _SUB_POLICIES, RandomSubPolicy

# The arguments of levels come from the definition, not from the code under test.
APPLY = {
    "AutoContrast": lambda x, level, sign: color_ops.autocontrast(x),
    "Equalize": lambda x, level, sign: color_ops.equalize(x),
    "Invert": lambda x, level, sign: color_ops.invert(x),
    "Posterize": lambda x, level, sign: color_ops.posterize(x, {2: 0, 6: 2, 9: 3}[level]),
    "Solarize": lambda x, level, sign: color_ops.solarize(
        x, {2: 51, 3: 76, 4: 102, 8: 204, 9: 230, 10: 256}[level]
    ),
    "SolarizeAdd": lambda x, level, sign: color_ops.solarize_add(
        x, {2: 22, 3: 33, 7: 77, 9: 99}[level]
    ),
    "Color": lambda x, level, sign: color_ops.color(x, 0.1 + 0.18 * level),
    "Contrast": lambda x, level, sign: color_ops.contrast(x, 0.1 + 0.18 * level),
    "Brightness": lambda x, level, sign: color_ops.brightness(x, 0.1 + 0.18 * level),
    "Sharpness": lambda x, level, sign: color_ops.sharpness(x, 0.1 + 0.18 * level),
    "Rotate": lambda x, level, sign: geometry.rotate(x, sign * 3.0 * level),
    "ShearX": lambda x, level, sign: geometry.shear_x(x, sign * 0.03 * level),
    "ShearY": lambda x, level, sign: geometry.shear_y(x, sign * 0.03 * level),
    "TranslateX": lambda x, level, sign: geometry.translate_x(x, sign * level),
    "TranslateY": lambda x, level, sign: geometry.translate_y(x, sign * level),
}
SIZE = 16
GARBLED = np.random.default_rng(1).random([SIZE, SIZE, 3])
IMAGE = (np.round((0.6 * GARBLED + 0.2) * 255) / 255).astype("float32")


def repeated(count, image=IMAGE):
    return tf.constant(np.tile(image[None], [count, 1, 1, 1]))


def levels(images):
    return np.round(np.asarray(images) * 255).astype(int)


def close(actual, expected):
    """Checks equality, except for rare pixels that rounding moves by one level."""
    difference = np.abs(actual - np.asarray(expected).astype(int))
    return np.mean(difference > 1) < 0.01


def test_sub_policies_are_the_published_table():
    assert len(_SUB_POLICIES) == 25
    assert all(len(pair) == 2 for pair in _SUB_POLICIES)
    # Sums over the table of Cubuk et al., which is "v0" in the TF Model Garden.
    counts = {}
    for pair in _SUB_POLICIES:
        for name, _, _ in pair:
            counts[name] = counts.get(name, 0) + 1
    assert counts == {
        "Equalize": 12, "Color": 9, "Rotate": 7, "Solarize": 8, "ShearY": 4, "ShearX": 2,
        "SolarizeAdd": 2, "Posterize": 2, "AutoContrast": 2, "Invert": 1, "TranslateY": 1,
    }  # fmt: skip
    assert sum(p for pair in _SUB_POLICIES for _, p, _ in pair) == pytest.approx(29.8)
    assert sum(level for pair in _SUB_POLICIES for _, _, level in pair) == 240


@pytest.mark.slow
@pytest.mark.parametrize("sign", [-1, 1])
def test_the_drawn_sub_policy_is_applied(sign):
    # Every sub-policy, with draws just below the probabilities of its operations.
    draws, expected = [], []
    for index, pair in enumerate(_SUB_POLICIES):
        signs = [0.49 if sign < 0 else 0.5] * 2
        draws.append([(index + 0.5) / 25, *(p - 0.01 for _, p, _ in pair), *signs])
        image = tf.constant(np.round(IMAGE * 255).astype(np.uint8))
        for name, probability, level in pair:
            if probability:
                image = APPLY[name](image, level, sign)
        expected.append(image)
    policy = RandomSubPolicy(translation=10)
    actual = levels(policy(repeated(25), tf.constant(draws, tf.float32)))
    for pair, ours, theirs in zip(_SUB_POLICIES, actual, expected, strict=True):
        assert close(ours, theirs), pair


def test_each_operation_of_a_sub_policy_has_its_probability():
    # With a draw above its probability, an operation is skipped and the other one is applied.
    policy = RandomSubPolicy(translation=10)
    for skipped in (0, 1):
        draws, expected = [], []
        for index, pair in enumerate(_SUB_POLICIES):
            apply = [0.0, 0.0]
            apply[skipped] = min(pair[skipped][1] + 0.01, 0.999)
            draws.append([(index + 0.5) / 25, *apply, 0.5, 0.5])
            image = tf.constant(np.round(IMAGE * 255).astype(np.uint8))
            for place, (name, probability, level) in enumerate(pair):
                if apply[place] < probability:
                    image = APPLY[name](image, level, 1)
            expected.append(image)
        actual = levels(policy(repeated(25), tf.constant(draws, tf.float32)))
        for pair, ours, theirs in zip(_SUB_POLICIES, actual, expected, strict=True):
            assert close(ours, theirs), (skipped, pair)


@pytest.mark.slow
def test_choices_are_equally_likely():
    # Every draw in an interval of length 1/25 (RandAugment: 1/17) selects the same operations.
    for policy, choices in ((RandomSubPolicy(10), 25), (RandomOperations(1, 9), 17)):
        views = []
        for within in (0.001, 0.5, 0.999):
            draws = np.full([choices, policy.num_draws], 0.3, "float32")
            draws[:, 0] = (np.arange(choices) + within) / choices
            views.append(policy(repeated(choices), tf.constant(draws)).numpy())
        np.testing.assert_array_equal(views[0], views[1])
        np.testing.assert_array_equal(views[0], views[2])
        assert len(np.unique(views[0].reshape(choices, -1), axis=0)) > choices / 2


@pytest.mark.slow
@pytest.mark.parametrize("magnitude", [2, 9])
def test_the_drawn_operation_is_applied(magnitude):
    names = ["Identity", "Cutout", *operations(0)]
    assert set(names[2:]) == set(APPLY)
    assert len(names) == 17
    policy = RandomOperations(1, magnitude, translation=10, cutout=5)
    for first, sign in ((0.25, -1), (0.75, 1)):
        draws = [[(names.index(name) + 0.5) / 17, first, 0.5] for name in names]
        actual = levels(policy(repeated(len(names)), tf.constant(draws, tf.float32)))
        for name, ours in zip(names, actual, strict=True):
            image = tf.constant(np.round(IMAGE * 255).astype(np.uint8))
            if name == "Cutout":
                image = geometry.cutout(image, magnitude // 2, first, 0.5)
            elif name != "Identity":
                image = APPLY[name](image, magnitude, sign)
            assert close(ours, image), name


@pytest.mark.slow
def test_several_operations_are_applied_in_sequence():
    names = ["Identity", "Cutout", *operations(0)]

    def pick(name):
        return (names.index(name) + 0.5) / 17

    draws = tf.constant([[pick("Solarize"), 0, 0, pick("Invert"), 0, 0, pick("Identity"), 0, 0]])
    views = RandomOperations(3, 5)(repeated(1), tf.cast(draws, tf.float32))
    image = np.round(IMAGE * 255).astype(int)
    expected = 255 - np.where(image < 128, image, 255 - image)
    np.testing.assert_array_equal(levels(views[0]), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_ops": 0}, "`num_ops` must be an integer of at least 1. Received: 0"),
        ({"magnitude": 10.5}, "`magnitude` must be between 0 and 10. Received: 10.5"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        RandomOperations(**arguments)
