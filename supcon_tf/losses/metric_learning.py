"""Base class of the metric learning losses, which compare all pairs of rows at once."""

import tensorflow as tf

from supcon_tf.losses.embedding import EmbeddingLoss
from supcon_tf.losses.gathered_rows import gather_rows
from supcon_tf.similarity.masks import Rows, make_rows


class MetricLearningLoss(EmbeddingLoss):
    """Base class of losses that hold the matrix of all pairs of rows in memory.

    Subclasses implement `_pair_losses`.
    """

    def _row_losses(
        self,
        rows: tf.Tensor,
        labels: tf.Tensor,
        sample_ids: tf.Tensor,
        views: int | tf.Tensor,
        *,
        replica: tf.distribute.ReplicaContext | None = None,
    ) -> tf.Tensor:
        """Computes the loss of every row."""
        if replica is None:
            anchors = contrasts = make_rows(rows, labels, sample_ids)
        else:
            anchors, contrasts = gather_rows(rows, labels, sample_ids, replica, differentiable=True)
        return self._pair_losses(anchors, contrasts)

    def _pair_losses(self, anchors: Rows, contrasts: Rows) -> tf.Tensor:
        """Computes the losses `[anchors]` of anchors, all of which are among the contrasts."""
        raise NotImplementedError
