"""Loops over the tiles of a matrix of pairs of rows.

Both sides of the matrix are split into blocks of rows. A tile is the part of the matrix that
belongs to one block of rows and one block of columns. Each block has a state, such as running sums,
to which the tiles of the block are added one after another.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import tensorflow as tf

from supcon_tf.similarity.masks import Rows
from supcon_tf.similarity.shapes import block_shape, known_shape

# Added to masked similarities: far below any similarity.
MASK_BIAS = -1e30

# The number of rows and columns of a tile. On a CPU, larger tiles do not fit into the cache, and
# smaller ones multiply slowly. A GPU computes a tile of 1024 in less time than it takes to launch
# the kernels.
BLOCK_SIZE = 1024
GPU_BLOCK_SIZE = 4096

# If the positions in a block identify its rows, XLA compares constants, which takes a CPU less time
# than ids. It stores the result, one byte per pair, in the program.
_LARGEST_CONSTANT_MASK = 1024

# Nested tuples and lists of tensors and `None`.
_Tree = TypeVar("_Tree")
_Tile = TypeVar("_Tile")


class Block(NamedTuple):
    """A block of rows, or all blocks of one side, stacked.

    Attributes:
        rows: the rows. `z` is `[dim, rows]`; the other tensors are vectors.
        z_by_row: `[rows, dim]`, the same embeddings. A CPU multiplies `[rows, dim]` by
            `[dim, columns]` fastest.
        anchor_data: a structure of vectors that a pass needs if the rows are anchors, or `None`.
        bias: what to add to the similarities of the rows: 0, or `MASK_BIAS` for absent rows and
            padding.
    """

    rows: Rows
    z_by_row: tf.Tensor
    anchor_data: Any
    bias: tf.Tensor


def default_block_size(z: tf.Tensor) -> int:
    """Returns the number of rows and columns of a tile that suits the device of a tensor.

    In a graph, the device of a tensor is often unknown. The function then expects a GPU if this
    process has one.
    """
    device_type = tf.DeviceSpec.from_string(z.device).device_type
    if device_type is None and tf.config.list_logical_devices("GPU"):
        device_type = "GPU"
    return GPU_BLOCK_SIZE if device_type == "GPU" else BLOCK_SIZE


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
    size = known_shape(rows.z)[0]
    count, length = block_shape(size, block_size)
    padded = count * length - size

    def split(x: tf.Tensor, padding: float | None = None) -> tf.Tensor:
        if padding is None:
            padding = -1 if x.dtype.is_integer else 0
        paddings = [[0, padded]] + [[0, 0]] * (x.shape.rank - 1)
        if not isinstance(padded, int) or padded > 0:
            x = tf.pad(x, paddings, constant_values=padding)
        return tf.reshape(x, [count, length, *known_shape(x)[1:]])

    # Without absent rows and padding, the bias is a constant 0, which XLA removes.
    bias = tf.zeros_like(rows.z[:, 0])
    if rows.present is not None:
        bias = tf.where(rows.present, bias, MASK_BIAS)
    z_by_row = split(rows.z)
    vectors = _map(split, rows._replace(z=None, present=None))
    blocks = vectors._replace(z=tf.linalg.matrix_transpose(z_by_row))
    return Block(blocks, z_by_row, _map(split, anchor_data), split(bias, MASK_BIAS))


def join_blocks(x: tf.Tensor, rows: Rows) -> tf.Tensor:
    """Inverts `split_blocks` for one tensor.

    Args:
        x: `[blocks, ..., rows of a block]`.
        rows: the rows that were split.

    Returns:
        `[rows, ...]`.
    """
    x = x if x.shape.rank == 2 else tf.linalg.matrix_transpose(x)
    count, length, *others = known_shape(x)
    return tf.reshape(x, [count * length, *others])[: known_shape(rows.z)[0]]


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
    columns = _count(column_blocks)

    def one_tile(k: tf.Tensor, states: _Tree) -> _Tree:
        a, b = k // columns, k % columns
        tile = compute(along_rows(_get(row_blocks, a)), along_columns(_get(column_blocks, b)))
        return _put(states, a, add(_get(states, a), tile, 1))

    return _loop(_count(row_blocks) * columns, one_tile, states)


def _accumulate_triangle(
    compute: Callable[[Block, Block], _Tile],
    add: Callable[[_Tree, _Tile, int], _Tree],
    states: _Tree,
    blocks: Block,
) -> _Tree:
    """Loops over the tiles on the diagonal, and then over the tiles above it."""
    count, length = known_shape(blocks.rows.group)

    def diagonal_tile(a: tf.Tensor, states: _Tree) -> _Tree:
        block = _get(blocks, a)
        if isinstance(length, int) and length <= _LARGEST_CONSTANT_MASK:
            block = _with_row_id(block, tf.range(length))
        tile = compute(along_rows(block), along_columns(block))
        return _put(states, a, add(_get(states, a), tile, 1))

    # Two different blocks have no row in common.
    blocks_without_id = _with_row_id(blocks, None)

    def tile_above(
        _: tf.Tensor, loop_state: tuple[tf.Tensor, tf.Tensor, _Tree]
    ) -> tuple[tf.Tensor, tf.Tensor, _Tree]:
        a, b, states = loop_state
        tile = compute(
            along_rows(_get(blocks_without_id, a)), along_columns(_get(blocks_without_id, b))
        )
        states = _put(states, a, add(_get(states, a), tile, 1))
        states = _put(states, b, add(_get(states, b), tile, 0))
        last = b == count - 1
        return tf.where(last, a + 1, a), tf.where(last, a + 2, b + 1), states

    states = _loop(count, diagonal_tile, states)
    return _loop(count * (count - 1) // 2, tile_above, (0, 1, states))[2]


def along_rows(tree: _Tree) -> _Tree:
    """Reshapes the vectors of a structure from `[rows]` to `[rows, 1]`."""
    return _map(lambda x: x[:, None] if x.shape.rank == 1 else x, tree)


def along_columns(tree: _Tree) -> _Tree:
    """Reshapes the vectors of a structure from `[columns]` to `[1, columns]`."""
    return _map(lambda x: x[None, :] if x.shape.rank == 1 else x, tree)


def _loop(steps: int | tf.Tensor, body: Callable[[Any, Any], Any], state: Any) -> Any:
    """Calls `state = body(k, state)` for every k below `steps`.

    XLA sees the number of steps before the loop starts. A GPU then runs the loop without a message
    to the host per step. Most batches fit into one tile, which needs no loop.
    """
    if isinstance(steps, int) and steps <= 1:
        return body(0, state) if steps else state
    return tf.while_loop(
        lambda k, _: k < steps, lambda k, state: (k + 1, body(k, state)), (0, state)
    )[1]


def _with_row_id(block: Block, row_id: tf.Tensor | None) -> Block:
    return block._replace(rows=block.rows._replace(row_id=row_id))


def _count(blocks: Block) -> int | tf.Tensor:
    return known_shape(blocks.rows.z)[0]


def _get(tree: _Tree, k: tf.Tensor) -> _Tree:
    return _map(lambda x: tf.gather(x, k), tree)


def _put(tree: _Tree, k: tf.Tensor, block: _Tree) -> _Tree:
    return tf.nest.map_structure(
        lambda x, value: tf.tensor_scatter_nd_update(x, [[k]], value[None]), tree, block
    )


def _map(function: Callable[[tf.Tensor], tf.Tensor], tree: _Tree) -> _Tree:
    return tf.nest.map_structure(lambda x: None if x is None else function(x), tree)
