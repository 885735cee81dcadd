"""Mixup and CutMix of views and their labels."""

import dataclasses
import math

import tensorflow as tf

from supcon_tf._checks import check_choice, check_positive

KINDS = ("mixup", "cutmix", "mixup_cutmix")


@dataclasses.dataclass(frozen=True)
class Mixing:
    r"""Mixes each view of a batch with the views of other samples, and their labels accordingly.

    The views are mixed independently. For each view, the partners are a random permutation $\pi$ of
    the samples, and $\lambda \sim \mathrm{Beta}(\alpha, \alpha)$. Two views of a sample therefore
    have different partners and different labels. For sample $i$,

    $$\tilde x_i = m \odot x_i + (1 - m) \odot x_{\pi(i)}, \qquad
        \tilde y_i = \bar m \, y_i + (1 - \bar m) \, y_{\pi(i)}$$

    where $\bar m$ is the mean of the mask $m$ over the pixels. The mask of Mixup is $\lambda$
    everywhere. The mask of CutMix is 0 in a box and 1 elsewhere. The box has an area of
    $1 - \lambda$, rounded to sides of an even number of pixels, and its center is uniform over the
    pixels. It is clipped to the image, and the label weights follow from the clipped box.

    Apply mixing after all other augmentation. It is a pure function of its inputs and the seed.

    References: Zhang et al., "mixup", 2018 (https://arxiv.org/abs/1710.09412); Yun et al.,
    "CutMix", 2019 (https://arxiv.org/abs/1905.04899). The code of Kim et al., "Generalized
    Supervised Contrastive Learning", 2022 (https://arxiv.org/abs/2206.00384), also mixes both views
    independently, with one lambda per view and batch.

    Examples:
        >>> import tensorflow as tf
        >>> from supcon_tf import augmentation
        >>> views, labels = tf.random.normal([4, 2, 8, 8, 3]), tf.eye(4)
        >>> mixed, mixed_labels = augmentation.Mixing("cutmix")(views, labels, seed=[0, 1])
        >>> mixed.shape, mixed_labels.shape
        (TensorShape([4, 2, 8, 8, 3]), TensorShape([4, 2, 4]))

    Args:
        kind: `"mixup"`, `"cutmix"`, or `"mixup_cutmix"` to choose one of them at random with equal
            probability.
        alpha: parameter of the Beta distribution of lambda, positive. At 1, lambda is uniform.
            Below 1, lambda is mostly near 0 or 1, and one of the two images dominates.
        per_sample: whether each sample draws its own lambda, box and kind. By default all samples
            of a batch share one draw per view.

    Raises:
        ValueError: if `kind` is not one of the above, or `alpha` is not a positive finite number.
    """

    kind: str
    alpha: float = 1.0
    per_sample: bool = False

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, KINDS)
        check_positive("alpha", self.alpha)

    def __call__(
        self, views: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Mixes a batch of views.

        Args:
            views: `[batch, views, height, width, channels]`, floating point.
            labels: `[batch, classes]` floating point rows, shared by the views. An unlabeled sample
                has a row of zeros. If it is mixed with a labeled partner, the mixed label is the
                partner's label times the partner's weight. This scale does not change the loss,
                because the similarity of labels is a cosine.
            seed: `[2]` integers.

        Returns:
            Mixed views of the same shape and dtype, and their labels `[batch, views, classes]`, of
            the dtype of `labels`.

        Raises:
            ValueError: if `views` is not floating point of rank 5 with a static number of views, or
                `labels` is not floating point of rank 2 with one row per sample.
        """
        views, labels = tf.convert_to_tensor(views), tf.convert_to_tensor(labels)
        _check_views_and_labels(views, labels)
        size, num_views, height, width = (
            tf.shape(views)[axis] if length is None else length
            for axis, length in enumerate(views.shape[:4])
        )
        order_seed, draw_seed = tf.unstack(
            tf.random.experimental.stateless_split(tf.convert_to_tensor(seed), 2)
        )
        draws = tf.random.stateless_uniform(
            [5, size if self.per_sample else 1, num_views], draw_seed
        )
        own_pixels, own_label = self._mask(draws, height, width)
        partners = _partners(size, num_views, order_seed)
        own_pixels = tf.cast(own_pixels[..., None], views.dtype)
        own_label = tf.cast(own_label[..., None], labels.dtype)
        mixed_views = own_pixels * views + (1 - own_pixels) * tf.gather_nd(views, partners)
        mixed_labels = own_label * labels[:, None] + (1 - own_label) * tf.gather(
            labels, partners[..., 0]
        )
        mixed_views.set_shape(views.shape)
        mixed_labels.set_shape([views.shape[0], num_views, labels.shape[1]])
        return mixed_views, mixed_labels

    def _mask(
        self, draws: tf.Tensor, height: int | tf.Tensor, width: int | tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Converts draws `[5, ...]` to the mask `[..., height, width]` and its mean `[...]`.

        The mean of a box is exact in float32, because it counts pixels.
        """
        lam = symmetric_beta(draws[0], draws[1], self.alpha)
        mask, mean = lam[..., None, None], lam
        if self.kind != "mixup":
            outside, kept = _cut_box(lam, draws[2], draws[3], height, width)
            coin = draws[4] < (0.5 if self.kind == "mixup_cutmix" else 1.0)
            mask = tf.where(coin[..., None, None], outside, mask)
            mean = tf.where(coin, kept, mean)
        return mask, mean


def symmetric_beta(u: tf.Tensor, v: tf.Tensor, alpha: float) -> tf.Tensor:
    r"""Converts two uniform numbers to one number of the distribution Beta(alpha, alpha).

    By Bailey's polar method, $t = \sqrt{2\alpha (u^{-1/\alpha} - 1)} \cos 2 \pi v$ has Student's t
    distribution with $2\alpha$ degrees of freedom, and $(1 + t / \sqrt{2\alpha + t^2}) / 2$ has the
    distribution Beta(alpha, alpha). This is exact for every alpha. It needs neither rejection nor a
    gamma sampler, which XLA does not have.

    Reference: Devroye, "Random variate generation in one line of code", 1996.

    Args:
        u: float32 in [0, 1).
        v: float32 in [0, 1), of the same shape.
        alpha: parameter of the distribution, positive.

    Returns:
        Float32 in [0, 1], of the same shape.
    """
    cosine = tf.cos(2 * math.pi * v)
    # t^2 / (2 alpha). It can overflow to infinity, for which the next line is exact.
    t_squared = tf.math.expm1(-tf.math.log1p(-u) / alpha) * cosine**2
    return (1 + tf.sign(cosine) * tf.math.rsqrt(1 + 1 / t_squared)) / 2


def _cut_box(
    lam: tf.Tensor, y: tf.Tensor, x: tf.Tensor, height: int | tf.Tensor, width: int | tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns masks with a box of area 1 - lam.

    Args:
        lam: `[...]` float32 in [0, 1].
        y: `[...]` float32 in [0, 1), vertical position of the center of the box.
        x: `[...]` float32 in [0, 1), horizontal position of the center of the box.
        height: height of the images in pixels.
        width: width of the images in pixels.

    Returns:
        `[..., height, width]` float32, 0 within the box and 1 elsewhere, and its mean `[...]`.
    """
    side = tf.sqrt(1 - lam)

    def span(position: tf.Tensor, length: int | tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pixels = tf.cast(length, tf.float32)
        center = tf.cast(position * pixels, tf.int32)
        half = tf.cast(side * pixels, tf.int32) // 2
        first, end = tf.maximum(center - half, 0), tf.minimum(center + half, length)
        indices = tf.range(length)
        return (indices >= first[..., None]) & (indices < end[..., None]), end - first

    (rows, box_height), (columns, box_width) = span(y, height), span(x, width)
    outside = tf.cast(~(rows[..., :, None] & columns[..., None, :]), tf.float32)
    kept = height * width - box_height * box_width  # an exact integer
    return outside, tf.cast(kept, tf.float32) / tf.cast(height * width, tf.float32)


def _partners(size: int | tf.Tensor, num_views: int, seed: tf.Tensor) -> tf.Tensor:
    """Draws a permutation of the samples for each view.

    Returns:
        `[size, num_views, 2]` int32: the sample and the view of each partner.
    """
    keys = tf.random.stateless_uniform(
        [num_views, size], seed, minval=None, maxval=None, dtype=tf.int32
    )
    samples = tf.transpose(tf.argsort(keys, axis=1))
    views = tf.broadcast_to(tf.range(num_views), tf.shape(samples))
    return tf.stack([samples, views], axis=-1)


def _check_views_and_labels(views: tf.Tensor, labels: tf.Tensor) -> None:
    if views.shape.rank != 5 or views.shape[1] is None or not views.dtype.is_floating:
        raise ValueError(
            "`views` must be floating point images of shape [batch, views, height, width, channels]"
            f" with a static number of views. Received: shape={views.shape}, "
            f"dtype={views.dtype.name}"
        )
    if (
        labels.shape.rank != 2
        or not labels.dtype.is_floating
        or not labels.shape[:1].is_compatible_with(views.shape[:1])
    ):
        raise ValueError(
            "`labels` must be floating point rows of shape [batch, classes], one for each sample. "
            f"Received: labels.shape={labels.shape}, labels.dtype={labels.dtype.name}, "
            f"views.shape={views.shape}"
        )
