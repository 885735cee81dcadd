"""Optimizers and schedules of the papers that Keras does not provide.

- `LARS`: layer-wise adaptive rate scaling, for large batches.
- `SGDWithL2`, `RMSpropWithL2`: Keras's optimizers with coupled (L2) weight decay.
- `AdamW`: Keras's AdamW. Its weight decay, and that of the optimizers above, can be a schedule.
- `scale_learning_rates`: smaller learning rates for some layers, to fine-tune a backbone.
- `WarmUp`: a linear warm-up before another schedule.
"""

from supcon_tf.optimizers.adamw import AdamW
from supcon_tf.optimizers.coupled_weight_decay import RMSpropWithL2, SGDWithL2
from supcon_tf.optimizers.lars import LARS
from supcon_tf.optimizers.scaled_learning_rates import scale_learning_rates
from supcon_tf.optimizers.schedules import WarmUp

__all__ = ["LARS", "AdamW", "RMSpropWithL2", "SGDWithL2", "WarmUp", "scale_learning_rates"]
