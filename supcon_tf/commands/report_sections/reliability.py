"""Whether the probabilities are right, and what the threshold of unknown images costs."""

import numpy as np
from numpy.typing import NDArray

from supcon_tf.commands.chart import (
    Axes,
    bar,
    chart,
    grid,
    key,
    key_line,
    line,
    marker,
    round_ticks,
)
from supcon_tf.commands.markup import Markup, element, join, percent, plural
from supcon_tf.commands.page import section
from supcon_tf.evaluation import expected_calibration_error, reliability_curve

_BINS = 15
_FIFTHS = (0, 0.2, 0.4, 0.6, 0.8, 1)


def reliability(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    temperature: float,
    threshold: float | None,
    noun: str = "image",
    *,
    same_images: bool,
) -> Markup:
    """Returns a section with the reliability diagram and the effect of the threshold.

    Args:
        probabilities: `[rows, classes]`.
        labels: `[rows]` class ids.
        temperature: the number by which the logits were divided.
        threshold: the probability below which a prediction is unknown; `None` for none.
        noun: what a row is, in the singular.
        same_images: whether the temperature and the threshold were fitted to these rows.
    """
    error = expected_calibration_error(probabilities, labels, _BINS)
    return section(
        "Calibration",
        element(
            "p",
            f"The expected calibration error is {percent(error)}: by so much, the probability of "
            "a prediction and the accuracy of predictions with that probability differ on average. "
            f"The logits were divided by the temperature {temperature:.3g}, which was fitted on "
            "held-out training images.",
            " These are the images of this report, so that the probabilities of other images are "
            "less right. Train with --test to measure by how much."
            if same_images
            else "",
        ),
        _threshold_in_words(probabilities, labels, threshold, noun),
        element(
            "div",
            _diagram(probabilities, labels),
            _histogram(probabilities, noun),
            _threshold_curves(probabilities, labels, threshold, noun) if threshold else "",
            class_="charts",
        ),
    )


def _threshold_in_words(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    threshold: float | None,
    noun: str,
) -> Markup:
    if not threshold:
        return join()
    answered = probabilities.max(axis=1) >= threshold
    right = probabilities.argmax(axis=1) == labels
    lost, caught = int(np.sum(right & ~answered)), int(np.sum(~right & ~answered))
    accuracy = (
        f"Of the other {plural(int(answered.sum()), noun)}, {percent(right[answered].mean())} are "
        "classified right"
        if answered.any()
        else "No prediction remains"
    )
    return element(
        "p",
        f"A prediction with a probability below {percent(threshold)} is unknown: "
        f"{plural(int(np.sum(~answered)), noun)} ({percent(float(np.mean(~answered)))}). "
        f"{accuracy}. "
        f"The threshold stops {caught:,} of {plural(int(np.sum(~right)), 'mistake')}, and costs "
        f"{lost:,} of {plural(int(np.sum(right)), 'right prediction')}.",
    )


def _diagram(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> Markup:
    curve = reliability_curve(probabilities, labels, _BINS)
    filled = curve.count > 0
    points = list(zip(curve.confidence[filled], curve.accuracy[filled], strict=True))
    axes = Axes((0, 1), (0, 1))
    picture = chart(
        axes,
        "Reliability diagram: accuracy against probability",
        _percent_grid(axes, "probability of the prediction", "accuracy"),
        line(axes, [(0, 0), (1, 1)], "var(--muted)", dashed=True),
        line(axes, points),
        *(
            marker(
                *axes.place(confidence, accuracy),
                0,
                f"probability {percent(confidence)}, accuracy {percent(accuracy)}, {count:,} times",
                color="var(--accent)",
            )
            for (confidence, accuracy), count in zip(points, curve.count[filled], strict=True)
        ),
    )
    names = key(
        [
            (key_line(), "this classifier"),
            (key_line("var(--muted)", dashed=True), "perfect probabilities"),
        ]
    )
    return element("figure", picture, names)


def _histogram(probabilities: NDArray[np.float64], noun: str) -> Markup:
    count, edges = np.histogram(probabilities.max(axis=1), _BINS, (0, 1))
    axes = Axes((0, 1), (0, 1.05 * max(float(count.max()), 1)))
    picture = chart(
        axes,
        f"Histogram of the probability of the prediction of each {noun}",
        grid(
            axes,
            "probability of the prediction",
            f"{noun}s",
            x_ticks=_FIFTHS,
            y_ticks=[tick for tick in round_ticks(*axes.y, count=4) if tick == int(tick)],
            x_format=_whole_percent,
            y_format="{:,.0f}".format,
        ),
        *(
            bar(
                axes,
                first,
                last,
                float(height),
                f"{percent(first, 0)} to {percent(last, 0)}: {plural(int(height), noun)}",
            )
            for first, last, height in zip(edges[:-1], edges[1:], count, strict=True)
            if height
        ),
    )
    return element("figure", picture)


def _threshold_curves(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], threshold: float, noun: str
) -> Markup:
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    steps = np.linspace(0, 1, 101)
    answered = [confidence >= step for step in steps]
    shares = [(step, chosen.mean()) for step, chosen in zip(steps, answered, strict=True)]
    accuracies = [
        (step, right[chosen].mean())
        for step, chosen in zip(steps, answered, strict=True)
        if chosen.any()
    ]
    axes = Axes((0, 1), (0, 1))
    picture = chart(
        axes,
        "Accuracy and share of the predictions above a threshold, against the threshold",
        _percent_grid(axes, "threshold of unknown predictions", "share"),
        line(axes, [(threshold, 0), (threshold, 1)], "var(--muted)", dashed=True),
        line(axes, accuracies),
        line(axes, shares, "var(--class-1)", dashed=True),
    )
    names = key(
        [
            (key_line(), "accuracy of what is not unknown"),
            (key_line("var(--class-1)", dashed=True), f"{noun}s that are not unknown"),
            (key_line("var(--muted)", dashed=True), f"threshold of this run, {percent(threshold)}"),
        ]
    )
    return element("figure", picture, names)


def _percent_grid(axes: Axes, x_label: str, y_label: str) -> Markup:
    """Returns the grid of a chart whose axes are fractions from 0 to 1."""
    return grid(
        axes,
        x_label,
        y_label,
        x_ticks=_FIFTHS,
        y_ticks=_FIFTHS,
        x_format=_whole_percent,
        y_format=_whole_percent,
    )


def _whole_percent(fraction: float) -> str:
    return percent(fraction, 0)
