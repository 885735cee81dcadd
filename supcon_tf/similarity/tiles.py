"""The walk over a matrix of pairs of rows, tile by tile.

Both sides are cut into blocks of rows, and a tile is where a block of anchors meets one of
contrasts. What is known of a row (embedding, integers, sums so far) is cut with it, and what a tile
learns is carried on to the next.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import tensorflow as tf

from supcon_tf.similarity.masks import ABSENT, Rows

# Rows, what else is known of them, and what to add to their similarities.
Block = tuple[Rows, Any, Any]

# Tensors and `None` in tuples and lists.
_Tree = TypeVar("_Tree")

# Rows and columns of a tile. Larger tiles fall out of the cache, smaller ones multiply slowly.
DEFAULT_BLOCK_SIZE = 1024

# Added to the similarities of rows that are not there: far below any similarity.
MASK_BIAS = -1e30


def are_two_sides(columns: Rows | None, itself: bool) -> bool:
    """Tells whether columns are other rows than the anchors: a part of them may not be there."""
    return columns is not None and not itself


def mask_bias(rows: Rows, look: bool) -> tf.Tensor:
    """Returns what to add to the similarities of rows; those not there leave all log-sum-exps.

    A constant, where nobody has to look at which are there, costs nothing.
    """
    zeros = tf.zeros_like(rows.z[:, 0])
    if not look:
        return zeros
    return tf.where(rows.index == ABSENT, tf.constant(MASK_BIAS, zeros.dtype), zeros)


def cut_blocks(tree: tuple[Rows, Any], block_size: int, bias: tf.Tensor | None) -> Block:
    """Cuts `[rows, ...]` into `[blocks, ..., rows of a block]`, padding as little as possible.

    Padding has zero embeddings and belongs to no class. `bias`, which becomes the last member of
    the tuple, hides padding too.
    """
    rows = tree[0].z
    size = rows.shape[0] or tf.shape(rows)[0]
    count = tf.maximum(1, -(-size // block_size))
    length = tf.maximum(1, -(-size // count))

    def cut(x: tf.Tensor, padding: float | None = None) -> tf.Tensor:
        if padding is None:
            padding = -1 if x.dtype.is_integer else 0
        paddings = [[0, count * length - size]] + [[0, 0]] * (x.shape.rank - 1)
        x = tf.pad(x, paddings, constant_values=padding)
        x = tf.reshape(x, tf.concat([[count, length], tf.shape(x)[1:]], 0))
        # Rows of a block come last: the products of the walk are fastest this way round.
        return x if x.shape.rank == 2 else tf.linalg.matrix_transpose(x)

    blocks = _map(cut, tree)
    return (*blocks, None if bias is None else cut(bias, MASK_BIAS))


def join_blocks(x: tf.Tensor, rows: Rows) -> tf.Tensor:
    """Undoes `cut_blocks`."""
    x = x if x.shape.rank == 2 else tf.linalg.matrix_transpose(x)
    return tf.reshape(x, tf.concat([[-1], tf.shape(x)[2:]], 0))[: tf.shape(rows.z)[0]]


def walk_tiles(
    tile: Callable[[Block, Block, _Tree, _Tree | None], tuple[_Tree, _Tree | None]],
    state: _Tree,
    row_blocks: Block,
    column_blocks: Block | None,
) -> _Tree:
    """Carries `state` through all tiles.

    Args:
        tile: called with the rows and the columns of a tile, the state of the rows, and that of
            the columns or `None`; returns the two states.
        state: tensors `[blocks, ..., rows of a block]`.
        row_blocks: the rows.
        column_blocks: the columns. `None` if they are the rows: the matrix is then symmetric, tiles
            above the diagonal serve their rows and their columns, and those below are left out.
    """

    def loop(first: Any, stop: tf.Tensor, body: Callable[[tf.Tensor, Any], Any], state: Any) -> Any:
        return tf.while_loop(
            lambda k, _: k < stop, lambda k, state: (k + 1, body(k, state)), (first, state)
        )[1]

    def count(blocks: Block) -> tf.Tensor:
        return tf.shape(tf.nest.flatten(blocks)[0])[0]

    # A row of tiles keeps its own state apart, so that XLA updates the others' in place.
    def row(a: tf.Tensor, state: _Tree) -> _Tree:
        i, own = _as_rows(_get(row_blocks, a)), _get(state, a)
        if column_blocks is not None:

            def one_sided(b: tf.Tensor, own: _Tree) -> _Tree:
                return tile(i, _as_columns(_get(column_blocks, b)), own, None)[0]

            return _put(state, a, loop(0, count(column_blocks), one_sided, own))

        def two_sided(b: tf.Tensor, states: tuple[_Tree, _Tree]) -> tuple[_Tree, _Tree]:
            own, state = states
            own, other = tile(i, _as_columns(_get(row_blocks, b)), own, _get(state, b))
            return own, _put(state, b, other)

        own, _ = tile(i, _as_columns(_get(row_blocks, a)), own, None)
        own, state = loop(a + 1, count(row_blocks), two_sided, (own, state))
        return _put(state, a, own)

    return loop(0, count(row_blocks), row, state)


def _get(tree: _Tree, k: tf.Tensor) -> _Tree:
    return _map(lambda x: tf.gather(x, k), tree)


def _put(tree: _Tree, k: tf.Tensor, block: Any) -> _Tree:
    return tf.nest.map_structure(
        lambda x, value: tf.tensor_scatter_nd_update(x, [[k]], value[None]), tree, block
    )


def _as_rows(block: Block) -> Block:
    return _map(lambda x: x[:, None] if x.shape.rank == 1 else x, block)


def _as_columns(block: Block) -> Block:
    return _map(lambda x: x[None, :] if x.shape.rank == 1 else x, block)


def _map(function: Callable[[tf.Tensor], tf.Tensor], tree: _Tree) -> _Tree:
    return tf.nest.map_structure(lambda x: None if x is None else function(x), tree)
