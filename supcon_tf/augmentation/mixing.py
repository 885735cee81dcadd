"""Mixup and CutMix: views blended with those of other samples, and their labels with them."""

import dataclasses
import math

import tensorflow as tf

KINDS = ("mixup", "cutmix", "mixup_cutmix")


@dataclasses.dataclass(frozen=True)
class Mixing:
    r"""Mixes each view of a batch with the views of other samples, and the labels accordingly.

    Every view of the batch is mixed on its own: it has its own permutation $\pi$ of the samples,
    which are the partners, and its own $\lambda \sim \mathrm{Beta}(\alpha, \alpha)$. Two views of a
    sample so have different partners and different labels. For a sample $i$

    $$\tilde x_i = m \odot x_i + (1 - m) \odot x_{\pi(i)}, \qquad
        \tilde y_i = \bar m \, y_i + (1 - \bar m) \, y_{\pi(i)}$$

    with $\bar m$ the mean of the mask $m$ over the pixels. Mixup has the mask $\lambda$ everywhere.
    The mask of CutMix is 0 in a box and 1 elsewhere: the box has the area $1 - \lambda$, as nearly
    as an even number of pixels allows, a center uniform over the pixels, and loses what lies
    outside of the image; its label counts the pixels that remain.

    It comes after all other augmentation. The function is pure: the same seed mixes in the same
    way.

    References: Zhang et al., "mixup", 2018 (https://arxiv.org/abs/1710.09412); Yun et al.,
    "CutMix", 2019 (https://arxiv.org/abs/1905.04899); both views mixed independently with one
    lambda for each batch, as in the code of Kim et al., "Generalized Supervised Contrastive
    Learning", 2022 (https://arxiv.org/abs/2206.00384).

    >>> views, labels = tf.random.normal([4, 2, 8, 8, 3]), tf.eye(4)
    >>> mixed_views, mixed_labels = Mixing("cutmix")(views, labels, seed=[0, 1])
    >>> mixed_views.shape, mixed_labels.shape
    (TensorShape([4, 2, 8, 8, 3]), TensorShape([4, 2, 4]))

    Args:
        kind: `"mixup"`, `"cutmix"`, or `"mixup_cutmix"` to toss a fair coin for one of them.
        alpha: of the Beta distribution of lambda, above 0. At 1 lambda is uniform; below, it is
            mostly near 0 or 1, so that one of the two images dominates.
        per_sample: whether each sample draws lambda, box and coin for itself, instead of one draw
            for a view of the whole batch.

    Raises:
        ValueError: if `kind` is none of these, or `alpha` is not a finite number above 0.
    """

    kind: str
    alpha: float = 1.0
    per_sample: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"`kind` must be one of {KINDS}. Received: {self.kind!r}")
        number = isinstance(self.alpha, (int, float)) and not isinstance(self.alpha, bool)
        if not (number and math.isfinite(self.alpha) and self.alpha > 0):
            raise ValueError(f"`alpha` must be a finite number above 0. Received: {self.alpha!r}")

    def __call__(
        self, views: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Mixes a batch of views.

        Args:
            views: `[batch, views, height, width, channels]`, floating point.
            labels: `[batch, classes]` floating point rows, shared by the views. A row of zeros, of
                a sample without a label, mixes as such: the weight of its part is lost, and since
                the similarity of labels does not depend on their length, the other part then counts
                as if it were alone.
            seed: `[2]` integers.

        Returns:
            Mixed views of the same shape and dtype, and their labels `[batch, views, classes]`, of
            the dtype of `labels`.

        Raises:
            ValueError: for another rank, images that are not floating point, another number of
                labels than of views, or a number of views that is not known statically.
        """
        views, labels = tf.convert_to_tensor(views), tf.convert_to_tensor(labels)
        _require_views_and_rows(views, labels)
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
        """Turns draws `[5, ...]` into the mask `[..., height, width]` and its mean `[...]`.

        Both are float64 or exact in float32: the mean of a box counts its pixels.
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
    r"""Turns two uniform numbers into one of the distribution Beta(alpha, alpha).

    With Bailey's polar method, $t = \sqrt{2\alpha (u^{-1/\alpha} - 1)} \cos 2 \pi v$ has Student's
    distribution of $2\alpha$ degrees of freedom, and then $(1 + t / \sqrt{2\alpha + t^2}) / 2$ is
    Beta(alpha, alpha): exactly, for every alpha, without rejection or a gamma sampler, which XLA
    does not have.

    Reference: Devroye, "Random variate generation in one line of code", 1996.

    Args:
        u: float32 in [0, 1).
        v: float32 in [0, 1), of the same shape.
        alpha: above 0.

    Returns:
        Float32 in [0, 1], of the same shape.
    """
    cosine = tf.cos(2 * math.pi * v)
    t_squared = tf.math.expm1(-tf.math.log1p(-u) / alpha) * cosine**2  # over 2 alpha; may overflow
    return (1 + tf.sign(cosine) * tf.math.rsqrt(1 + 1 / t_squared)) / 2


def _cut_box(
    lam: tf.Tensor, y: tf.Tensor, x: tf.Tensor, height: int | tf.Tensor, width: int | tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Cuts a box of the area 1 - lam out of images.

    Args:
        lam: `[...]` float32 in [0, 1].
        y: `[...]` float32 in [0, 1), where the center of the box is.
        x: the same across.
        height: of the images, in pixels.
        width: of the images, in pixels.

    Returns:
        `[..., height, width]` float32, 0 within the box and 1 elsewhere, and its mean `[...]`.
    """
    side = tf.sqrt(1 - lam)

    def span(place: tf.Tensor, length: int | tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pixels = tf.cast(length, tf.float32)
        center = tf.cast(place * pixels, tf.int32)
        half = tf.cast(side * pixels, tf.int32) // 2
        first, end = tf.maximum(center - half, 0), tf.minimum(center + half, length)
        positions = tf.range(length)
        return (positions >= first[..., None]) & (positions < end[..., None]), end - first

    (rows, box_height), (columns, box_width) = span(y, height), span(x, width)
    outside = tf.cast(~(rows[..., :, None] & columns[..., None, :]), tf.float32)
    kept = height * width - box_height * box_width  # integers, so that the fraction is exact
    return outside, tf.cast(kept, tf.float32) / tf.cast(height * width, tf.float32)


def _partners(size: int | tf.Tensor, num_views: int, seed: tf.Tensor) -> tf.Tensor:
    """Draws a permutation of the samples for each view: `[size, num_views, 2]` sample and view."""
    keys = tf.random.stateless_uniform(
        [num_views, size], seed, minval=None, maxval=None, dtype=tf.int32
    )
    samples = tf.transpose(tf.argsort(keys, axis=1))
    views = tf.broadcast_to(tf.range(num_views), tf.shape(samples))
    return tf.stack([samples, views], axis=-1)


def _require_views_and_rows(views: tf.Tensor, labels: tf.Tensor) -> None:
    if views.shape.rank != 5 or views.shape[1] is None or not views.dtype.is_floating:
        raise ValueError(
            "`views` must be floating point images of shape [batch, views, height, width, channels]"
            f" with a known number of views. Received: shape={views.shape}, "
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
