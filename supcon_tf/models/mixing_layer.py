"""Mixup and CutMix of batches within a model."""

from typing import Any

import keras
import tensorflow as tf

from supcon_tf._checks import check_fraction, check_integer
from supcon_tf.augmentation import Mixing
from supcon_tf.labels import to_soft_labels
from supcon_tf.models.arguments import require_layer


@keras.saving.register_keras_serializable(package="supcon_tf")
class MixingLayer(keras.layers.Layer):
    """Mixes views and labels within a model, on the accelerator.

    Use it as `SupConModel(mixing=...)`. Each replica mixes its own part of the batch with its own
    random numbers, so training depends on the number of replicas. To train to the same weights on
    one and on several replicas, mix in the data pipeline with `supcon_tf.data.mix_batches`.

    In inference mode, the layer neither mixes views nor mixes or smooths labels. Evaluation
    therefore uses the true labels of the images.

    Examples:
        >>> import numpy as np, supcon_tf
        >>> layer = supcon_tf.MixingLayer("mixup", num_classes=3, seed=0)
        >>> views, ids = np.random.rand(4, 2, 8, 8, 3).astype("float32"), np.array([0, 1, 2, 0])
        >>> mixed_views, mixed_labels = layer(views, ids, training=True)
        >>> mixed_views.shape, mixed_labels.shape
        (TensorShape([4, 2, 8, 8, 3]), TensorShape([4, 2, 3]))

    Args:
        kind: `"mixup"`, `"cutmix"` or `"mixup_cutmix"`, as in `supcon_tf.augmentation.Mixing`.
        num_classes: the number of classes of the labels, at least 2. `None` takes it from label
            distributions `[batch, num_classes]`. Class ids require it.
        alpha: as in `supcon_tf.augmentation.Mixing`.
        per_sample: as in `supcon_tf.augmentation.Mixing`.
        label_smoothing: the fraction of each label, at least 0 and below 1, to distribute evenly
            over all classes before mixing.
        seed: the seed of the random numbers, or `None` for a random one. The state of the random
            numbers is saved with the model.
        name: name of the layer.

    Call arguments:
        - `views`: `[batch, views, height, width, channels]`, floating point.
        - `labels`: class ids `[batch]` or `[batch, 1]`, -1 for no label, or label distributions
          `[batch, num_classes]`.
        - `training`: whether to mix and to smooth.

    Raises:
        ValueError: if an argument, a shape, a dtype or the values of labels are not as described.
            The values are checked as in the losses.
    """

    def __init__(
        self,
        kind: str,
        num_classes: int | None = None,
        *,
        alpha: float = 1.0,
        per_sample: bool = False,
        label_smoothing: float = 0.0,
        seed: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        if num_classes is not None:
            num_classes = check_integer("num_classes", num_classes, least=2)
        label_smoothing = check_fraction("label_smoothing", label_smoothing)
        # Images and labels keep their precision under every dtype policy.
        super().__init__(name=name, autocast=False, **kwargs)
        self.mixing = Mixing(kind, alpha, per_sample)
        self.num_classes = num_classes
        self.label_smoothing = label_smoothing
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(
        self, views: tf.Tensor, labels: tf.Tensor, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns views `[batch, views, ...]` and labels `[batch, views, num_classes]`.

        Raises:
            ValueError: if `views` is a structure of several inputs, or as in the constructor.
        """
        if tf.nest.is_nested(views):
            raise ValueError(
                "`views` must be one array of images: several inputs, or views of several sizes, "
                "cannot be mixed. Received: a "
                f"{type(views).__name__} of {len(views)}"
            )
        if training:
            rows = self._soft_labels(labels, self.label_smoothing)
            return self.mixing(views, rows, tf.cast(self.seed_generator.next(), tf.int64))
        rows = self._soft_labels(labels)
        return views, tf.repeat(rows[:, None], views.shape[1], axis=1)

    def _soft_labels(self, labels: Any, label_smoothing: float = 0.0) -> tf.Tensor:
        """Converts labels to distributions `[batch, num_classes]`."""
        labels, num_classes = tf.convert_to_tensor(labels), self.num_classes
        if num_classes is None:
            if labels.shape.rank != 2 or labels.shape[1] in (None, 1):
                raise ValueError(
                    "Labels must be distributions [batch, classes], with a known number of "
                    "classes, because the mixing has no `num_classes`. To mix class ids, use "
                    "`supcon_tf.MixingLayer(kind, num_classes=...)`. Received: "
                    f"shape={labels.shape}"
                )
            num_classes = labels.shape[1]
        return to_soft_labels(labels, num_classes, label_smoothing)

    # Keras does not save the state of a seed generator as a weight.

    def save_own_variables(self, store: Any) -> None:
        """Saves the state of the random numbers."""
        store["seed_state"] = keras.ops.convert_to_numpy(self.seed_generator.state)

    def load_own_variables(self, store: Any) -> None:
        """Restores the state of the random numbers."""
        self.seed_generator.state.assign(store["seed_state"])

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "kind": self.mixing.kind,
            "num_classes": self.num_classes,
            "alpha": self.mixing.alpha,
            "per_sample": self.mixing.per_sample,
            "label_smoothing": self.label_smoothing,
            "seed": self.seed,
        }


def as_layer(mixing: Any) -> keras.Layer | None:
    """Converts the argument `mixing` of a model to a layer.

    Args:
        mixing: a `Mixing`, a layer, or `None`.

    Returns:
        For a `Mixing` the `MixingLayer` that takes the number of classes from label distributions;
        a layer or `None` unchanged.

    Raises:
        ValueError: if `mixing` is none of these.
    """
    if isinstance(mixing, Mixing):
        return MixingLayer(mixing.kind, alpha=mixing.alpha, per_sample=mixing.per_sample)
    require_layer("mixing", mixing, ", or a `supcon_tf.augmentation.Mixing`")
    return mixing
