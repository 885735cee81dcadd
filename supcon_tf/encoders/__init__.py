"""Encoders, which map images to representations.

- `resnet`: ResNet-10 to ResNet-200, for photos or for images of about 32 pixels.
- `convnext`: ConvNeXt, for photos or for images of about 32 pixels.
- `efficientnet_v2`: EfficientNetV2, the teacher of the paper on the generalized loss.
- `vit`: vision transformers, with KerasHub.
- `pretrained`: a backbone of `keras.applications` or KerasHub, with its preprocessing.
"""

from supcon_tf.encoders.convnext import convnext
from supcon_tf.encoders.efficientnet import efficientnet_v2
from supcon_tf.encoders.pretrained import pretrained
from supcon_tf.encoders.resnet import resnet
from supcon_tf.encoders.vit import vit

__all__ = ["convnext", "efficientnet_v2", "pretrained", "resnet", "vit"]
