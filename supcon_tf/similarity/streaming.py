r"""Sums over a row's similarities to all columns, without the N x N matrix.

With $s_{ij} = z_i \cdot c_j / \tau$, every loss here is made of row-wise reductions over a set of
columns $S(i)$,

$$\log \sum_{j \in S(i)} \exp t_{ij} \qquad \text{and} \qquad \sum_{j \in S(i)} t_{ij},$$

where the term $t_{ij}$ is $s_{ij}$ itself, or $\log(e^{s_{ij}} / (e^{s_{ij}} + e^{b_i}))$, the
log-probability of one positive against negatives whose log-sum-exp is $b_i$.

The matrix is walked over in square tiles, and each tile is forgotten when its part has been added
to the running sums. The gradient walks over the tiles once more. Both row roles of $z_i$ are taken
from the same tile, so that where anchors and contrasts are the same rows only the tiles on and
above the diagonal are needed: with upstream gradients $g$, for the log-sum-exp over all others,

$$\frac{\partial}{\partial z_i} \sum_k g_k \mathrm{lse}_k
    = \frac{1}{\tau} \sum_{j \ne i} (g_i e^{s_{ij} - \mathrm{lse}_i}
                                     + g_j e^{s_{ij} - \mathrm{lse}_j}) z_j .$$

Only the two functions that walk over tiles are compiled by XLA. Whatever replicas have to exchange
(rows, then row-wise sums and their gradients) can be exchanged between them.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import tensorflow as tf

from supcon_tf.distribution.replicas import gather_vectors
from supcon_tf.similarity.dot import dot
from supcon_tf.similarity.gradients import differentiable_once
from supcon_tf.similarity.label_sums import Classes, similarity_sums, weight_sums
from supcon_tf.similarity.masks import POSITIVES, PairMasks, Rows, pair_masks, set_mask
from supcon_tf.similarity.tiles import (
    DEFAULT_BLOCK_SIZE,
    MASK_BIAS,
    Block,
    are_two_sides,
    cut_blocks,
    join_blocks,
    mask_bias,
    walk_tiles,
)

# The largest spread of similarities for which exp(s - largest) stays a normal float32.
SAFE_SPREAD = 80.0

# The running sums of every reduction, and maxima where they need them.
_Sums = list[list[tf.Tensor]]

_Result = TypeVar("_Result")


class Reduction(NamedTuple):
    """One row-wise reduction.

    Attributes:
        kind: `"logsumexp"` or `"sum"` of the terms, or `"count"` of the columns.
        among: the set of columns (see `masks.set_mask`).
    """

    kind: str
    among: str


class Settings(NamedTuple):
    """What is the same for all tiles.

    Attributes:
        temperature: tau, above 0, a scalar of the dtype of the rows. It is an input of the compiled
            walks, so that another temperature needs no other program.
        reductions: the reductions to compute in one walk.
        one_exponential: for rows of length 1, whether `exp(s - 1 / tau)` stays a normal float32 for
            all pairs. `None` to look at the rows and at tau in every step.
        positives_cap: see `masks.set_mask`.
        itself: whether every anchor is also among the contrasts that are given.
        block_size: the largest number of rows and of columns of a tile.
        product_dtype: name of the dtype to which the factors of products are rounded, or `None`.
    """

    temperature: tf.Tensor
    reductions: tuple[Reduction, ...]
    one_exponential: bool | None = None
    positives_cap: int | None = None
    itself: bool = False
    block_size: int = DEFAULT_BLOCK_SIZE
    product_dtype: str | None = None


class LogSumExp(NamedTuple):
    """A log-sum-exp in two parts; their sum rounded to float32 would cost digits of every weight.

    Attributes:
        maximum: `[rows]` numbers not far below any term that matters; constants.
        log_total: `[rows]` log of the sum of exp(term - maximum), which carries the gradient. The
            lowest finite number for an empty set.
    """

    maximum: tf.Tensor
    log_total: tf.Tensor


class AnchorResiduals(NamedTuple):
    """What the backward walk knows of rows in their role as anchors.

    On several replicas these vectors, gathered, are all that a replica needs to know of the other
    replicas' anchors to compute the complete gradient of its own rows.

    Attributes:
        shift: `[reductions, rows]` maxima of the log-sum-exps.
        gradient: `[reductions, rows]` gradients of the loss with respect to sums of terms, or of
            exp(term - shift).
        log_negatives: b, or `None` if the terms are the similarities.
    """

    shift: tf.Tensor
    gradient: tf.Tensor
    log_negatives: LogSumExp | None


def reduce_rows(
    anchors: Rows,
    contrasts: Rows | None,
    settings: Settings,
    log_negatives: LogSumExp | None = None,
    replica: tf.distribute.ReplicaContext | None = None,
) -> list[tf.Tensor | LogSumExp]:
    """Reduces every anchor's similarities to the contrasts.

    Args:
        anchors: the rows i.
        contrasts: the columns j; `None` if they are the anchors, which halves the work.
        settings: which reductions, and how.
        log_negatives: `None` to reduce the similarities, or b to reduce log-probabilities.
        replica: `None`, or the replica whose rows the anchors are; the contrasts are then
            everyone's rows, and the gradient is that of everyone's losses.

    Returns:
        One `[anchors]` tensor or `LogSumExp` per reduction, differentiable once with respect to
        both sides' embeddings and `against`; contrasts of all replicas are constants.
    """
    settings = settings._replace(itself=replica is not None)
    # Contrasts with a gradient of their own.
    other_rows = contrasts if replica is None else None
    # An input that is not given cannot be an argument of a function with a gradient.
    inputs = [anchors.z]
    if other_rows is not None:
        inputs.append(other_rows.z)
    if log_negatives is not None:
        inputs.append(log_negatives.log_total)

    def named(z: tf.Tensor, *rest: tf.Tensor) -> tuple[Rows, Rows | None, LogSumExp | None]:
        left = list(rest)
        columns = contrasts if other_rows is None else other_rows._replace(z=left.pop(0))
        b = None if log_negatives is None else log_negatives._replace(log_total=left.pop(0))
        return anchors._replace(z=z), columns, b

    def forward(*inputs: tf.Tensor) -> tf.Tensor:
        out = tf.stack(_forward(*named(*inputs), settings))
        # A function traced for any number of rows forgets it.
        out.set_shape([2, len(settings.reductions), anchors.z.shape[0]])
        return out

    def backward(out: tf.Tensor, upstream: tf.Tensor, *inputs: tf.Tensor) -> list[tf.Tensor]:
        rows, columns, b = named(*inputs)
        residuals = AnchorResiduals(out[0], upstream[1], b)
        if other_rows is None:
            # A row is an anchor here and a contrast of everyone's anchors.
            everyones = residuals if replica is None else gather_vectors(residuals, replica)
            dz, db = _backward(rows, columns, residuals, everyones, settings)
            gradients = [dz, db]
        else:
            # Two walks, since contrasts that take no gradient (a queue) need only the first: a
            # graph drops the other.
            dz, db = _backward(rows, columns, residuals, None, settings)
            dc, _ = _backward(columns, rows, None, residuals, settings)
            gradients = [dz, dc, db]
        return [x for x in gradients if x is not None]

    shifts, totals = tf.unstack(differentiable_once(forward, backward)(*inputs))
    return [
        _log(tf.stop_gradient(shift), total) if kind == "logsumexp" else total
        for (kind, _), shift, total in zip(
            settings.reductions, tf.unstack(shifts), tf.unstack(totals), strict=True
        )
    ]


def _log(maximum: tf.Tensor, total: tf.Tensor) -> LogSumExp:
    empty = total == 0
    log_total = tf.math.log(tf.where(empty, tf.ones_like(total), total))
    return LogSumExp(maximum, tf.where(empty, total.dtype.min, log_total))


@tf.function(jit_compile=True, autograph=False, reduce_retracing=True)
def _forward(
    rows: Rows,
    columns: Rows | None,
    log_negatives: LogSumExp | None,
    settings: Settings,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Computes per reduction a shift and the sum of terms, or of exp(term - shift).

    Returns:
        Two tensors `[reductions, rows]`.
    """

    # Sums and counts over a class need no tiles. Their gradients do: in a tile they are subtracted
    # from those of the log-sum-exp pair by pair, and not when both have grown.
    def by_class(reduction: Reduction) -> bool:
        linear = reduction.kind == "count" or (reduction.kind == "sum" and log_negatives is None)
        return linear and reduction.among == POSITIVES and settings.positives_cap is None

    in_tiles = tuple(x for x in settings.reductions if not by_class(x))
    results = iter(
        _sum_over_tiles(rows, columns, log_negatives, settings._replace(reductions=in_tiles))
    )
    shifts, totals = [], []
    for reduction in settings.reductions:
        if by_class(reduction):
            total = _sum_over_class(reduction, rows, columns, settings)
            shift = tf.zeros_like(total)
        else:
            shift, total = next(results)
        shifts.append(shift)
        totals.append(total)
    return tf.stack(shifts), tf.stack(totals)


def _sum_over_class(
    reduction: Reduction, rows: Rows, columns: Rows | None, settings: Settings
) -> tf.Tensor:
    labels, c, other_labels = Classes(rows.group), None, None
    if columns is not None:
        c, other_labels = columns.z, Classes(columns.group)
    if reduction.kind == "count":
        total = weight_sums(labels, other_labels, settings.itself)
    else:
        sums = similarity_sums(rows.z, labels, c, other_labels, settings.itself)
        total = sums / tf.cast(settings.temperature, sums.dtype)
    return tf.cast(total, rows.z.dtype)


def _sum_over_tiles(
    rows: Rows, columns: Rows | None, log_negatives: LogSumExp | None, settings: Settings
) -> list[list[tf.Tensor]]:
    two_sides = are_two_sides(columns, settings.itself)
    row_blocks = cut_blocks((rows, log_negatives), settings.block_size, mask_bias(rows, two_sides))
    column_blocks = None
    if columns is not None:
        bias = mask_bias(columns, two_sides)
        column_blocks = cut_blocks((columns, None), settings.block_size, bias)

    def walk(shift: tf.Tensor | None) -> list[list[tf.Tensor]]:
        def tile(
            row_block: Block, column_block: Block, own: _Sums, other: _Sums | None
        ) -> tuple[_Sums, _Sums | None]:
            (i, log_negatives_i, bias_i), (j, log_negatives_j, bias_j) = row_block, column_block
            s = _similarities(i, j, settings) + (bias_i + bias_j)
            masks = pair_masks(i, j, same_rows=(other is None) if columns is None else None)

            def absorb(
                state: _Sums, i: Rows, j: Rows, log_negatives_i: LogSumExp | None, axis: int
            ) -> _Sums:
                term, _ = _terms(s, log_negatives_i)
                return [
                    _accumulate(part, kind, term, set_mask(i, j, masks, among, cap), shift, axis)
                    for part, (kind, among) in zip(state, settings.reductions, strict=True)
                ]

            own = absorb(own, i, j, log_negatives_i, axis=1)
            return own, None if other is None else absorb(other, j, i, log_negatives_j, axis=0)

        cap = settings.positives_cap
        vector = tf.zeros_like(row_blocks[0].index, rows.z.dtype)
        state = [_initial_state(vector, kind, shift) for kind, _ in settings.reductions]
        state = walk_tiles(tile, state, row_blocks, column_blocks)
        return [[join_blocks(x, rows) for x in _shift_and_total(part, shift)] for part in state]

    return _with_shift(walk, rows, columns, log_negatives, settings)


@tf.function(jit_compile=True, autograph=False, reduce_retracing=True)
def _backward(
    rows: Rows,
    columns: Rows | None,
    row_residuals: AnchorResiduals | None,
    column_residuals: AnchorResiduals | None,
    settings: Settings,
) -> tuple[tf.Tensor, tf.Tensor | None]:
    """Computes the gradients with respect to the embeddings of the rows, and their `against`.

    Args:
        rows: the rows whose gradient is wanted.
        columns: the rows they met in the forward walk; `None` if they are the same.
        row_residuals: the rows' role as anchors of the columns, or `None`.
        column_residuals: the columns' role as anchors of the rows, or `None`.
        settings: as in the forward walk.

    Returns:
        `[rows, dim]`, and `[rows]` or `None`.
    """
    log_negatives = None if row_residuals is None else row_residuals.log_negatives
    # The zero embeddings of padding add nothing here, so that hiding it would only take time.
    two_sides = are_two_sides(columns, settings.itself)

    def walk(shift: tf.Tensor | None) -> list[tf.Tensor]:
        def blocks(side: Rows, residuals: AnchorResiduals | None) -> Block:
            bias = mask_bias(side, two_sides) if two_sides else None
            return cut_blocks((side, _by_reduction(residuals)), settings.block_size, bias)

        row_blocks = blocks(rows, row_residuals)
        column_blocks = None if columns is None else blocks(columns, column_residuals)

        def tile(
            row_block: Block,
            column_block: Block,
            own: list[tf.Tensor],
            other: list[tf.Tensor] | None,
        ) -> tuple[list[tf.Tensor], list[tf.Tensor] | None]:
            (i, residuals_i, bias_i), (j, residuals_j, bias_j) = row_block, column_block
            s = _similarities(i, j, settings)
            if two_sides:
                s += bias_i + bias_j
            masks = pair_masks(i, j, same_rows=(other is None) if columns is None else None)
            w_ij = _weights(s, i, j, masks, residuals_i, shift, settings)
            w_ji = _weights(s, j, i, masks, residuals_j, shift, settings)
            weights = sum(w for w in (w_ij, w_ji) if w is not None)

            def add(
                state: list[tf.Tensor], z: tf.Tensor, axis: int, own_weights: tf.Tensor
            ) -> list[tf.Tensor]:
                dz, *d_log_negatives = state
                dz += dot(z, weights, (1, axis), settings.product_dtype)
                return [dz] + [x - tf.reduce_sum(own_weights, axis) for x in d_log_negatives]

            own = add(own, j.z, 1, w_ij)
            return own, None if other is None else add(other, i.z, 0, w_ji)

        z = row_blocks[0].z
        state = [tf.zeros_like(z)]
        if log_negatives is not None:
            state.append(tf.zeros_like(z[:, 0]))
        state = walk_tiles(tile, state, row_blocks, column_blocks)
        dz, *d_log_negatives = (join_blocks(x, rows) for x in state)
        return [dz / settings.temperature, *d_log_negatives]

    any_log_negatives = (row_residuals or column_residuals).log_negatives  # type: ignore[union-attr]  # one is given
    dz, *d_log_negatives = _with_shift(walk, rows, columns, any_log_negatives, settings)
    return dz, d_log_negatives[0] if d_log_negatives else None


def _similarities(i: Rows, j: Rows, settings: Settings) -> tf.Tensor:
    # Scaled after the product, so that s_ij and s_ji are the same number: the backward walk takes
    # exponentials of one that the forward walk has taken the maximum of the other of.
    products = dot(i.z, j.z, (0, 0), settings.product_dtype)
    return products * (1 / settings.temperature)


def _terms(s: tf.Tensor, log_negatives: LogSumExp | None) -> tuple[tf.Tensor, tf.Tensor | None]:
    """Returns the terms t(s), and their derivative by s unless it is 1."""
    if log_negatives is None:
        return s, None
    log_odds = (log_negatives.maximum - s) + log_negatives.log_total
    return -tf.math.softplus(log_odds), tf.math.sigmoid(log_odds)


# A log-sum-exp is a sum of exp(t - shift) if no exponential can leave the range of float32 for a
# shift that is known beforehand, and otherwise a running maximum and the sum below it. The maximum
# is that of the set's members: with the row itself among them, all others could underflow.


def _with_shift(
    walk: Callable[[tf.Tensor | None], _Result],
    rows: Rows,
    columns: Rows | None,
    log_negatives: LogSumExp | None,
    settings: Settings,
) -> _Result:
    """Calls `walk(shift)`, with the shift that suits all similarities or with `None`."""
    if log_negatives is not None or all(kind != "logsumexp" for kind, _ in settings.reductions):
        return walk(None)
    if settings.one_exponential is not None:
        return walk(1 / settings.temperature if settings.one_exponential else None)
    squared = [
        tf.reduce_max(tf.reduce_sum(tf.square(x.z), axis=1)) for x in (rows, columns or rows)
    ]
    largest = tf.maximum(*squared) / settings.temperature
    return tf.cond(2 * largest < SAFE_SPREAD, lambda: walk(largest), lambda: walk(None))


def _initial_state(vector: tf.Tensor, kind: str, shift: tf.Tensor | None) -> list[tf.Tensor]:
    """The state of a reduction before the first tile."""
    if kind == "logsumexp" and shift is None:
        return [tf.fill(tf.shape(vector), vector.dtype.min), vector]
    return [vector]


def _accumulate(
    state: list[tf.Tensor],
    kind: str,
    term: tf.Tensor,
    mask: tf.Tensor,
    shift: tf.Tensor | None,
    axis: int,
) -> list[tf.Tensor]:
    """Adds a tile's terms to the state of a reduction."""

    def add(total: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        return total + tf.reduce_sum(tf.where(mask, x, tf.zeros([], term.dtype)), axis)

    if kind == "count":
        return [add(state[0], tf.ones([], term.dtype))]
    if kind == "sum":
        return [add(state[0], term)]
    if shift is not None:
        return [add(state[0], tf.exp(term - shift))]
    maximum, total = state
    tile_maximum = tf.reduce_max(tf.where(mask, term, term.dtype.min), axis)
    new = tf.maximum(maximum, tile_maximum)
    return [new, add(total * tf.exp(maximum - new), tf.exp(term - tf.expand_dims(new, axis)))]


def _shift_and_total(
    state: list[tf.Tensor], shift: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Splits the state of a reduction after the last tile."""
    if len(state) == 1:
        return tf.ones_like(state[0]) * (0 if shift is None else shift), state[0]
    maximum, total = state
    # The maximum of NaN alone may be below all numbers too; the sum tells.
    empty = (maximum <= MASK_BIAS) & ~tf.math.is_nan(total)
    zeros = tf.zeros_like(total)
    return tf.where(empty, zeros, maximum), tf.where(empty, zeros, total)


def _by_reduction(residuals: AnchorResiduals | None) -> AnchorResiduals | None:
    """Splits matrices into one vector per reduction."""
    if residuals is None:
        return None
    return residuals._replace(
        shift=tf.unstack(residuals.shift), gradient=tf.unstack(residuals.gradient)
    )


def _weights(
    s: tf.Tensor,
    i: Rows,
    j: Rows,
    masks: PairMasks,
    residuals: AnchorResiduals | None,
    shift: tf.Tensor | None,
    settings: Settings,
) -> tf.Tensor | None:
    """Computes the derivatives of the loss by the similarities that i has as an anchor."""
    if residuals is None:
        return None
    term, slope = _terms(s, residuals.log_negatives)
    total = tf.zeros_like(s)
    for k, (kind, among) in enumerate(settings.reductions):
        if kind == "count":
            continue
        weights = tf.broadcast_to(residuals.gradient[k], tf.shape(s))
        if kind == "logsumexp":
            # A fixed shift makes this the same exponential in both roles of a row.
            weights *= tf.exp(term - (residuals.shift[k] if shift is None else shift))
        mask = set_mask(i, j, masks, among, settings.positives_cap)
        total += tf.where(mask, weights, tf.zeros([], s.dtype))
    return total if slope is None else total * slope
