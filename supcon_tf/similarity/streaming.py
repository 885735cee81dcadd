r"""Row-wise reductions of all similarities, and their gradient, without the N x N matrix.

With $s_{ij} = z_i \cdot c_j / \tau$, every loss of `row_losses.py` is a function of reductions over
sets of columns $S(i)$,

$$\log \sum_{j \in S(i)} \exp t_{ij} \qquad \text{and} \qquad \sum_{j \in S(i)} t_{ij},$$

where the term $t_{ij}$ is $s_{ij}$ itself, or $\log(e^{s_{ij}} / (e^{s_{ij}} + e^{b_i}))$, the
log-probability of one positive against negatives whose log-sum-exp is $b_i$.

The forward pass computes the matrix tile by tile, and adds each tile to running sums. The backward
pass computes each tile again. Every row is an anchor, and also a contrast of other anchors. Both
parts of its gradient come from the same tiles. If anchors and contrasts are the same rows, only the
tiles on and above the diagonal are needed: with upstream gradients $g$, for the log-sum-exp over
all others,

$$\frac{\partial}{\partial z_i} \sum_k g_k \mathrm{lse}_k
    = \frac{1}{\tau} \sum_{j \ne i} (g_i e^{s_{ij} - \mathrm{lse}_i}
                                     + g_j e^{s_{ij} - \mathrm{lse}_j}) z_j .$$

XLA compiles the two passes and nothing else, so that replicas can exchange rows before the forward
pass, and a few numbers per row between the passes.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import tensorflow as tf

from supcon_tf.distribution.replicas import gather_vectors
from supcon_tf.similarity.dot import dot
from supcon_tf.similarity.gradients import differentiable_once
from supcon_tf.similarity.label_sums import Classes, similarity_sums, weight_sums
from supcon_tf.similarity.masks import POSITIVES, PairMasks, Rows, pair_masks, set_mask
from supcon_tf.similarity.reductions import (
    SAFE_SPREAD,
    LogSumExp,
    Reduction,
    State,
    accumulate,
    initial_state,
    log_sum_exp,
    shift_and_total,
    term_gradients,
    terms_and_slopes,
)
from supcon_tf.similarity.tiles import (
    BLOCK_SIZE,
    Block,
    accumulate_tiles,
    join_blocks,
    split_blocks,
)

# How to choose the shift c in log-sum-exp = c + log sum exp(s - c).
FIXED_SHIFT = "fixed"  # 1 / tau, the largest possible similarity of rows of length 1
RUNNING_MAXIMUM = "running"  # the largest similarity so far, which needs no assumption
BY_LENGTH = "by_length"  # the largest possible similarity if it is safe, else RUNNING_MAXIMUM

_Result = TypeVar("_Result")

# Gradients with respect to the embeddings and, if the terms depend on it, `log_negatives`.
_Gradients = tuple[tf.Tensor, ...]


class Settings(NamedTuple):
    """The settings of a pass, the same for all tiles.

    Attributes:
        temperature: tau, above 0, a scalar of the dtype of the rows. It is an input of the compiled
            passes, so that a new temperature does not recompile them.
        reductions: the reductions to compute in one pass.
        shift: `FIXED_SHIFT`, `RUNNING_MAXIMUM` or `BY_LENGTH`.
        positives_cap: see `masks.set_mask`.
        block_size: the largest number of rows and of columns of a tile.
        product_dtype: name of the dtype to which `dot` rounds its factors, or `None`.
    """

    temperature: tf.Tensor
    reductions: tuple[Reduction, ...]
    shift: str = BY_LENGTH
    positives_cap: int | None = None
    block_size: int = BLOCK_SIZE
    product_dtype: str | None = None


class AnchorResiduals(NamedTuple):
    """The data of anchors that the backward pass needs besides their rows.

    On several replicas these vectors are gathered. With them, every replica computes the complete
    gradient of its own rows.

    Attributes:
        shifts: for each reduction, `[rows]` shifts of its log-sum-exps.
        gradients: for each reduction, `[rows]` gradients of the loss with respect to the sums of
            terms or of exp(term - shift).
        log_negatives: b, or `None` if the terms are the similarities.
    """

    shifts: tuple[tf.Tensor, ...]
    gradients: tuple[tf.Tensor, ...]
    log_negatives: LogSumExp | None


def reduce_rows(
    anchors: Rows,
    contrasts: Rows | None,
    settings: Settings,
    log_negatives: LogSumExp | None = None,
    replica: tf.distribute.ReplicaContext | None = None,
) -> list[tf.Tensor | LogSumExp]:
    """Computes row-wise reductions of the similarities between anchors and contrasts.

    Args:
        anchors: the rows i.
        contrasts: the columns j. `None` if they are the anchors, which halves the work.
        settings: the reductions and how to compute them.
        log_negatives: b, to reduce log-probabilities, or `None` to reduce similarities.
        replica: `None`, or the replica that the anchors belong to. The contrasts are then the
            global rows, and the gradient is that of the sum of all replicas' losses.

    Returns:
        One `[anchors]` tensor or `LogSumExp` per reduction, differentiable once with respect to the
        embeddings of both sides and to `log_negatives`. Global contrasts are constants.
    """
    differentiable_contrasts = contrasts if replica is None else None
    exclude_self = contrasts is None or replica is not None

    def with_inputs(
        z: tf.Tensor, c: tf.Tensor | None, log_total: tf.Tensor | None
    ) -> tuple[Rows, Rows | None, LogSumExp | None]:
        columns, b = contrasts, log_negatives
        if differentiable_contrasts is not None:
            columns = differentiable_contrasts._replace(z=c)
        if b is not None:
            b = b._replace(log_total=log_total)
        return anchors._replace(z=z), columns, b

    def forward(*inputs: tf.Tensor | None) -> tf.Tensor:
        out = tf.stack(_forward(*with_inputs(*inputs), settings, exclude_self))
        # A function that is traced for any number of rows loses the static number.
        out.set_shape([2, len(settings.reductions), anchors.z.shape[0]])
        return out

    def backward(
        out: tf.Tensor, upstream: tf.Tensor, *inputs: tf.Tensor | None
    ) -> list[tf.Tensor | None]:
        rows, columns, b = with_inputs(*inputs)
        shifts, gradients = (
            tuple(tf.unstack(x, len(settings.reductions))) for x in (out[0], upstream[1])
        )
        residuals = AnchorResiduals(shifts, gradients, b)
        if differentiable_contrasts is not None:
            # Two passes: if the contrasts are constants (a queue), TensorFlow prunes the second.
            dz, db = _backward(rows, columns, residuals, None, settings)
            dc, _ = _backward(columns, rows, None, residuals, settings)
            return [dz, dc, db]
        # The rows are anchors of this replica, and contrasts of the anchors of all replicas.
        global_residuals = residuals if replica is None else gather_vectors(residuals, replica)
        dz, db = _backward(rows, columns, residuals, global_residuals, settings)
        return [dz, None, db]

    out = differentiable_once(forward, backward)(
        anchors.z,
        None if differentiable_contrasts is None else differentiable_contrasts.z,
        None if log_negatives is None else log_negatives.log_total,
    )
    shifts, totals = (tf.unstack(x) for x in tf.unstack(out))
    return [
        log_sum_exp(shift, total) if reduction.kind == "logsumexp" else total
        for reduction, shift, total in zip(settings.reductions, shifts, totals, strict=True)
    ]


class _Tile(NamedTuple):
    """A tile of the matrix of similarities.

    Its rows are anchors that reduce over axis 1. In a symmetric matrix its columns are anchors too,
    which reduce over axis 0.
    """

    rows: Block
    columns: Block
    similarities: tf.Tensor
    masks: PairMasks

    def anchors(self, axis: int) -> Block:
        """Returns the anchors that reduce over an axis."""
        return self.rows if axis == 1 else self.columns

    def weighted(self, terms: tf.Tensor, axis: int, reduction: Reduction) -> tf.Tensor:
        """Adds the log weights of the contrasts of these anchors, if the reduction is weighted."""
        return terms + self.anchors(1 - axis).rows.log_weight if reduction.weighted else terms

    def set_mask(self, axis: int, column_set: str, positives_cap: int | None) -> tf.Tensor:
        """Returns the mask of a set of contrasts of these anchors."""
        anchors, contrasts = self.anchors(axis).rows, self.anchors(1 - axis).rows
        return set_mask(anchors, contrasts, self.masks, column_set, positives_cap)


def _similarity_tile(settings: Settings, i: Block, j: Block) -> _Tile:
    """Computes the similarities and the masks of a tile."""
    # Scaled after the product, so that s_ij and s_ji are bitwise equal: the backward pass computes
    # exponentials of one of them relative to a maximum that can come from the other.
    products = dot(i.z_by_row, j.rows.z, (1, 0), settings.product_dtype)
    similarities = products * (1 / settings.temperature) + (i.bias + j.bias)
    return _Tile(i, j, similarities, pair_masks(i.rows, j.rows))


# The forward pass


@tf.function(jit_compile=True, autograph=False, reduce_retracing=True)
def _forward(
    rows: Rows,
    columns: Rows | None,
    log_negatives: LogSumExp | None,
    settings: Settings,
    exclude_self: bool,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Computes a shift and the sum of terms, or of exp(term - shift), for every reduction.

    Args:
        rows: the anchors.
        columns: the contrasts; `None` if they are the anchors.
        log_negatives: b, or `None`.
        settings: the reductions and how to compute them.
        exclude_self: whether the anchors are among the contrasts. Sums over a class then exclude
            the anchor itself, as the masks of tiles always do.

    Returns:
        Two tensors `[reductions, rows]`.
    """
    # Sums and counts over a class need no tiles. The gradients of sums are still computed in tiles:
    # for each pair, they nearly cancel the gradients of log-sum-exps. Cancellation after a sum over
    # all pairs would leave large rounding errors.
    by_class = [
        reduction
        for reduction in settings.reductions
        if (reduction.kind == "count" or (reduction.kind == "sum" and log_negatives is None))
        and reduction.column_set == POSITIVES
        and settings.positives_cap is None
    ]
    by_tile = tuple(x for x in settings.reductions if x not in by_class)
    tile_settings = settings._replace(reductions=by_tile)
    results = dict(
        zip(by_tile, _reduce_tiles(rows, columns, log_negatives, tile_settings), strict=True)
    )
    for reduction in by_class:
        total = _sum_over_class(reduction, rows, columns, settings, exclude_self)
        results[reduction] = tf.zeros_like(total), total
    shifts, totals = zip(*(results[x] for x in settings.reductions), strict=True)
    return tf.stack(shifts), tf.stack(totals)


def _sum_over_class(
    reduction: Reduction,
    rows: Rows,
    columns: Rows | None,
    settings: Settings,
    exclude_self: bool,
) -> tf.Tensor:
    """Computes the number of positives, or the sum of similarities to them, from sums by class."""
    labels, c, contrast_labels = Classes(rows.group), None, None
    if columns is not None:
        c, contrast_labels = columns.z, Classes(columns.group)
    if reduction.kind == "count":
        total = weight_sums(labels, contrast_labels, exclude_self)
    else:
        sums = similarity_sums(rows.z, labels, c, contrast_labels, exclude_self)
        total = sums / tf.cast(settings.temperature, sums.dtype)
    return tf.cast(total, rows.z.dtype)


def _reduce_tiles(
    rows: Rows, columns: Rows | None, log_negatives: LogSumExp | None, settings: Settings
) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """Computes the shift and the sum of every reduction from tiles."""
    row_blocks = split_blocks(rows, log_negatives, settings.block_size)
    column_blocks = None if columns is None else split_blocks(columns, None, settings.block_size)

    def reduce(shift: tf.Tensor | None) -> list[tuple[tf.Tensor, tf.Tensor]]:
        zeros = tf.zeros_like(row_blocks.rows.group, rows.z.dtype)
        states = accumulate_tiles(
            functools.partial(_similarity_tile, settings),
            functools.partial(_accumulate_tile, settings, shift),
            [initial_state(x.kind, zeros, shift) for x in settings.reductions],
            row_blocks,
            column_blocks,
        )
        return [
            tuple(join_blocks(x, rows) for x in shift_and_total(state, shift)) for state in states
        ]

    return _with_shift(reduce, rows, columns, log_negatives, settings)


def _accumulate_tile(
    settings: Settings, shift: tf.Tensor | None, states: list[State], tile: _Tile, axis: int
) -> list[State]:
    """Adds a tile to the states of its anchors, one per reduction."""
    terms, _ = terms_and_slopes(tile.similarities, log_negatives=tile.anchors(axis).anchor_data)
    new_states = []
    for state, reduction in zip(states, settings.reductions, strict=True):
        mask = tile.set_mask(axis, reduction.column_set, settings.positives_cap)
        weighted = tile.weighted(terms, axis, reduction)
        new_states.append(accumulate(state, reduction.kind, weighted, mask, shift, axis))
    return new_states


# The backward pass


@tf.function(jit_compile=True, autograph=False, reduce_retracing=True)
def _backward(
    rows: Rows,
    columns: Rows | None,
    row_residuals: AnchorResiduals | None,
    column_residuals: AnchorResiduals | None,
    settings: Settings,
) -> tuple[tf.Tensor, tf.Tensor | None]:
    """Computes the gradients with respect to the rows' embeddings and `log_negatives`.

    Args:
        rows: the rows to differentiate with respect to.
        columns: the rows that they were compared with in the forward pass; `None` if they are the
            same.
        row_residuals: the residuals of the rows as anchors; `None` if the rows are contrasts only.
        column_residuals: the residuals of the columns as anchors; `None` if the columns are
            contrasts only.
        settings: as in the forward pass.

    Returns:
        `[rows, dim]`, and `[rows]` or `None`.
    """
    row_blocks = split_blocks(rows, row_residuals, settings.block_size)
    column_blocks = None
    if columns is not None:
        column_blocks = split_blocks(columns, column_residuals, settings.block_size)
    log_negatives = None if row_residuals is None else row_residuals.log_negatives

    def differentiate(shift: tf.Tensor | None) -> _Gradients:
        dz = tf.zeros_like(row_blocks.rows.z)
        gradients = accumulate_tiles(
            functools.partial(_gradient_tile, settings, shift),
            functools.partial(_accumulate_gradients, settings),
            (dz,) if log_negatives is None else (dz, tf.zeros_like(dz[:, 0])),
            row_blocks,
            column_blocks,
        )
        dz, *d_log_negatives = (join_blocks(x, rows) for x in gradients)
        return (dz / settings.temperature, *d_log_negatives)

    any_log_negatives = (row_residuals or column_residuals).log_negatives  # type: ignore[union-attr]  # one is given
    dz, *d_log_negatives = _with_shift(differentiate, rows, columns, any_log_negatives, settings)
    return dz, d_log_negatives[0] if d_log_negatives else None


class _GradientTile(NamedTuple):
    """Derivatives of the loss with respect to the similarities of a tile.

    Attributes:
        rows: the rows.
        columns: the columns.
        of_rows: the derivative of the losses of the rows as anchors, or `None`.
        of_columns: the derivative of the losses of the columns as anchors, or `None`.
        total: their sum.
    """

    rows: Rows
    columns: Rows
    of_rows: tf.Tensor | None
    of_columns: tf.Tensor | None
    total: tf.Tensor


def _gradient_tile(
    settings: Settings, shift: tf.Tensor | None, i: Block, j: Block
) -> _GradientTile:
    """Differentiates the loss with respect to the similarities of a tile."""
    tile = _similarity_tile(settings, i, j)
    of_rows = _anchor_gradients(settings, shift, tile, axis=1)
    of_columns = _anchor_gradients(settings, shift, tile, axis=0)
    total = sum(x for x in (of_rows, of_columns) if x is not None)
    return _GradientTile(i.rows, j.rows, of_rows, of_columns, total)


def _anchor_gradients(
    settings: Settings, shift: tf.Tensor | None, tile: _Tile, axis: int
) -> tf.Tensor | None:
    """Differentiates the losses of the anchors with respect to the similarities of a tile."""
    residuals: AnchorResiduals | None = tile.anchors(axis).anchor_data
    if residuals is None:
        return None
    terms, slopes = terms_and_slopes(tile.similarities, residuals.log_negatives)
    total = tf.zeros_like(terms)
    for reduction, own_shift, upstream in zip(
        settings.reductions, residuals.shifts, residuals.gradients, strict=True
    ):
        # With one shift for all rows, both sides of a tile share the exponentials.
        gradients = term_gradients(
            reduction.kind,
            tile.weighted(terms, axis, reduction),
            upstream,
            own_shift if shift is None else shift,
        )
        if gradients is not None:
            mask = tile.set_mask(axis, reduction.column_set, settings.positives_cap)
            total += tf.where(mask, gradients, tf.zeros([], terms.dtype))
    return total if slopes is None else total * slopes


def _accumulate_gradients(
    settings: Settings, gradients: _Gradients, tile: _GradientTile, axis: int
) -> _Gradients:
    """Adds a tile to the gradients of its rows (axis 1) or of its columns (axis 0)."""
    others, own = (tile.columns, tile.of_rows) if axis == 1 else (tile.rows, tile.of_columns)
    dz, *d_log_negatives = gradients
    dz += dot(others.z, tile.total, (1, axis), settings.product_dtype)
    return (dz, *(x - tf.reduce_sum(own, axis) for x in d_log_negatives))


# Both passes


def _with_shift(
    compute: Callable[[tf.Tensor | None], _Result],
    rows: Rows,
    columns: Rows | None,
    log_negatives: LogSumExp | None,
    settings: Settings,
) -> _Result:
    """Calls `compute(shift)` with one shift for all rows, or with `None` for running maxima."""
    if log_negatives is not None or all(x.kind != "logsumexp" for x in settings.reductions):
        return compute(None)
    if settings.shift == RUNNING_MAXIMUM:
        return compute(None)
    if settings.shift == FIXED_SHIFT:
        return compute(1 / settings.temperature)
    squared_lengths = [
        tf.reduce_max(tf.reduce_sum(tf.square(x.z), axis=1)) for x in (rows, columns or rows)
    ]
    largest = tf.maximum(*squared_lengths) / settings.temperature
    return tf.cond(2 * largest < SAFE_SPREAD, lambda: compute(largest), lambda: compute(None))
