"""Label distributions of classes in a hierarchy."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from supcon_tf._checks import check_positive


def class_tree(
    paths: Sequence[Sequence[str]], *, level_weights: Sequence[float] | None = None
) -> NDArray[np.float32]:
    r"""Creates label distributions whose similarity is the proximity of classes in a tree.

    The entries of a distribution are the nodes of the tree. With the weights $\omega_l$ of the
    levels, the entry of a node at level $l$ on the path to the class is $\sqrt{\omega_l}$, and
    others are 0. In GeneralizedSupConLoss, the similarity of two classes is then the weight of the
    levels that their paths share,

    $$w_{ij} = \frac{\sum_{l \in \text{shared levels}} \omega_l}
        {\sqrt{\sum_{l \le L_i} \omega_l \sum_{l \le L_j} \omega_l}}$$

    for paths of the lengths $L_i$ and $L_j$: 1 within a class, and 0 if the paths share no node.
    This takes linear memory, in contrast to a matrix of the weights of all pairs.

    Examples:
        >>> import tensorflow as tf, supcon_tf
        >>> tree = supcon_tf.data.class_tree(
        ...     [("animal", "cat"), ("animal", "dog"), ("vehicle", "car")], level_weights=(1, 3)
        ... )
        >>> tree.shape
        (3, 5)
        >>> float(tree[0] @ tree[1]) / 4
        0.25
        >>> class_ids = tf.constant([0, 2, 2])
        >>> labels = tf.gather(tree, class_ids)  # for GeneralizedSupConLoss

    Args:
        paths: for each class, in the order of the class ids, the names of the nodes from the top of
            the tree to the class. A path ends with a name of its own.
        level_weights: the weight of each level, from the top; 1 for all by default.

    Returns:
        `[classes, nodes]` float32 label distributions.

    Raises:
        ValueError: if there are no paths, a path is empty or that of another class, or there are
            fewer weights than levels, or weights that are not positive.
    """
    paths = [tuple(path) for path in paths if not isinstance(path, str)]
    if not paths or not all(paths) or len(set(paths)) < len(paths):
        raise ValueError(
            "`paths` must hold a different list of names for each class, from the top of the tree "
            f"to the class. Received: {paths}"
        )
    depth = max(map(len, paths))
    weights = [1.0] * depth if level_weights is None else list(level_weights)
    if len(weights) < depth:
        raise ValueError(
            f"`level_weights` must hold a weight for each of {depth} levels. Received: {weights}"
        )
    for weight in weights:
        check_positive("level_weights", weight)
    nodes = {path[: level + 1]: None for path in paths for level in range(len(path))}
    column = {node: index for index, node in enumerate(nodes)}
    labels = np.zeros([len(paths), len(nodes)], np.float32)
    for row, path in enumerate(paths):
        for level in range(len(path)):
            labels[row, column[path[: level + 1]]] = np.sqrt(weights[level])
    return labels
