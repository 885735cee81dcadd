import keras
import pytest
import tensorflow as tf

from supcon_tf.optimizers import WarmUp


@pytest.mark.parametrize(
    ("step", "expected"), [(0, 0.01), (5, 0.105), (10, 0.2), (60, 0.1), (110, 0.0), (200, 0.0)]
)
def test_warm_up_before_a_cosine(step, expected):
    schedule = WarmUp(keras.optimizers.schedules.CosineDecay(0.2, 100), 10, start=0.01)
    assert float(schedule(step)) == pytest.approx(expected, abs=1e-7)
    rebuilt = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule))
    assert float(rebuilt(step)) == float(schedule(step))


@pytest.fixture
def check_numerics():
    """Raises an error at every operation whose result is infinite or NaN."""
    tf.debugging.enable_check_numerics()
    yield
    tf.debugging.disable_check_numerics()


def test_warm_up_of_no_steps_is_the_other_schedule(check_numerics):
    decay = keras.optimizers.schedules.ExponentialDecay(1.0, 5, 0.97, staircase=True)
    for step in (0, 4, 5, 12):
        assert float(WarmUp(decay, 0)(step)) == pytest.approx(0.97 ** (step // 5), rel=1e-6)


def test_warm_up_of_one_step():
    schedule = WarmUp(keras.optimizers.schedules.CosineDecay(0.2, 100), 1)
    assert [float(schedule(step)) for step in (0, 0.5, 1)] == pytest.approx([0.0, 0.1, 0.2])


@pytest.mark.slow
def test_bad_arguments():
    cosine = keras.optimizers.schedules.CosineDecay(0.2, 100)
    with pytest.raises(ValueError, match="`steps` must not be negative. Received: -1"):
        WarmUp(cosine, -1)
    with pytest.raises(ValueError, match="`schedule` must be a learning rate sched.*Received: 0.1"):
        WarmUp(0.1, 10)
