"""Supervised contrastive learning for Keras 3 on TensorFlow.

Encoders that map images of one class, or of similar labels, close together, as in

- Khosla et al., "Supervised Contrastive Learning", 2020 (https://arxiv.org/abs/2004.11362);
- Kim et al., "Generalized Supervised Contrastive Learning", 2022
  (https://arxiv.org/abs/2206.00384).

Losses, for `compile(loss=...)` of any Keras model:

- `SupConLoss`: SupCon of class ids; SimCLR where no sample has a label;
- `GeneralizedSupConLoss`: the same for label distributions: mixed, smoothed or a teacher's;
- `NPairsLoss`, `TripletLoss`, `MaxMarginLoss`: baselines of metric learning.

Models:

- `encoders`: ResNet and EfficientNetV2, from images to representations;
- `projection_head`: from representations to the space that the loss compares in;
- `SupConModel`: both, trained by `fit`, also with mixing, a teacher, or in micro-batches;
- `MomentumSupConModel`: the same with a momentum encoder and a queue (MoCo);
- `JointSupConModel`: the same with a linear classifier that learns meanwhile;
- `LinearClassifier`: the second stage, a linear layer on the frozen encoder;
- `CrossEntropyModel`, `AveragedCrossEntropyModel`: the baseline, and a teacher.

Data and augmentation:

- `data`: labeled images, and batches of several views of each;
- `augmentation`: the random views of the papers, Mixup and CutMix;
- `MixingLayer`: Mixup and CutMix within a model.

Evaluation:

- `evaluation`: k-NN, linear probe, retrieval, calibration, corruptions;
- `metrics`: the health of a training, for `compile(metrics=...)`.

Training helpers:

- `LARS` and others in `optimizers`: optimizers and schedules of large batches;
- `callbacks`: exact resuming, and a warning of collapse;
- `distribution`: strategies of tf.distribute by name.

Examples:
    >>> import numpy as np, supcon_tf
    >>> model = supcon_tf.SupConModel(supcon_tf.encoders.resnet(10, stem="cifar", width=0.125))
    >>> model.compile("sgd", loss=supcon_tf.SupConLoss(temperature=0.1))
    >>> model.predict(np.zeros([2, 32, 32, 3]), verbose=0).shape
    (2, 128)
"""

from supcon_tf import _requirements  # noqa: F401, I001  (before what needs them)
from supcon_tf import (
    augmentation,
    callbacks,
    data,
    distribution,
    encoders,
    evaluation,
    metrics,
    optimizers,
)
from supcon_tf._version import __version__
from supcon_tf.losses import (
    GeneralizedSupConLoss,
    MaxMarginLoss,
    NPairsLoss,
    SupConLoss,
    TripletLoss,
)
from supcon_tf.models import (
    AveragedCrossEntropyModel,
    CrossEntropyModel,
    Distillation,
    JointSupConModel,
    LinearClassifier,
    MixingLayer,
    MomentumSupConModel,
    SupConModel,
    projection_head,
)
from supcon_tf.optimizers import LARS

__all__ = [
    "LARS",
    "AveragedCrossEntropyModel",
    "CrossEntropyModel",
    "Distillation",
    "GeneralizedSupConLoss",
    "JointSupConModel",
    "LinearClassifier",
    "MaxMarginLoss",
    "MixingLayer",
    "MomentumSupConModel",
    "NPairsLoss",
    "SupConLoss",
    "SupConModel",
    "TripletLoss",
    "__version__",
    "augmentation",
    "callbacks",
    "data",
    "distribution",
    "encoders",
    "evaluation",
    "metrics",
    "optimizers",
    "projection_head",
]
