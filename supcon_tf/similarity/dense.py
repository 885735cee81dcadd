"""The SupCon losses as in the paper, with the whole similarity matrix in memory.

A short reference to compare with the equations, and for tests to compare the streaming losses with.
No device rounds the factors of its products. These losses are differentiable any number of times.
"""

import tensorflow as tf

from supcon_tf.labels import UNLABELED
from supcon_tf.similarity.dot import inner_products


def positive_mask(class_ids: tf.Tensor, sample_ids: tf.Tensor) -> tf.Tensor:
    """Marks the positives P(i) of every anchor i.

    Args:
        class_ids: `[rows]` integers, the class of each row; -1 marks a row without a label.
        sample_ids: `[rows]` integers, equal for the views of one sample.

    Returns:
        `[rows, rows]` booleans: the other rows of the same class or the same sample.
    """
    labeled = class_ids != UNLABELED
    same_class = (class_ids[:, None] == class_ids[None, :]) & labeled[:, None]
    same_sample = sample_ids[:, None] == sample_ids[None, :]
    itself = tf.eye(tf.shape(class_ids)[0], dtype=tf.bool)
    return (same_class | same_sample) & ~itself


def supcon_dense(
    projections: tf.Tensor,
    class_ids: tf.Tensor,
    sample_ids: tf.Tensor,
    temperature: float,
    *,
    summation: str = "outside",
    denominator: str = "all",
) -> tf.Tensor:
    r"""Computes the loss of every anchor from the full similarity matrix.

    $$\ell_i = \frac{-1}{|P(i)|} \sum_{p \in P(i)}
        \log \frac{\exp(z_i \cdot z_p / \tau)}{\sum_{a \in A(i)} \exp(z_i \cdot z_a / \tau)}$$

    is the default, L^sup_out of the paper. See `row_losses.supcon` for the other sums and
    denominators.

    Reference: Khosla et al., "Supervised Contrastive Learning", 2020, Eq. 2 and 3
    (https://arxiv.org/abs/2004.11362).

    Args:
        projections: `[rows, dim]` floating point z, usually of unit length.
        class_ids: `[rows]` integers, the class of each row; -1 marks a row without a label.
        sample_ids: `[rows]` integers, equal for the views of one sample.
        temperature: tau, above 0.
        summation: `"outside"` or `"inside"`.
        denominator: `"all"`, `"one_positive"` or `"only_negatives"`.

    Returns:
        `[rows]` losses in the dtype of `projections`; 0 for an anchor without a positive or whose
        denominator is empty.
    """
    dtype = projections.dtype
    lowest = tf.constant(dtype.min, dtype)
    similarity = inner_products(projections, projections) / temperature
    positives = positive_mask(class_ids, sample_ids)
    # A(i) does not include i itself. The mask must precede the maximum: at a temperature of 0.01,
    # relative to the similarity 1 / tau of a row with itself, all other exponentials underflow.
    others = ~tf.eye(tf.shape(similarity)[0], dtype=tf.bool)
    members = others if denominator == "all" else others & ~positives
    log_denominator = tf.reduce_logsumexp(tf.where(members, similarity, lowest), 1, keepdims=True)
    if denominator == "one_positive":
        # log(exp(s) + sum over negatives), a logaddexp
        log_denominator = similarity + tf.math.softplus(log_denominator - similarity)
    log_probability = similarity - log_denominator

    count = tf.reduce_sum(tf.cast(positives, dtype), axis=1)
    if summation == "outside":
        kept = tf.where(positives, log_probability, tf.zeros([], dtype))
        losses = -tf.math.divide_no_nan(tf.reduce_sum(kept, axis=1), count)
    else:
        kept = tf.where(positives, log_probability, lowest)
        losses = tf.math.log(tf.maximum(count, 1)) - tf.reduce_logsumexp(kept, axis=1)
    defined = count > 0
    if denominator == "only_negatives":
        defined &= tf.reduce_any(members, axis=1)
    return tf.where(defined, losses, tf.zeros([], dtype))
