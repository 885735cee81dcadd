"""The definitions of the losses as loops over anchors in float64, for comparison."""

import numpy as np
import tensorflow as tf


def supcon(
    z,
    labels,
    samples,
    tau,
    *,
    summation="outside",
    denominator="all",
    cap=None,
    contrasts=None,
    contrast_labels=None,
    contrast_samples=None,
):
    """Losses of all rows, their derivatives by the similarities, and the contrasts.

    `cap` is the number of samples, besides its own, whose views an anchor keeps as positives.
    """
    square = contrasts is None
    z = np.asarray(z, np.float64)
    c = z if square else np.asarray(contrasts, np.float64)
    labels_c = labels if square else contrast_labels
    samples_c = samples if square else contrast_samples
    losses, slopes = np.zeros(len(z)), np.zeros([len(z), len(c)])
    for i in range(len(z)):
        s = c @ z[i] / tau
        others = [j for j in range(len(c)) if not (square and i == j)]
        alike = {
            j
            for j in others
            if samples_c[j] == samples[i] or (labels_c[j] == labels[i] and labels[i] != -1)
        }
        negatives = [j for j in others if j not in alike]
        if cap is not None:
            kept = sorted({samples_c[j] for j in alike} - {samples[i]})[:cap] + [samples[i]]
            alike = {j for j in alike if samples_c[j] in kept}
        positives = sorted(alike)
        if not positives:
            continue
        if denominator == "only_negatives" and not negatives:
            continue
        # log p_ip of every positive and its derivative by every s_ij
        log_p, d_log_p = [], []
        for p in positives:
            members = {
                "all": positives + negatives,
                "one_positive": [p, *negatives],
                "only_negatives": negatives,
            }[denominator]
            top = s[members].max()
            e = np.exp(s[members] - top)
            log_p.append(s[p] - top - np.log(e.sum()))
            d = np.zeros(len(c))
            d[members] -= e / e.sum()
            d[p] += 1
            d_log_p.append(d)
        log_p, d_log_p = np.array(log_p), np.array(d_log_p)
        if summation == "outside":
            losses[i] = -log_p.mean()
            slopes[i] = -d_log_p.mean(0)
        else:
            top = log_p.max()
            e = np.exp(log_p - top)
            losses[i] = -(top + np.log(e.mean()))
            slopes[i] = -(e / e.sum()) @ d_log_p
    return losses, slopes, c


def gradients(slopes, upstream, z, c, tau, square):
    """Gradients of sum_i upstream_i loss_i, from the derivatives by the similarities."""
    slopes = slopes * np.asarray(upstream)[:, None] / tau
    z = np.asarray(z, np.float64)
    dz, dc = slopes @ c, slopes.T @ z
    return dz + dc if square else (dz, dc)


def label_weights(y, samples, other_y=None, other_samples=None):
    """Cosines of label rows in float64, and 1 within samples whose label is zero in all views."""
    square = other_y is None
    if square:
        other_y, other_samples = y, samples

    def unit(rows):
        rows = np.asarray(rows, np.float64)
        norm = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.divide(rows, norm, out=np.zeros_like(rows), where=norm > 0)

    def unlabeled(rows, ids):
        return np.array([not np.any(rows[ids == k]) for k in ids])

    w = unit(y) @ unit(other_y).T
    w[np.abs(w) < 1e-14] = 0
    same = np.equal.outer(samples, other_samples)
    w[same & np.logical_and.outer(unlabeled(y, samples), unlabeled(other_y, other_samples))] = 1
    if square:
        np.fill_diagonal(w, 0)
    return w


def generalized(z, w, tau, *, weighting="similarity_sum", contrasts=None):
    """Losses of all rows and their derivatives by the similarities, from label weights."""
    square = contrasts is None
    z = np.asarray(z, np.float64)
    c = z if square else np.asarray(contrasts, np.float64)
    s = z @ c.T / tau
    if square:
        np.fill_diagonal(s, -np.inf)
    top = s.max(1, keepdims=True)
    e = np.exp(s - top)
    p = e / e.sum(1, keepdims=True)
    log_p = np.where(w > 0, s - top - np.log(e.sum(1, keepdims=True)), 0)
    total = w.sum(1, keepdims=True)
    n = total if weighting == "similarity_sum" else len(c) - square
    with np.errstate(divide="ignore", invalid="ignore"):
        losses = np.where(total > 1e-6, -w * log_p / n, 0).sum(1)
        slopes = np.where(total > 1e-6, (p * total - w) / n, 0)
    return losses, slopes, c


def rows(kind, batch, views, seed=0, dim=8):
    """Unit rows with imbalanced class ids, singletons and unlabeled samples."""
    rng = np.random.default_rng(seed)
    ids = np.array([5, 5, 5, 5, 5, -1, -1, 2, 2, -7, 900, 2**40])[np.arange(batch) % 12]
    ids, samples = np.repeat(ids, views), np.repeat(np.arange(batch), views)
    z = rng.normal(size=[batch * views, dim])
    if kind == "clustered":
        z = 0.03 * z + 3 * rng.normal(size=[3, dim])[samples % 3]
    z = (z / np.linalg.norm(z, axis=1, keepdims=True)).astype("float32")
    return z, ids, samples, rng.normal(size=batch * views).astype("float32")


def value_and_gradient(function, z, upstream, *args):
    z = tf.constant(z)
    with tf.GradientTape() as tape:
        tape.watch(z)
        value = function(z, *args)
        total = tf.reduce_sum(value * upstream)
    return value.numpy(), tape.gradient(total, z).numpy()


def relative(actual, expected):
    error, size = np.abs(actual - expected).max(), np.abs(expected).max()
    return error / size if error else 0.0
