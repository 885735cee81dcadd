"""The SupCon loss as the paper writes it, with the whole similarity matrix in memory.

Short enough to be checked against the equation by eye, and therefore the reference that every
other implementation is compared with.
"""

import tensorflow as tf

from supcon_tf.similarity.rows import UNLABELLED


def positive_mask(class_ids: tf.Tensor, sample_ids: tf.Tensor) -> tf.Tensor:
    """Marks the positives P(i) of every anchor i.

    Args:
        class_ids: `[rows]` integers, the class of each row; -1 is a row without a label.
        sample_ids: `[rows]` integers, equal for the views of one sample.

    Returns:
        `[rows, rows]` booleans: rows of the same class or the same sample, without the row itself.
    """
    labelled = class_ids != UNLABELLED
    same_class = (class_ids[:, None] == class_ids[None, :]) & labelled[:, None]
    same_sample = sample_ids[:, None] == sample_ids[None, :]
    itself = tf.eye(tf.shape(class_ids)[0], dtype=tf.bool)
    return (same_class | same_sample) & ~itself


def supcon_dense(
    projections: tf.Tensor, class_ids: tf.Tensor, sample_ids: tf.Tensor, temperature: float
) -> tf.Tensor:
    r"""Computes L^sup_out of every anchor from the full similarity matrix.

    $$\ell_i = \frac{-1}{|P(i)|} \sum_{p \in P(i)}
        \log \frac{\exp(z_i \cdot z_p / \tau)}{\sum_{a \in A(i)} \exp(z_i \cdot z_a / \tau)}$$

    Reference: Khosla et al., "Supervised Contrastive Learning", 2020, Eq. 2
    (https://arxiv.org/abs/2004.11362).

    Args:
        projections: `[rows, dim]` floating point z, usually of unit length.
        class_ids: `[rows]` integers, the class of each row; -1 is a row without a label.
        sample_ids: `[rows]` integers, equal for the views of one sample.
        temperature: tau, above 0.

    Returns:
        `[rows]` losses in the dtype of `projections`; 0 for an anchor without a positive.
    """
    dtype = projections.dtype
    similarity = tf.matmul(projections, projections, transpose_b=True) / temperature
    # A(i) leaves out i itself. It is removed before the maximum is taken: at a temperature of 0.01
    # the self similarity of 1 / tau would push every other exponential below the float32 range.
    itself = tf.eye(tf.shape(similarity)[0], dtype=tf.bool)
    others = tf.where(itself, tf.constant(dtype.min, dtype), similarity)
    log_denominator = tf.reduce_logsumexp(others, axis=1)

    positives = tf.cast(positive_mask(class_ids, sample_ids), dtype)
    num_positives = tf.reduce_sum(positives, axis=1)
    mean_positive = tf.math.divide_no_nan(
        tf.reduce_sum(positives * similarity, axis=1), num_positives
    )
    return tf.where(num_positives > 0, log_denominator - mean_positive, tf.zeros([], dtype))
