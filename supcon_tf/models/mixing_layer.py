"""Mixing as a layer of the model that trains on it."""

from typing import Any

import keras
import tensorflow as tf

from supcon_tf._checks import check_fraction, check_integer
from supcon_tf.augmentation import Mixing
from supcon_tf.labels import to_soft_labels


@keras.saving.register_keras_serializable(package="supcon_tf")
class MixingLayer(keras.layers.Layer):
    """Mixes views and labels within the model, on the accelerator.

    A convenience for `SupConModel(mixing=...)`. Several replicas mix each its own part of the
    batch, with draws of its own, so that training differs with their number; where it must not, mix
    in the data pipeline, by `supcon_tf.data.mix_batches`.

    Outside of training views stay as they are, and labels are neither mixed nor smoothed: models
    are evaluated on what the images really show.

    Examples:
        >>> import numpy as np, supcon_tf
        >>> layer = supcon_tf.MixingLayer("mixup", num_classes=3, seed=0)
        >>> views, ids = np.random.rand(4, 2, 8, 8, 3).astype("float32"), np.array([0, 1, 2, 0])
        >>> mixed_views, mixed_labels = layer(views, ids, training=True)
        >>> mixed_views.shape, mixed_labels.shape
        (TensorShape([4, 2, 8, 8, 3]), TensorShape([4, 2, 3]))

    Args:
        kind: `"mixup"`, `"cutmix"` or `"mixup_cutmix"`, as in `supcon_tf.augmentation.Mixing`.
        num_classes: how many classes labels have, at least 2.
        alpha: as in `supcon_tf.augmentation.Mixing`.
        per_sample: as in `supcon_tf.augmentation.Mixing`.
        label_smoothing: how much of each label, from 0 and below 1, to spread evenly over all
            classes, before they are mixed.
        seed: decides how batches are mixed; `None` for a random one. The state of the seed is saved
            with the model.
        name: name of the layer.

    Call arguments:
        - `views`: `[batch, views, height, width, channels]`, floating point.
        - `labels`: class ids `[batch]` or `[batch, 1]`, -1 for no label, or label distributions
          `[batch, num_classes]`.
        - `training`: whether to mix and to smooth.

    Raises:
        ValueError: if an argument, a shape, a dtype or the values of labels are not as described;
            values as in the losses.
    """

    def __init__(
        self,
        kind: str,
        num_classes: int,
        *,
        alpha: float = 1.0,
        per_sample: bool = False,
        label_smoothing: float = 0.0,
        seed: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        num_classes = check_integer("num_classes", num_classes, least=2)
        label_smoothing = check_fraction("label_smoothing", label_smoothing)
        # Neither images nor labels lose precision here, whatever the model computes in.
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
            ValueError: if `views` is a structure of several inputs, or as the constructor says.
        """
        if tf.nest.is_nested(views):
            raise ValueError(
                "`views` must be one array of images: several inputs are not mixed. Received: a "
                f"{type(views).__name__} of {len(views)}"
            )
        if training:
            rows = to_soft_labels(labels, self.num_classes, self.label_smoothing)
            return self.mixing(views, rows, tf.cast(self.seed_generator.next(), tf.int64))
        rows = to_soft_labels(labels, self.num_classes)
        return views, tf.repeat(rows[:, None], views.shape[1], axis=1)

    # Keras saves weights, which the states of seeds are none of.

    def save_own_variables(self, store: Any) -> None:
        """Saves the state of the seed."""
        store["seed_state"] = keras.ops.convert_to_numpy(self.seed_generator.state)

    def load_own_variables(self, store: Any) -> None:
        """Goes on with a saved state of the seed."""
        self.seed_generator.state.assign(store["seed_state"])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that rebuild this layer."""
        return {
            **super().get_config(),
            "kind": self.mixing.kind,
            "num_classes": self.num_classes,
            "alpha": self.mixing.alpha,
            "per_sample": self.mixing.per_sample,
            "label_smoothing": self.label_smoothing,
            "seed": self.seed,
        }
