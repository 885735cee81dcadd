"""Supervised contrastive learning for Keras 3 on TensorFlow.

The library trains encoders that map images of the same class, or of similar labels, close together:

- Khosla et al., "Supervised Contrastive Learning", 2020 (https://arxiv.org/abs/2004.11362);
- Kim et al., "Generalized Supervised Contrastive Learning", 2022
  (https://arxiv.org/abs/2206.00384).

Losses, for `compile(loss=...)` of any Keras model:

- `SupConLoss`: SupCon for class ids, which is SimCLR if no sample has a label;
- `GeneralizedSupConLoss`: SupCon for label distributions, such as mixed labels or soft targets;
- `PairwiseSupConLoss`: SupCon for given weights of pairs of samples, such as masks;
- `NPairsLoss`, `TripletLoss`, `MaxMarginLoss`: baselines of metric learning.

Models:

- `encoders`: ResNet, EfficientNetV2 and pretrained backbones, from images to representations;
- `projection_head`: an MLP from representations to projections, which the loss compares;
- `SupConModel`: an encoder and a projection head, trained by `fit`;
- `MomentumSupConModel`: SupCon with a momentum encoder and a queue of keys (MoCo);
- `CrossBatchSupConModel`: SupCon with a memory of earlier projections (XBM);
- `JointSupConModel`: SupCon with a linear classifier that is trained at the same time;
- `LinearClassifier`: the second stage, a linear layer on a frozen encoder;
- `CrossEntropyModel`: the cross-entropy baseline;
- `AveragedCrossEntropyModel`: a cross-entropy classifier with averaged weights, used as a teacher;
- `Distillation`: soft targets from a teacher, for `SupConModel` and `MomentumSupConModel`;
- `MixingLayer`: Mixup and CutMix inside a model.

Data and augmentation:

- `data`: labeled images, and batches of several views per image;
- `augmentation`: the random views of the papers, Mixup and CutMix.

Evaluation:

- `evaluation`: k-NN, linear probe, retrieval, calibration, robustness to corruptions;
- `metrics`: health metrics of contrastive training, for `compile(metrics=...)`.

Training:

- `optimizers`: `LARS`, optimizers with coupled weight decay, learning rates that differ between
  layers, and a warm-up schedule;
- `callbacks`: checkpoints for exact resumption, and a warning of collapse;
- `distribution`: strategies of tf.distribute by name.

Examples:
    >>> import numpy as np, supcon_tf
    >>> model = supcon_tf.SupConModel(supcon_tf.encoders.resnet(10, stem="cifar", width=0.125))
    >>> model.compile("sgd", loss=supcon_tf.SupConLoss(temperature=0.1))
    >>> model.predict(np.zeros([2, 32, 32, 3]), verbose=0).shape
    (2, 128)
"""

import sys

from supcon_tf._version import __version__

# `python -m supcon_tf` imports this package before its command line is parsed. The commands import
# the layers that they need afterwards, so that --help does not wait seconds for TensorFlow.
_is_command = sys.argv[:1] == ["-m"] and sys.orig_argv[-len(sys.argv)].endswith("supcon_tf")

if not _is_command:
    from supcon_tf import _requirements  # noqa: F401, I001  (checks before other imports)
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
    from supcon_tf.losses import (
        GeneralizedSupConLoss,
        MaxMarginLoss,
        NPairsLoss,
        PairwiseSupConLoss,
        SupConLoss,
        TripletLoss,
    )
    from supcon_tf.models import (
        AveragedCrossEntropyModel,
        CrossBatchSupConModel,
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
    "CrossBatchSupConModel",
    "CrossEntropyModel",
    "Distillation",
    "GeneralizedSupConLoss",
    "JointSupConModel",
    "LinearClassifier",
    "MaxMarginLoss",
    "MixingLayer",
    "MomentumSupConModel",
    "NPairsLoss",
    "PairwiseSupConLoss",
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
