"""The supervised contrastive loss."""

from typing import Any

import keras
import tensorflow as tf

from supcon_tf._checks import check_choice, check_integer, check_non_negative
from supcon_tf.losses.contrastive import ContrastiveLoss, References
from supcon_tf.losses.gathered_rows import gather_rows
from supcon_tf.losses.positives import warn_without_positives
from supcon_tf.losses.temperature import Temperature, current_temperature
from supcon_tf.similarity.masks import make_anchor_and_contrast_rows, make_rows
from supcon_tf.similarity.row_losses import DENOMINATORS, SUMMATIONS, supcon


@keras.saving.register_keras_serializable(package="supcon_tf")
class SupConLoss(ContrastiveLoss):
    r"""Supervised contrastive loss, with the sum over positives outside the logarithm.

    For the projections $z$ of all views in the batch, the loss of anchor $i$ is

    $$\ell_i = \frac{-1}{|P(i)|} \sum_{p \in P(i)}
        \log \frac{\exp(z_i \cdot z_p / \tau)}{\sum_{a \in A(i)} \exp(z_i \cdot z_a / \tau)}$$

    where every view is a row, $A(i)$ is the set of all other rows, and $P(i)$ the set of other rows
    of the same class or the same sample. The paper sums over anchors. Here, as in both official
    implementations, the loss of a sample is the mean over its anchor views, and Keras reduces over
    the batch. An anchor without positives has loss 0 and is included in the mean;
    `supcon_tf.metrics.positive_fraction` is the fraction of samples that share their class with
    another one. If all projections are equal, the loss is `log(batch * views - 1)`: a run whose
    loss stays at this value has collapsed.

    The method `contrast` compares a batch with other rows instead, such as the rows of a queue.

    Reference: Khosla et al., "Supervised Contrastive Learning", 2020, Eq. 2
    (https://arxiv.org/abs/2004.11362).

    Examples:
        >>> import numpy as np, supcon_tf
        >>> projections = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
        >>> loss = supcon_tf.SupConLoss(temperature=1.0)
        >>> round(float(loss(np.array([7, 7, 9]), projections)), 4)
        0.3231

    Args:
        temperature: tau, above 0; lower values sharpen the softmax over the similarities. A number;
            a schedule of the training step, such as `keras.optimizers.schedules.PolynomialDecay`,
            in the contrastive models of this library; or a `keras.Variable` that a callback
            assigns. A new value never recompiles the training step.
        summation: `"outside"` for the equation above; `"inside"` to take the mean over positives
            inside the logarithm (Eq. 3), which trains worse: 67.4 % instead of 78.7 % on ImageNet.
        denominator: `"all"` for the equation above; `"one_positive"` to sum over the negatives and
            the positive of the numerator; `"only_negatives"` to sum over the negatives, so that the
            loss can be negative; `"class_average"` to sum over the averages of the classes in the
            batch, so that frequent classes do not dominate (balanced contrastive learning, Zhu et
            al., 2022, https://arxiv.org/abs/2207.09052, without prototypes).
        margin: epsilon, at least 0, subtracted from $z_i \cdot z_p / \tau$ in the denominator, so
            that the gradient vanishes only when positives are more similar than negatives by
            epsilon (Barbano et al., 2023, https://arxiv.org/abs/2211.05568). It requires
            `denominator="one_positive"`.
        anchors: `"all_views"`, or `"first_view"` to use only the first view of each sample as an
            anchor. Anchors are compared with all views in both cases.
        positives_cap: the largest number of positives from other samples per anchor, a multiple of
            the number of views; `None` for no limit. An anchor keeps the views of the first samples
            of its class in the batch. The views of further samples of its class are neither
            positives nor part of the denominator. With 0, the only positives are the other views of
            the anchor's sample.
        base_temperature: if given, the loss is multiplied by `temperature / base_temperature`. This
            only scales the gradient, as a learning rate would. `None` leaves the loss as in the
            equation. 1.0 reproduces the official TensorFlow code with `scale_by_temperature`, and
            0.07 the reference PyTorch code.
        normalize: whether to scale the embeddings to unit length first. Set it to `False` only if
            they already have unit length.
        cross_replica: on several replicas, whether to compare anchors with the rows of all
            replicas, which gives the loss and the gradient of the global batch, or only with the
            rows of their own replica. The batch size must be static and equal on all replicas.
        block_size: the largest number of rows and of columns of the similarity matrix in memory at
            the same time; by default 1024 on a CPU or TPU, and 4096 on a GPU. It affects speed and
            memory only.
        product_dtype: `"bfloat16"` to round embeddings to bfloat16 before they are multiplied,
            which is faster on accelerators. Measured with 2048 unit rows of 128 numbers, it changes
            dot products by up to 0.002, and the loss of a sample by up to 0.004 at a temperature of
            0.1 and by up to 0.06 at 0.01. `None` multiplies in the dtype of the loss.
        reduction: `"sum_over_batch_size"`, `"mean"`, `"sum"`, `"mean_with_sample_weight"`, or
            `None` for one loss per sample.
        name: name of the loss.
        dtype: dtype of the computation, Keras's float type (float32) by default.

    Call arguments:
        - `y_true`: labels. Integer class ids `[batch]` or `[batch, 1]`, -1 for an unlabeled sample,
          whose only positives are its own other views. Or one-hot rows `[batch, classes]` with two
          or more columns, all zero for an unlabeled sample.
        - `y_pred`: embeddings `[batch, dim]` (one view) or `[batch, views, dim]`.
        - `sample_weight`: optional weights `[batch]` or `[batch, 1]` of the anchors, or a scalar. A
          sample of weight 0 is not an anchor, but other anchors are still compared with it.

    Raises:
        ValueError: if an argument, a shape or the dtype of the labels is not as described.
    """

    def __init__(
        self,
        temperature: Temperature = 0.1,
        *,
        summation: str = "outside",
        denominator: str = "all",
        margin: float = 0.0,
        anchors: str = "all_views",
        positives_cap: int | None = None,
        base_temperature: float | None = None,
        normalize: bool = True,
        cross_replica: bool = True,
        block_size: int | None = None,
        product_dtype: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "supcon_loss",
        dtype: Any = None,
    ):
        super().__init__(
            temperature,
            anchors=anchors,
            base_temperature=base_temperature,
            normalize=normalize,
            cross_replica=cross_replica,
            block_size=block_size,
            product_dtype=product_dtype,
            reduction=reduction,
            name=name,
            dtype=dtype,
        )
        self.summation = check_choice("summation", summation, SUMMATIONS)
        self.denominator = check_choice("denominator", denominator, DENOMINATORS)
        self.margin = check_non_negative("margin", margin)
        if margin and denominator != "one_positive":
            raise ValueError(
                "`margin` requires denominator='one_positive'. "
                f"Received: margin={margin}, denominator={denominator!r}"
            )
        self.positives_cap = (
            None
            if positives_cap is None
            else check_integer("positives_cap", positives_cap, least=0)
        )
        self._has_warned = False

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Computes one loss per sample, the mean over its anchor views: shape `[batch]`.

        Warns once, in eager execution, if no anchor has a positive.
        """
        losses = super().call(y_true, y_pred)
        if tf.executing_eagerly() and self.num_views == 1 and not self._has_warned:
            labels = self._row_labels(y_true, 1).numpy()
            # The warning names the line that calls the loss, above `__call__`.
            self._has_warned = len(labels) > 1 and warn_without_positives(labels, stacklevel=3)
        return losses

    def _row_losses(
        self,
        rows: tf.Tensor,
        labels: tf.Tensor,
        sample_ids: tf.Tensor,
        views: int | tf.Tensor,
        references: References | None = None,
        *,
        replica: tf.distribute.ReplicaContext | None = None,
    ) -> tf.Tensor:
        """Computes the loss of every row as an anchor."""
        ranked = self.positives_cap is not None
        include_batch = references is not None and references.include_batch
        if include_batch and (ranked or self.denominator == "class_average"):
            raise ValueError(
                "`include_batch` requires a loss without `positives_cap`, and another denominator "
                f"than 'class_average'. Received: positives_cap={self.positives_cap}, "
                f"denominator={self.denominator!r}"
            )
        contrasts = reference_rows = None
        if references is not None:
            reference_rows = make_anchor_and_contrast_rows(
                rows,
                labels,
                references.first_sample + sample_ids,
                references.z,
                references.labels,
                references.sample_ids,
                ranked,
                references.mask,
            )
        if reference_rows is not None and not include_batch:
            (anchors, contrasts), reference_rows = reference_rows, None
        elif replica is not None:
            anchors, contrasts = gather_rows(rows, labels, sample_ids, replica, ranked)
        else:
            anchors = make_rows(rows, labels, sample_ids, ranked)
        return supcon(
            anchors,
            contrasts,
            current_temperature(self.temperature),
            summation=self.summation,
            denominator=self.denominator,
            margin=self.margin,
            positives_cap=self._max_positive_samples(views),
            unit_length=self.normalize,
            block_size=self.block_size,
            product_dtype=self.product_dtype,
            replica=replica,
            references=reference_rows,
        )

    def _max_positive_samples(self, views: int | tf.Tensor) -> int | None:
        """Converts `positives_cap` from views to samples."""
        if self.positives_cap is None:
            return None
        if not isinstance(views, int) or self.positives_cap % views:
            raise ValueError(
                "`positives_cap` must be a multiple of the number of views, which must be static. "
                f"Received: positives_cap={self.positives_cap}, views={views}"
            )
        return self.positives_cap // views

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that rebuild this loss."""
        return {
            **super().get_config(),
            "summation": self.summation,
            "denominator": self.denominator,
            "margin": self.margin,
            "positives_cap": self.positives_cap,
        }
