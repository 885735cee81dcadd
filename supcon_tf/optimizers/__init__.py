"""Optimizers and schedules of the papers that Keras does not have.

- `LARS`: steps in proportion to the length of each weight, for large batches.
- `SGD`, `RMSprop`: Keras's, with weight decay as a part of the gradient.
- `WarmUp`: a linear warm-up before another schedule.
"""

from supcon_tf.optimizers.decay import SGD, RMSprop
from supcon_tf.optimizers.lars import LARS
from supcon_tf.optimizers.schedules import WarmUp

__all__ = ["LARS", "SGD", "RMSprop", "WarmUp"]
