"""Row-wise reductions of a matrix of similarities that is computed one tile at a time.

A reduction has a state per anchor: a running sum or, for a log-sum-exp, a running maximum and the
running sum of exponentials relative to it. If some shift is known beforehand to keep all
exponentials in the range of float32, the state of a log-sum-exp is a plain sum of exp(t - shift)
too.
"""

from typing import NamedTuple

import tensorflow as tf

from supcon_tf.similarity.tiles import MASK_BIAS

# The largest spread of similarities for which exp(s - largest) stays a normal float32.
SAFE_SPREAD = 80.0


class Reduction(NamedTuple):
    """One row-wise reduction.

    Attributes:
        kind: `"logsumexp"` or `"sum"` of the terms, or `"count"` of the columns.
        column_set: the set of columns, see `masks.set_mask`.
        weighted: whether the log weights of the columns are added to the terms.
    """

    kind: str
    column_set: str
    weighted: bool = False


class LogSumExp(NamedTuple):
    """A log-sum-exp, which is `maximum + log_total`.

    In float32, adding the two parts would lose digits of every gradient.

    Attributes:
        maximum: `[rows]` numbers close to the largest term, or above it; constants.
        log_total: `[rows]` log of the sum of exp(term - maximum), which has the gradient. The
            lowest finite number for an empty set.
    """

    maximum: tf.Tensor
    log_total: tf.Tensor


class RunningSum(NamedTuple):
    """The state of a sum, a count, or a log-sum-exp with a fixed shift."""

    total: tf.Tensor


class RunningLogSumExp(NamedTuple):
    """The state of a log-sum-exp: the maximum, and the sum of exp(term - maximum).

    The maximum is over the members of the set. If it included the row itself, the exponentials of
    all other columns could underflow.
    """

    maximum: tf.Tensor
    total: tf.Tensor


State = RunningSum | RunningLogSumExp


def terms_and_slopes(
    similarities: tf.Tensor, log_negatives: LogSumExp | None
) -> tuple[tf.Tensor, tf.Tensor | None]:
    r"""Computes the terms of the reductions, and their derivatives $dt_{ij} / ds_{ij}$.

    Args:
        similarities: $s_{ij}$, of the shape of a tile.
        log_negatives: `None`, or $b_i$ of the anchors.

    Returns:
        Without `log_negatives`, $s_{ij}$ and `None`, for a derivative of 1. Otherwise
        $t_{ij} = \log (e^{s_{ij}} / (e^{s_{ij}} + e^{b_i}))$ and $1 - e^{t_{ij}}$.
    """
    if log_negatives is None:
        return similarities, None
    log_odds = (log_negatives.maximum - similarities) + log_negatives.log_total
    return -tf.math.softplus(log_odds), tf.math.sigmoid(log_odds)


def initial_state(kind: str, zeros: tf.Tensor, shift: tf.Tensor | None) -> State:
    """Returns the state of a reduction over no columns.

    Args:
        kind: the kind of the reduction.
        zeros: zeros of the shape of the states.
        shift: the shift of log-sum-exps, or `None` for a running maximum.
    """
    if kind == "logsumexp" and shift is None:
        return RunningLogSumExp(tf.fill(tf.shape(zeros), zeros.dtype.min), zeros)
    return RunningSum(zeros)


def accumulate(
    state: State,
    kind: str,
    terms: tf.Tensor,
    mask: tf.Tensor,
    shift: tf.Tensor | None,
    axis: int,
) -> State:
    """Adds the terms of a tile to the state of a reduction.

    Args:
        state: the state of the anchors of the tile.
        kind: the kind of the reduction.
        terms: the terms of the tile.
        mask: the members of the set, as booleans that broadcast to the tile.
        shift: the shift of log-sum-exps, or `None` for a running maximum.
        axis: the axis of the tile to reduce over.
    """

    def add(total: tf.Tensor, summands: tf.Tensor) -> tf.Tensor:
        members = tf.where(mask, summands, tf.zeros([], terms.dtype))
        return total + tf.reduce_sum(members, axis)

    if isinstance(state, RunningLogSumExp):
        tile_maximum = tf.reduce_max(tf.where(mask, terms, terms.dtype.min), axis)
        maximum = tf.maximum(state.maximum, tile_maximum)
        rescaled = state.total * tf.exp(state.maximum - maximum)
        exponentials = tf.exp(terms - tf.expand_dims(maximum, axis))
        return RunningLogSumExp(maximum, add(rescaled, exponentials))
    if kind == "count":
        return RunningSum(add(state.total, tf.ones([], terms.dtype)))
    if kind == "sum":
        return RunningSum(add(state.total, terms))
    return RunningSum(add(state.total, tf.exp(terms - shift)))


def shift_and_total(state: State, shift: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the shifts, and the sums of terms or of exp(term - shift), of a final state."""
    if isinstance(state, RunningSum):
        return tf.ones_like(state.total) * (0 if shift is None else shift), state.total
    # The maximum of an empty set is the lowest number. It can be the same for terms that are NaN,
    # but the total is then NaN.
    empty = (state.maximum <= MASK_BIAS) & ~tf.math.is_nan(state.total)
    zeros = tf.zeros_like(state.total)
    return tf.where(empty, zeros, state.maximum), tf.where(empty, zeros, state.total)


def log_sum_exp(shift: tf.Tensor, total: tf.Tensor) -> LogSumExp:
    """Returns the log-sum-exp of a shift and a sum of exp(term - shift), which can be 0."""
    empty = total == 0
    log_total = tf.math.log(tf.where(empty, tf.ones_like(total), total))
    return LogSumExp(tf.stop_gradient(shift), tf.where(empty, total.dtype.min, log_total))


def join_log_sum_exps(first: LogSumExp, second: LogSumExp) -> LogSumExp:
    """Returns the log-sum-exp over two disjoint sets of columns."""
    parts = first, second
    lowest = first.log_total.dtype.min
    shifts = [tf.where(x.log_total == lowest, lowest, x.maximum) for x in parts]
    maximum = tf.maximum(*shifts)
    maximum = tf.where(maximum == lowest, tf.zeros_like(maximum), maximum)  # both sets are empty
    totals = [
        tf.where(x.log_total == lowest, lowest, (x.maximum - maximum) + x.log_total) for x in parts
    ]
    return LogSumExp(maximum, tf.reduce_logsumexp(totals, axis=0))


def term_gradients(
    kind: str, terms: tf.Tensor, upstream: tf.Tensor, shift: tf.Tensor
) -> tf.Tensor | None:
    """Computes the derivatives of the loss with respect to the terms of a reduction.

    Args:
        kind: the kind of the reduction.
        terms: the terms of a tile.
        upstream: the derivatives of the loss with respect to the totals of `shift_and_total`, for
            the anchors of the tile.
        shift: the shifts of `shift_and_total`.

    Returns:
        The derivatives for members of the set, in the shape of the tile; `None` if the reduction
        does not depend on the terms.
    """
    if kind == "count":
        return None
    gradients = tf.broadcast_to(upstream, tf.shape(terms))
    return gradients if kind == "sum" else gradients * tf.exp(terms - shift)
