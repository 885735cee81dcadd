"""Loops over the tiles of a matrix of pairs of rows.

Both sides of the matrix are split into blocks of rows. A tile is the part of the matrix that
belongs to one block of rows and one block of columns. Each block has a state, such as running sums,
to which the tiles of the block are added one after another.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import tensorflow as tf

from supcon_tf.similarity.masks import Rows

# Added to masked similarities: far below any similarity.
MASK_BIAS = -1e30

# Nested tuples and lists of tensors and `None`.
_Tree = TypeVar("_Tree")
_Tile = TypeVar("_Tile")

# The number of rows and columns of a tile. Larger tiles do not fit into the cache, smaller ones
# multiply slowly.
DEFAULT_BLOCK_SIZE = 1024


class Block(NamedTuple):
    """A block of rows, or all blocks of one side, stacked.

    Attributes:
        rows: the rows. `z` is `[dim, rows]`, which makes the products of tiles fastest; the other
            tensors are vectors.
        anchor_data: a structure of vectors that a pass needs if the rows are anchors, or `None`.
        bias: what to add to the similarities of the rows: 0, or `MASK_BIAS` for absent rows and
            padding.
    """

    rows: Rows
    anchor_data: Any
    bias: tf.Tensor


def split_blocks(rows: Rows, anchor_data: Any, block_size: int) -> Block:
    """Splits rows into blocks of the same size, with as little padding as possible.

    Padding has zero embeddings and belongs to no class.

    Args:
        rows: the rows, with tensors of shape `[rows, ...]`.
        anchor_data: a structure of `[rows]` tensors and `None`.
        block_size: the largest number of rows of a block.

    Returns:
        Tensors of shape `[blocks, ..., rows of a block]`.
    """
    size = rows.z.shape[0] or tf.shape(rows.z)[0]
    count = tf.maximum(1, -(-size // block_size))
    length = tf.maximum(1, -(-size // count))

    def split(x: tf.Tensor, padding: float | None = None) -> tf.Tensor:
        if padding is None:
            padding = -1 if x.dtype.is_integer else 0
        paddings = [[0, count * length - size]] + [[0, 0]] * (x.shape.rank - 1)
        x = tf.pad(x, paddings, constant_values=padding)
        x = tf.reshape(x, tf.concat([[count, length], tf.shape(x)[1:]], 0))
        return x if x.shape.rank == 2 else tf.linalg.matrix_transpose(x)

    # Without absent rows and padding, the bias is a constant 0, which XLA removes.
    bias = tf.zeros_like(rows.z[:, 0])
    if rows.present is not None:
        bias = tf.where(rows.present, bias, MASK_BIAS)
    blocks = _map(split, Block(rows._replace(present=None), anchor_data, bias=None))
    return blocks._replace(bias=split(bias, MASK_BIAS))


def join_blocks(x: tf.Tensor, rows: Rows) -> tf.Tensor:
    """Inverts `split_blocks` for one tensor.

    Args:
        x: `[blocks, ..., rows of a block]`.
        rows: the rows that were split.

    Returns:
        `[rows, ...]`.
    """
    x = x if x.shape.rank == 2 else tf.linalg.matrix_transpose(x)
    return tf.reshape(x, tf.concat([[-1], tf.shape(x)[2:]], 0))[: tf.shape(rows.z)[0]]


def accumulate_tiles(
    compute: Callable[[Block, Block], _Tile],
    add: Callable[[_Tree, _Tile, int], _Tree],
    states: _Tree,
    row_blocks: Block,
    column_blocks: Block | None,
) -> _Tree:
    """Computes the tiles one after another, and adds each tile to the states of its rows.

    If the columns are the rows, the matrix is symmetric: a tile above the diagonal is also added to
    the states of its columns, and tiles below the diagonal are not computed.

    Args:
        compute: computes a tile from a block of rows, with vectors of shape `[rows, 1]`, and a
            block of columns, with vectors of shape `[1, columns]`.
        add: `add(state, tile, axis)` reduces a tile over `axis` and returns the new state. With
            axis 1 it is the state of the rows of the tile, with axis 0 the state of the columns.
        states: the initial states, tensors of shape `[blocks, ..., rows of a block]`.
        row_blocks: the blocks of rows.
        column_blocks: the blocks of columns. `None` if they are the rows.

    Returns:
        The states of the rows.
    """
    if column_blocks is None:
        return _accumulate_triangle(compute, add, states, row_blocks)
    return _accumulate_rectangle(compute, add, states, row_blocks, column_blocks)


def _accumulate_rectangle(
    compute: Callable[[Block, Block], _Tile],
    add: Callable[[_Tree, _Tile, int], _Tree],
    states: _Tree,
    row_blocks: Block,
    column_blocks: Block,
) -> _Tree:
    """Loops over all tiles."""

    def all_columns(a: tf.Tensor, states: _Tree) -> _Tree:
        i = along_rows(_get(row_blocks, a))

        def one_tile(b: tf.Tensor, state: _Tree) -> _Tree:
            j = along_columns(_get(column_blocks, b))
            return add(state, compute(i, j), 1)

        return _put(states, a, _loop(0, _count(column_blocks), one_tile, _get(states, a)))

    return _loop(0, _count(row_blocks), all_columns, states)


def _accumulate_triangle(
    compute: Callable[[Block, Block], _Tile],
    add: Callable[[_Tree, _Tile, int], _Tree],
    states: _Tree,
    blocks: Block,
) -> _Tree:
    """Loops over the tiles on and above the diagonal."""

    def columns_from_diagonal(a: tf.Tensor, states: _Tree) -> _Tree:
        # In the tile on the diagonal, the position in the block identifies a row. XLA compares
        # constants faster than the given ids.
        block = _with_row_id(_get(blocks, a), tf.range(tf.shape(blocks.rows.group)[1]))
        i = along_rows(block)
        diagonal = compute(i, along_columns(block))
        # The state of the rows stays outside of `states` until the loop ends, so that XLA can
        # update the states of the columns in place.
        state = add(_get(states, a), diagonal, 1)
        # The other tiles compare two blocks that have no row in common.
        i = _with_row_id(i, None)

        def one_tile(b: tf.Tensor, both: tuple[_Tree, _Tree]) -> tuple[_Tree, _Tree]:
            state, states = both
            tile = compute(i, along_columns(_get(blocks, b)))
            return add(state, tile, 1), _put(states, b, add(_get(states, b), tile, 0))

        state, states = _loop(a + 1, _count(blocks), one_tile, (state, states))
        return _put(states, a, state)

    return _loop(0, _count(blocks), columns_from_diagonal, states)


def along_rows(tree: _Tree) -> _Tree:
    """Reshapes the vectors of a structure from `[rows]` to `[rows, 1]`."""
    return _map(lambda x: x[:, None] if x.shape.rank == 1 else x, tree)


def along_columns(tree: _Tree) -> _Tree:
    """Reshapes the vectors of a structure from `[columns]` to `[1, columns]`."""
    return _map(lambda x: x[None, :] if x.shape.rank == 1 else x, tree)


def _loop(
    first: int | tf.Tensor,
    stop: tf.Tensor,
    body: Callable[[tf.Tensor, Any], Any],
    state: Any,
) -> Any:
    return tf.while_loop(
        lambda k, _: k < stop, lambda k, state: (k + 1, body(k, state)), (first, state)
    )[1]


def _with_row_id(block: Block, row_id: tf.Tensor | None) -> Block:
    return block._replace(rows=block.rows._replace(row_id=row_id))


def _count(blocks: Block) -> tf.Tensor:
    return tf.shape(blocks.rows.z)[0]


def _get(tree: _Tree, k: tf.Tensor) -> _Tree:
    return _map(lambda x: tf.gather(x, k), tree)


def _put(tree: _Tree, k: tf.Tensor, block: _Tree) -> _Tree:
    return tf.nest.map_structure(
        lambda x, value: tf.tensor_scatter_nd_update(x, [[k]], value[None]), tree, block
    )


def _map(function: Callable[[tf.Tensor], tf.Tensor], tree: _Tree) -> _Tree:
    return tf.nest.map_structure(lambda x: None if x is None else function(x), tree)
