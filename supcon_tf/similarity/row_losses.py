r"""The contrastive losses, computed from row-wise reductions of similarities.

Each loss is a function of a few numbers per anchor i: log-sum-exps and sums over its positives
P(i), its negatives N(i), or all other rows A(i).
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from supcon_tf.similarity.label_sums import (
    Classes,
    Distributions,
    Labels,
    global_weight_sums,
    weighted_similarities,
)
from supcon_tf.similarity.masks import NEGATIVES, OTHERS, POSITIVES, Rows, average_classes
from supcon_tf.similarity.pair_weights import pair_weight_sums, pair_weighted_similarities
from supcon_tf.similarity.reductions import (
    SAFE_SPREAD,
    LogSumExp,
    Reduction,
    join_log_sum_exps,
)
from supcon_tf.similarity.streaming import (
    BY_LENGTH,
    FIXED_SHIFT,
    RUNNING_MAXIMUM,
    Settings,
    reduce_rows,
)
from supcon_tf.similarity.tiles import default_block_size

SUMMATIONS = ("outside", "inside")
DENOMINATORS = ("all", "one_positive", "only_negatives", "class_average")
WEIGHTINGS = ("similarity_sum", "contrast_count")

# An anchor with a smaller sum of weights has no positives: its weights are rounding errors.
_NO_POSITIVE = 1e-6


def supcon(
    anchors: Rows,
    contrasts: Rows | None,
    temperature: float | tf.Tensor,
    *,
    summation: str = "outside",
    denominator: str = "all",
    margin: float = 0.0,
    positives_cap: int | None = None,
    unit_length: bool = False,
    block_size: int | None = None,
    product_dtype: str | None = None,
    replica: tf.distribute.ReplicaContext | None = None,
    references: tuple[Rows, Rows] | None = None,
) -> tf.Tensor:
    r"""Computes the supervised contrastive loss of every anchor.

    With $s_{ij} = z_i \cdot z_j / \tau$ and a denominator $D$,

    $$\ell^{out}_i = -\frac{1}{|P(i)|} \sum_{p \in P(i)}
            \log \frac{e^{s_{ip}}}{\sum_{a \in D} e^{s_{ia}}}, \qquad
        \ell^{in}_i = -\log \frac{1}{|P(i)|} \sum_{p \in P(i)}
            \frac{e^{s_{ip}}}{\sum_{a \in D} e^{s_{ia}}} .$$

    Reference: Khosla et al., "Supervised Contrastive Learning", 2020, Eq. 2 and 3
    (https://arxiv.org/abs/2004.11362). The denominators are options of the authors' TensorFlow
    code.

    Args:
        anchors: the rows i.
        contrasts: the rows that anchors are compared with; `None` if they are the anchors.
        temperature: tau, above 0: a number, or a scalar tensor, which receives no gradient.
        summation: `"outside"` for $\ell^{out}$, `"inside"` for $\ell^{in}$: whether the sum over
            positives is outside or inside the logarithm.
        denominator: `"all"` for D = A(i), as in the paper; `"one_positive"` for p and N(i);
            `"only_negatives"` for N(i); `"class_average"` for A(i), where every term is divided by
            the number of terms of its class (Zhu et al., 2022).
        margin: epsilon, subtracted from $s_{ip}$ in the denominator; for `"one_positive"` only
            (Barbano et al., 2023).
        positives_cap: the number of samples, besides its own, whose views an anchor keeps as
            positives (see `masks.set_mask`); `None` keeps all. It requires ranked rows.
        unit_length: whether all rows have length 1. If the temperature is also a number, the shift
            of the log-sum-exps is chosen without reading the rows.
        block_size: the largest number of rows and of columns of a tile; `None` for the size that
            suits the device.
        product_dtype: `"bfloat16"` to round the factors of products; `None` does not round.
        replica: `None`, or the replica that the anchors belong to. The contrasts are then the
            global rows (see `losses.gathered_rows.gather_rows`).
        references: `None`, or the anchors once more, and rows that they are also compared with,
            none of which is an anchor (see `masks.make_anchor_and_contrast_rows`).

    Returns:
        `[anchors]` losses; 0, with gradient 0, for an anchor without positives or whose denominator
        is empty.

    Raises:
        ValueError: if `positives_cap` is given and the rows are not ranked.
    """
    if positives_cap is not None and anchors.rank is None:
        raise ValueError(
            "`positives_cap` requires ranked rows: create them with `ranked=True`. Received: "
            f"positives_cap={positives_cap}"
        )
    if denominator == "class_average":
        anchors, contrasts = average_classes(anchors, contrasts)
    reduce = _reducer(
        anchors,
        contrasts,
        temperature,
        unit_length=unit_length,
        block_size=block_size,
        product_dtype=product_dtype,
        positives_cap=positives_cap,
        replica=replica,
        references=references,
    )
    outside = summation == "outside"
    positive_terms = Reduction("sum" if outside else "logsumexp", POSITIVES)
    positive_count = Reduction("count", POSITIVES)
    if denominator == "one_positive":
        # The terms are log-probabilities log(e^s_ip / (e^s_ip + sum over N(i) of e^s_ia)). A margin
        # multiplies the negatives by e^epsilon, and the quotient by e^-epsilon.
        (log_negatives,) = reduce(Reduction("logsumexp", NEGATIVES))
        log_negatives = log_negatives._replace(maximum=log_negatives.maximum + margin)
        positives, count = reduce(positive_terms, positive_count, log_negatives=log_negatives)
        zeros = tf.zeros_like(count)
        log_denominator = LogSumExp(zeros - margin, zeros)
    elif denominator == "class_average":
        log_negatives, log_positives, positives, count = reduce(
            Reduction("logsumexp", NEGATIVES, weighted=True),
            Reduction("logsumexp", POSITIVES),
            positive_terms,
            positive_count,
        )
        # The mean over the positives, which has no value without positives.
        no_positives = log_positives.log_total == count.dtype.min
        mean = log_positives.log_total - tf.math.log(tf.maximum(count, 1))
        log_total = tf.where(no_positives, count.dtype.min, mean)
        log_denominator = join_log_sum_exps(
            log_negatives, log_positives._replace(log_total=log_total)
        )
    else:
        # The terms are similarities; all positives of an anchor have the same denominator.
        column_set = OTHERS if denominator == "all" else NEGATIVES
        log_denominator, positives, count = reduce(
            Reduction("logsumexp", column_set), positive_terms, positive_count
        )
    # Both conditions are equalities, because they must be false for NaN. A graph optimizer of
    # TensorFlow replaces `~(a > b)`, which is true for NaN, by `a <= b`, which is false.
    empty = (count == 0) | (log_denominator.log_total == count.dtype.min)
    count = tf.maximum(count, 1)
    # Large numbers (maxima and similarities) cancel before the small logarithms are added.
    if outside:
        losses = (log_denominator.maximum - positives / count) + log_denominator.log_total
    else:
        losses = (log_denominator.maximum - positives.maximum) + (
            log_denominator.log_total - positives.log_total + tf.math.log(count)
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
    references: tuple[Rows, Rows] | None = None,
    reference_label_rows: tf.Tensor | None = None,
) -> tf.Tensor:
    r"""Computes the contrastive loss of every anchor, with label similarities as its targets.

    $$\ell_i = -\frac{1}{n_i} \sum_{j \in A(i)} w_{ij}
        \log \frac{\exp(s_{ij})}{\sum_{a \in A(i)} \exp(s_{ia})}$$

    with the cosine $w_{ij}$ of the label rows of i and j, and $n_i = \sum_j w_{ij}$ (the authors'
    code) or $n_i = |A(i)|$ (the paper's equation).

    Reference: Kim et al., "Generalized Supervised Contrastive Learning", 2022
    (https://arxiv.org/abs/2206.00384), Eq. 2.

    Args:
        anchors: the rows i. The rows of an unlabeled sample must share a `group`, which adds 1 to
            their w. Every other row must be in a group of its own.
        label_rows: `[anchors, classes]` non-negative numbers of any scale.
        contrasts: the rows that anchors are compared with; `None` if they are the anchors.
        contrast_label_rows: `[contrasts, classes]`. `None` if the contrasts are the anchors, or if
            the labels of the other replicas were not gathered.
        temperature: tau, above 0: a number, or a scalar tensor, which receives no gradient.
        weighting: `"similarity_sum"` or `"contrast_count"`.
        unit_length: as in `supcon`.
        block_size: the largest number of rows and of columns of a tile; `None` for the size that
            suits the device.
        product_dtype: `"bfloat16"` to round the factors of products; `None` does not round.
        replica: `None`, or the replica that the anchors belong to. The contrasts are then the
            global rows (see `losses.gathered_rows.gather_rows`).
        references: as in `supcon`.
        reference_label_rows: `[references, classes]`, with `references`.

    Returns:
        `[anchors]` losses; 0, with gradient 0, for an anchor whose label has similarity 0 with all
        others.
    """
    reduce = _reducer(
        anchors,
        contrasts,
        temperature,
        unit_length=unit_length,
        block_size=block_size,
        product_dtype=product_dtype,
        replica=replica,
        references=references,
    )
    (log_denominator,) = reduce(Reduction("logsumexp", OTHERS))
    tau = _scalar(temperature, tf.float64)

    def compare(
        anchors: Rows,
        contrasts: Rows | None,
        contrast_label_rows: tf.Tensor | None,
        replica: tf.distribute.ReplicaContext | None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the sums over the contrasts of w_ij s_ij and of w_ij."""
        # Cosines of label rows, and 1 between the views of an unlabeled sample.
        labels: list[Labels] = [Distributions(label_rows), Classes(anchors.group)]
        contrast_labels: list[Labels | None] = [
            None if contrast_label_rows is None else Distributions(contrast_label_rows),
            None if contrasts is None else Classes(contrasts.group),
        ]
        c = None if contrasts is None else contrasts.z
        both_kinds = list(zip(labels, contrast_labels, strict=True))
        similar = tf.add_n(
            [weighted_similarities(anchors.z, y, c, other, tau, replica) for y, other in both_kinds]
        )
        return similar, tf.add_n([global_weight_sums(y, x, replica) for y, x in both_kinds])

    similar, weights = compare(anchors, contrasts, contrast_label_rows, replica)
    others = _num_others(anchors, contrasts, replica)
    if references is not None:
        similar_references, reference_weights = compare(*references, reference_label_rows, None)
        similar, weights = similar + similar_references, weights + reference_weights
        others += _num_others(*references, None)
    return _weighted_loss(log_denominator, similar, weights, weighting, others)


def pairwise_supcon(
    anchors: Rows,
    pair_weights: tf.Tensor,
    contrasts: Rows | None,
    views: int | tf.Tensor,
    temperature: float | tf.Tensor,
    *,
    weighting: str = "similarity_sum",
    unit_length: bool = False,
    block_size: int | None = None,
    product_dtype: str | None = None,
    replica: tf.distribute.ReplicaContext | None = None,
) -> tf.Tensor:
    r"""Computes the loss of `generalized_supcon` with given weights $w_{ij}$ of pairs of samples.

    Args:
        anchors: the rows i, sample by sample.
        pair_weights: `[batch, samples]` numbers or booleans, the weights of all samples for the
            samples of the anchors.
        contrasts: the rows of all samples; `None` if they are the anchors.
        views: number of views of each sample.
        temperature: as in `generalized_supcon`.
        weighting: as in `generalized_supcon`.
        unit_length: as in `generalized_supcon`.
        block_size: as in `generalized_supcon`.
        product_dtype: as in `generalized_supcon`.
        replica: as in `generalized_supcon`.

    Returns:
        `[anchors]` losses; 0, with gradient 0, for an anchor whose weights are all 0.
    """
    reduce = _reducer(
        anchors,
        contrasts,
        temperature,
        unit_length=unit_length,
        block_size=block_size,
        product_dtype=product_dtype,
        replica=replica,
    )
    (log_denominator,) = reduce(Reduction("logsumexp", OTHERS))
    similar = pair_weighted_similarities(
        anchors.z,
        pair_weights,
        None if contrasts is None else contrasts.z,
        views,
        _scalar(temperature, anchors.z.dtype),
        replica,
    )
    weights = pair_weight_sums(pair_weights, views, replica)
    others = _num_others(anchors, contrasts, replica)
    return _weighted_loss(log_denominator, similar, weights, weighting, others)


def _weighted_loss(
    log_denominator: LogSumExp,
    similar: tf.Tensor,
    weights: tf.Tensor,
    weighting: str,
    num_others: tf.Tensor,
) -> tf.Tensor:
    r"""Computes $-\frac{1}{n_i} \sum_j w_{ij} (s_{ij} - \log D_i)$ of every anchor.

    Args:
        log_denominator: $\log D_i$.
        similar: `[anchors]`, $\sum_j w_{ij} s_{ij}$.
        weights: `[anchors]` float64, $\sum_j w_{ij}$.
        weighting: `"similarity_sum"` or `"contrast_count"`.
        num_others: $|A(i)|$.
    """
    # Labels have no gradient. TensorFlow computes that of a traced function by all of its inputs,
    # and XLA cannot return what the gradient of a loop over blocks of labels needs.
    weights = tf.stop_gradient(weights)
    empty = weights <= _NO_POSITIVE  # false for NaN
    if weighting == "similarity_sum":
        count = tf.where(empty, tf.ones_like(weights), weights)
    else:
        count = tf.cast(tf.maximum(num_others, 1), weights.dtype)
    # sum_j w_ij / n_i
    share, count = tf.cast(weights / count, similar.dtype), tf.cast(count, similar.dtype)
    loss = share * log_denominator.maximum - similar / count + share * log_denominator.log_total
    return tf.where(empty, tf.zeros_like(loss), loss)


def _reducer(
    anchors: Rows,
    contrasts: Rows | None,
    temperature: float | tf.Tensor,
    *,
    unit_length: bool,
    block_size: int | None,
    product_dtype: str | None,
    positives_cap: int | None = None,
    replica: tf.distribute.ReplicaContext | None,
    references: tuple[Rows, Rows] | None = None,
) -> Callable[..., list[Any]]:
    """Returns a function from reductions, and `log_negatives`, to their values.

    A value is a `LogSumExp` or a `[anchors]` tensor, see `streaming.reduce_rows`.
    """
    if tf.is_tensor(temperature) or not unit_length:
        shift = BY_LENGTH
    else:
        shift = FIXED_SHIFT if 2 / temperature < SAFE_SPREAD else RUNNING_MAXIMUM

    def reduce(*reductions: Reduction, log_negatives: LogSumExp | None = None) -> list[Any]:
        settings = Settings(
            _scalar(temperature, anchors.z.dtype),
            reductions,
            shift,
            positives_cap,
            block_size or default_block_size(anchors.z),
            product_dtype,
        )
        values = reduce_rows(anchors, contrasts, settings, log_negatives, replica)
        if references is None:
            return values
        others = reduce_rows(*references, settings, log_negatives, None)
        return [
            join_log_sum_exps(value, other) if isinstance(value, LogSumExp) else value + other
            for value, other in zip(values, others, strict=True)
        ]

    return reduce


def _num_others(
    anchors: Rows, contrasts: Rows | None, replica: tf.distribute.ReplicaContext | None
) -> tf.Tensor:
    """Returns |A(i)|, the same for all anchors."""
    if contrasts is None:
        return tf.shape(anchors.z)[0] - 1
    if replica is not None:
        return tf.shape(contrasts.z)[0] - 1
    return tf.math.count_nonzero(contrasts.present, dtype=tf.int32)


def _scalar(value: float | tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Converts a number, without rounding it to float32 first, or a tensor to a scalar."""
    return tf.cast(value, dtype) if tf.is_tensor(value) else tf.constant(value, dtype)
