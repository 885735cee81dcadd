import numpy as np
import pytest

from supcon_tf import evaluation

ERRORS = {"fog": [0.2, 0.4, 0.5], "snow": [0.3, 0.3, 0.6]}
REFERENCE = {"snow": [0.5, 0.7, 0.9], "fog": [0.4, 0.6, 0.8]}


def test_by_hand():
    """Errors are summed over severities before the division."""
    error = evaluation.mean_corruption_error(ERRORS, REFERENCE)
    assert error == pytest.approx((1.1 / 1.8 + 1.2 / 2.1) / 2)
    error = evaluation.relative_mean_corruption_error(ERRORS, 0.1, REFERENCE, 0.3)
    assert error == pytest.approx((0.8 / 0.9 + 0.9 / 1.2) / 2)


def test_the_reference_itself_and_means_over_severities():
    assert evaluation.mean_corruption_error(evaluation.ALEXNET_ERRORS) == pytest.approx(1)
    assert evaluation.relative_mean_corruption_error(
        evaluation.ALEXNET_ERRORS, evaluation.ALEXNET_CLEAN_ERROR
    ) == pytest.approx(1)
    means = {corruption: np.mean(errors) for corruption, errors in REFERENCE.items()}
    assert evaluation.mean_corruption_error(ERRORS, means) == pytest.approx(
        evaluation.mean_corruption_error(ERRORS, REFERENCE)
    )


def test_resnet_18_of_the_paper():
    """Table 1 of Hendrycks and Dietterich, 2019: rounded ratios, mCE 84.7, relative mCE 103.9.

    The clean error is 30.2 %.
    """
    ratios = [0.87, 0.88, 0.91, 0.84, 0.91, 0.87, 0.89, 0.86, 0.84, 0.78, 0.69, 0.78, 0.90, 0.80]
    ratios.append(0.85)
    errors = {
        corruption: 5 * [ratio * error]
        for ratio, (corruption, error) in zip(
            ratios, evaluation.ALEXNET_ERRORS.items(), strict=True
        )
    }
    assert evaluation.mean_corruption_error(errors) == pytest.approx(0.847, abs=0.005)
    relative = evaluation.relative_mean_corruption_error(errors, 0.302)
    assert relative == pytest.approx(1.039, abs=0.005)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({}, 0.1, {}), "must hold the same corruptions"),
        (({"fog": [0.1]}, 0.1, REFERENCE), r"same corruptions.*only in `reference` \['snow'\]"),
        ((ERRORS, 0.1), r"same corruptions.*only in `reference` \['brightness'"),
        (
            ({**ERRORS, "fog": [0.1]}, 0.1, REFERENCE, 0.1),
            "severities. Received: 1 and 3 for 'fog'",
        ),
        (
            ({**ERRORS, "fog": [20, 40, 50]}, 0.1, REFERENCE),
            r"`errors\['fog'\]` must be error rate",
        ),
        (({**ERRORS, "fog": []}, 0.1, REFERENCE), r"`errors\['fog'\]` must be error rates"),
        ((ERRORS, 10, REFERENCE), "`clean` must be error rates.*Received: 10"),
        ((ERRORS, 0.1, REFERENCE, 0.6), "exceed the error on clean images. Received: .*'fog'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        evaluation.relative_mean_corruption_error(*arguments)
