"""AdamW with a schedule of the weight decay."""

from typing import Any

import keras
from keras.optimizers.schedules import LearningRateSchedule

from supcon_tf.optimizers.scheduled_weight_decay import ScheduledWeightDecay


@keras.saving.register_keras_serializable(package="supcon_tf")
class AdamW(ScheduledWeightDecay, keras.optimizers.AdamW):
    r"""`keras.optimizers.AdamW` whose weight decay can be a schedule.

    For weights $w$, and for the learning rate $\alpha_t$, the weight decay $\lambda_t$, the moving
    average $m_t$ of the gradients and the one $v_t$ of their squares in step $t$, from 1, a step is

    $$w \leftarrow w - \alpha_t \lambda_t w, \qquad
      w \leftarrow w - \alpha_t \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t}
      \frac{m_t}{\sqrt{v_t} + \epsilon}$$

    Both schedules receive $t - 1$, the number of earlier steps.

    Vision transformers are often trained with a weight decay that increases. Caron et al. increase
    it from 0.04 to 0.4, along a cosine.

    References: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019
    (https://arxiv.org/abs/1711.05101); Caron et al., "Emerging Properties in Self-Supervised Vision
    Transformers", 2021 (https://arxiv.org/abs/2104.14294).

    Examples:
        >>> import keras, supcon_tf
        >>> increase = keras.optimizers.schedules.CosineDecay(0.04, decay_steps=1000, alpha=10)
        >>> [round(float(increase(step)), 2) for step in (0, 500, 1000)]
        [0.04, 0.22, 0.4]
        >>> optimizer = supcon_tf.optimizers.AdamW(1e-3, weight_decay=increase)
        >>> round(float(optimizer.weight_decay), 2)
        0.04

    Args:
        learning_rate: $\alpha$, a number or a schedule.
        weight_decay: $\lambda$, a non-negative number or a schedule
            (`keras.optimizers.schedules.LearningRateSchedule`).
        **kwargs: other arguments of `keras.optimizers.AdamW`.

    Raises:
        ValueError: if `weight_decay` is neither a finite non-negative number nor a schedule.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float | LearningRateSchedule = 0.004,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, weight_decay, **kwargs)
