r"""The contrastive losses of rows, out of row-wise reductions of their similarities.

Each is a function of a few numbers per anchor: log-sum-exps and means over its positives P(i), its
negatives N(i) and all others A(i).
"""

from typing import Any

import tensorflow as tf

from supcon_tf.similarity.label_sums import (
    Classes,
    Distributions,
    Labels,
    global_weight_sums,
    weighted_similarities,
)
from supcon_tf.similarity.masks import ABSENT, NEGATIVES, OTHERS, POSITIVES, Rows
from supcon_tf.similarity.streaming import (
    SAFE_SPREAD,
    LogSumExp,
    Reduction,
    Settings,
    reduce_rows,
)
from supcon_tf.similarity.tiles import DEFAULT_BLOCK_SIZE

SUMMATIONS = ("outside", "inside")
DENOMINATORS = ("all", "one_positive", "only_negatives")
WEIGHTINGS = ("similarity_sum", "contrast_count")

# Below this an anchor resembles no other row: its weights are rounding errors.
_NO_POSITIVE = 1e-6


def supcon(
    anchors: Rows,
    contrasts: Rows | None,
    temperature: float | tf.Tensor,
    *,
    summation: str = "outside",
    denominator: str = "all",
    positives_cap: int | None = None,
    unit_length: bool = False,
    block_size: int | None = None,
    product_dtype: str | None = None,
    replica: tf.distribute.ReplicaContext | None = None,
) -> tf.Tensor:
    r"""Computes the supervised contrastive loss of every anchor.

    With the log-probability of a positive, $\log (e^{s_{ip}} / \sum_{a \in D} e^{s_{ia}})$:

    - `summation="outside"`: minus its mean over P(i), L_out of the paper (Eq. 2);
      `"inside"`: minus the logarithm of the mean probability, L_in (Eq. 3);
    - `denominator="all"`: D = A(i), as in the paper; `"one_positive"`: p itself and N(i);
      `"only_negatives"`: N(i).

    Reference: Khosla et al., "Supervised Contrastive Learning", 2020
    (https://arxiv.org/abs/2004.11362); the denominators are those of the authors' TensorFlow code.

    Args:
        anchors: the rows i.
        contrasts: the rows they are compared with; `None` if they are the anchors.
        temperature: tau, above 0: a number, or a scalar tensor, with respect to which there is no
            gradient.
        summation: `"outside"` or `"inside"`.
        denominator: `"all"`, `"one_positive"` or `"only_negatives"`.
        positives_cap: `None`, or of how many samples besides its own an anchor keeps the views as
            positives (see `masks.set_mask`), for rows that were described with `ranked`.
        unit_length: whether all rows are known to have length 1; then, for a temperature that is a
            number, one exponential per pair is known to be safe, or not, before the first batch.
        block_size: largest number of rows and of columns of a tile.
        product_dtype: `"bfloat16"` to round the factors of products, `None` not to.
        replica: `None`, or the replica whose rows the anchors are, with everyone's as contrasts
            (see `losses.gathered_rows.gather_rows`).

    Returns:
        `[anchors]` losses; 0, with gradient 0, for an anchor without positives or whose denominator
        is empty.

    Raises:
        ValueError: if there is a cap on the positives of rows that are not ranked.
    """
    if positives_cap is not None and anchors.rank is None:
        raise ValueError(
            "`positives_cap` needs rows that were described with `ranked=True`. Received: "
            f"positives_cap={positives_cap}"
        )

    # Each is a tensor or a LogSumExp, as its kind says.
    def reductions(
        *kinds_and_sets: tuple[str, str], log_negatives: LogSumExp | None = None
    ) -> list[Any]:
        settings = Settings(
            _scalar(temperature, anchors.z.dtype),
            tuple(Reduction(*x) for x in kinds_and_sets),
            _one_exponential(temperature, unit_length),
            positives_cap,
            block_size=block_size or DEFAULT_BLOCK_SIZE,
            product_dtype=product_dtype,
        )
        return reduce_rows(anchors, contrasts, settings, log_negatives, replica)

    outside = summation == "outside"
    positives = ("sum" if outside else "logsumexp", POSITIVES), ("count", POSITIVES)
    if denominator == "one_positive":
        (log_negatives,) = reductions(("logsumexp", NEGATIVES))
        positive, count = reductions(*positives, log_negatives=log_negatives)
        zeros = tf.zeros_like(count)
        log_denominator = LogSumExp(zeros, zeros)  # every term has its own
    else:
        among = OTHERS if denominator == "all" else NEGATIVES
        log_denominator, positive, count = reductions(("logsumexp", among), *positives)
    # NaN is not an empty sum. Only equalities are safe here: a graph optimizer turns the negation
    # of an inequality round, which is true for NaN, into the opposite inequality, which is not.
    empty = (count == 0) | (log_denominator.log_total == count.dtype.min)
    count = tf.maximum(count, 1)
    # The maxima meet each other, or the similarities, before the smaller logarithms are added.
    if outside:
        losses = (log_denominator.maximum - positive / count) + log_denominator.log_total
    else:
        losses = (log_denominator.maximum - positive.maximum) + (
            log_denominator.log_total - positive.log_total + tf.math.log(count)
        )
    return tf.where(empty, tf.zeros_like(losses), losses)


def generalized_supcon(
    anchors: Rows,
    label_rows: tf.Tensor,
    contrasts: Rows | None,
    contrast_label_rows: tf.Tensor | None,
    temperature: float | tf.Tensor,
    *,
    weighting: str = "similarity_sum",
    unit_length: bool = False,
    block_size: int | None = None,
    product_dtype: str | None = None,
    replica: tf.distribute.ReplicaContext | None = None,
) -> tf.Tensor:
    r"""Computes the contrastive loss of every anchor whose targets are label similarities.

    $$\ell_i = -\frac{1}{n_i} \sum_{j \in A(i)} w_{ij}
        \log \frac{\exp(s_{ij})}{\sum_{a \in A(i)} \exp(s_{ia})}$$

    with the cosine $w_{ij}$ of the label rows of i and j, and $n_i = \sum_j w_{ij}$ (the authors'
    code) or $n_i = |A(i)|$ (the paper's equation).

    Reference: Kim et al., "Generalized Supervised Contrastive Learning", 2022
    (https://arxiv.org/abs/2206.00384), Eq. 2.

    Args:
        anchors: the rows i. Rows of the same `group` have w = 1 in addition: those of a sample
            without a label. Every other row must be in a group of its own.
        label_rows: `[anchors, classes]` non-negative numbers of any scale.
        contrasts: the rows they are compared with; `None` if they are the anchors.
        contrast_label_rows: `[contrasts, classes]`; `None` if they are the anchors', or if those of
            other replicas are not here.
        temperature: tau, above 0: a number, or a scalar tensor, with respect to which there is no
            gradient.
        weighting: `"similarity_sum"` or `"contrast_count"`.
        unit_length: whether all rows are known to have length 1; then, for a temperature that is a
            number, one exponential per pair is known to be safe, or not, before the first batch.
        block_size: largest number of rows and of columns of a tile.
        product_dtype: `"bfloat16"` to round the factors of products, `None` not to.
        replica: `None`, or the replica whose rows the anchors are, with everyone's as contrasts
            (see `losses.gathered_rows.gather_rows`).

    Returns:
        `[anchors]` losses; 0, with gradient 0, for an anchor that resembles no contrast.
    """
    settings = Settings(
        _scalar(temperature, anchors.z.dtype),
        (Reduction("logsumexp", OTHERS),),
        _one_exponential(temperature, unit_length),
        block_size=block_size or DEFAULT_BLOCK_SIZE,
        product_dtype=product_dtype,
    )
    (log_denominator,) = reduce_rows(anchors, contrasts, settings, replica=replica)
    labels: list[Labels] = [Distributions(label_rows), Classes(anchors.group)]
    contrast_labels: list[Labels | None] = [
        None if contrast_label_rows is None else Distributions(contrast_label_rows),
        None if contrasts is None else Classes(contrasts.group),
    ]
    c = None if contrasts is None else contrasts.z
    tau = _scalar(temperature, tf.float64)
    parts = list(zip(labels, contrast_labels, strict=True))
    similar = tf.add_n(
        [weighted_similarities(anchors.z, y, c, other, tau, replica) for y, other in parts]
    )
    weights = tf.add_n([global_weight_sums(y, other, replica) for y, other in parts])
    empty = weights <= _NO_POSITIVE  # not so for NaN
    if weighting == "similarity_sum":
        count = tf.where(empty, tf.ones_like(weights), weights)
    else:
        present = (contrasts or anchors).index != ABSENT
        columns = tf.math.count_nonzero(present, dtype=tf.int32)
        itself = contrasts is None or replica is not None
        count = tf.cast(tf.maximum(columns - int(itself), 1), weights.dtype)
    share, count = tf.cast(weights / count, similar.dtype), tf.cast(count, similar.dtype)
    loss = share * log_denominator.maximum - similar / count + share * log_denominator.log_total
    return tf.where(empty, tf.zeros_like(loss), loss)


def _scalar(value: float | tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Makes a scalar of a number, without a detour through float32, or of a tensor."""
    return tf.cast(value, dtype) if tf.is_tensor(value) else tf.constant(value, dtype)


def _one_exponential(temperature: float | tf.Tensor, unit_length: bool) -> bool | None:
    """Tells whether one exponential serves all pairs, `None` if only their values tell."""
    if tf.is_tensor(temperature) or not unit_length:
        return None
    return 2 / temperature < SAFE_SPREAD
