"""Linear classifiers of precomputed features."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np
from numpy.typing import ArrayLike

from supcon_tf._checks import check_integer, check_positive
from supcon_tf._requirements import require_extra
from supcon_tf.evaluation.inputs import check_class_ids, check_class_range, check_matrix

if TYPE_CHECKING:
    from sklearn.model_selection import GridSearchCV


def linear_probe(
    features: ArrayLike,
    labels: ArrayLike,
    num_classes: int,
    *,
    epochs: int = 40,
    batch_size: int = 256,
    learning_rate: float = 0.01,
) -> keras.Sequential:
    """Fits a linear softmax classifier with Adam.

    The loss is the mean cross-entropy without regularization, and the learning rate follows a
    cosine decay to 0. This trains the same classifier as `LinearClassifier` on a frozen encoder,
    but does not recompute the features in each epoch. Unlike `logistic_regression`, it handles any
    number of rows, does not need scikit-learn, and returns a Keras model that can be stacked on an
    encoder.

    Reference: Khosla et al., 2020, section 4 (https://arxiv.org/abs/2004.11362).

    Examples:
        >>> import numpy as np
        >>> from supcon_tf import evaluation
        >>> features = np.array([[0.0, 1.0], [0.1, 0.9], [1.0, 0.0], [0.9, 0.2]])
        >>> labels = [0, 0, 1, 1]
        >>> probe = evaluation.linear_probe(features, labels, num_classes=2, learning_rate=0.1)
        >>> probe.predict(features, verbose=0).argmax(axis=1).tolist()
        [0, 0, 1, 1]

    Args:
        features: `[rows, dim]`.
        labels: `[rows]` or `[rows, 1]` integer class ids from 0 to `num_classes - 1`.
        num_classes: number of classes.
        epochs: number of passes over the rows.
        batch_size: number of rows in a batch.
        learning_rate: initial learning rate of Adam.

    Returns:
        A model with one dense layer, from features `[batch, dim]` to logits `[batch, num_classes]`.

    Raises:
        ValueError: if an argument is not as described.
    """
    features = check_matrix("features", features)
    labels = check_class_ids("labels", labels, len(features))
    for argument, value in {
        "num_classes": num_classes,
        "epochs": epochs,
        "batch_size": batch_size,
    }.items():
        check_integer(argument, value)
    check_class_range("labels", labels, num_classes)
    check_positive("learning_rate", learning_rate)
    probe = keras.Sequential(
        [keras.Input(features.shape[1:]), keras.layers.Dense(num_classes, dtype="float32")]
    )
    steps = epochs * -(-len(features) // batch_size)
    probe.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(learning_rate, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    probe.fit(features, labels, batch_size=batch_size, epochs=epochs, verbose=0)
    return probe


def logistic_regression(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    penalties: Sequence[float] = (1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2, 1e3),
    validation_fraction: float = 0.2,
    seed: int = 0,
    max_iterations: int = 1000,
) -> "GridSearchCV":
    r"""Fits multinomial logistic regression and selects the penalty on held-out rows.

    $$\min_{W, b} \sum_i -\log p_{W, b}(y_i \mid x_i) + \frac{\lambda}{2} |W|^2$$

    A random stratified sample of the rows is held out. For each penalty, a classifier is fitted to
    the other rows and tested on the held-out rows. Finally, a classifier is fitted to all rows with
    the most accurate penalty.

    Reference: Kornblith et al., 2019 (https://arxiv.org/abs/1805.08974), with 45 penalties from
    1e-6 to 1e5: `numpy.logspace(-6, 5, 45)`.

    Examples:
        >>> import numpy as np
        >>> from supcon_tf import evaluation
        >>> labels = np.arange(40) % 2
        >>> features = np.random.default_rng(0).normal(size=[40, 3]) + 4 * labels[:, None]
        >>> evaluation.logistic_regression(features, labels).score(features, labels)
        1.0

    Args:
        features: `[rows, dim]`.
        labels: `[rows]` or `[rows, 1]` integer class ids, none of them -1, with at least two rows
            of each class.
        penalties: values of $\lambda$ to select from, all positive.
        validation_fraction: fraction of the rows that is held out, with at least one row of each
            class.
        seed: seed of the choice of held-out rows.
        max_iterations: largest number of iterations of L-BFGS. scikit-learn warns if they are too
            few.

    Returns:
        A fitted `GridSearchCV` of scikit-learn. Its methods `predict`, `predict_proba` and `score`
        use the selected classifier, and `best_params_["C"]` is the inverse of its penalty.

    Raises:
        ImportError: if scikit-learn is not installed.
        ValueError: if an argument is not as described.
    """
    with require_extra("logistic_regression", "scikit-learn"):
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit
    features = check_matrix("features", features)
    labels = check_class_ids("labels", labels, len(features))
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2 or counts.min() < 2:
        raise ValueError(
            "`labels` must hold at least two classes, with at least two rows each. Received: "
            f"{len(classes)} classes, {counts.min()} rows of class {classes[counts.argmin()]}"
        )
    if not len(penalties) or not all(0 < penalty < math.inf for penalty in penalties):
        raise ValueError(f"`penalties` must be positive finite numbers. Received: {penalties}")
    if not 0 < validation_fraction < 1:
        raise ValueError(
            f"`validation_fraction` must be between 0 and 1. Received: {validation_fraction!r}"
        )
    search = GridSearchCV(
        LogisticRegression(max_iter=max_iterations),
        {"C": [1 / penalty for penalty in penalties]},
        cv=StratifiedShuffleSplit(1, test_size=validation_fraction, random_state=seed),
    )
    return search.fit(features, labels)
