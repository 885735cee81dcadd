import numpy as np
import pytest
from scipy import optimize, special

from supcon_tf.commands.confidence import (
    find_unknown_threshold,
    fit_temperature,
    to_probabilities,
)

LOGITS = np.random.default_rng(0).normal(size=[50, 4]).astype(np.float32)


def test_probabilities():
    np.testing.assert_allclose(
        to_probabilities(LOGITS, 0.5, multi_label=False),
        special.softmax(LOGITS.astype(float) / 0.5, axis=1),
    )
    np.testing.assert_allclose(
        to_probabilities(LOGITS, 0.5, multi_label=True), special.expit(LOGITS.astype(float) / 0.5)
    )


@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
def test_the_temperature_minimizes_the_cross_entropy(scale):
    rng = np.random.default_rng(1)
    logits = rng.normal(size=[5000, 3]) * 2
    labels = [rng.choice(3, p=row) for row in special.softmax(logits, axis=1)]
    scaled = (scale * logits).astype(np.float32)

    def cross_entropy(log_temperature):
        probabilities = special.softmax(scaled / np.exp(log_temperature), axis=1)
        return -np.log(probabilities[np.arange(5000), labels]).mean()

    best = np.exp(optimize.minimize_scalar(cross_entropy, bounds=(-3, 3)).x)
    temperature = fit_temperature(scaled, np.eye(3, dtype=np.float32)[labels])
    assert temperature == pytest.approx(best, rel=0.02)
    assert temperature == pytest.approx(scale, rel=0.1)


def test_sigmoids_are_calibrated_with_several_labels():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=[3000, 3]) * 2
    indicators = (rng.uniform(size=logits.shape) < special.expit(logits)).astype(np.float32)
    assert fit_temperature(2 * logits, indicators) == pytest.approx(2, rel=0.1)


def test_predictions_without_an_error_do_not_become_certain():
    labels = LOGITS.argmax(axis=1)
    temperature = fit_temperature(LOGITS, np.eye(4, dtype=np.float32)[labels])
    confidence = to_probabilities(LOGITS, temperature, multi_label=False).max(axis=1)
    assert 0.9 < confidence.mean() < 1


def test_one_in_twenty_right_predictions_is_unknown():
    probabilities = np.full([202, 2], 0.5)
    probabilities[:, 0] = np.linspace(0.6, 0.9, 202)
    probabilities[:, 1] = 1 - probabilities[:, 0]
    labels = np.arange(202) % 2  # Class 0 is predicted: every other prediction is right.
    right = probabilities[::2, 0]
    threshold = find_unknown_threshold(probabilities, labels)
    assert (right < threshold).sum() == 5
    assert find_unknown_threshold(probabilities, np.ones(202, int)) == 0
