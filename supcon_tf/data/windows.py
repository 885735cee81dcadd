"""Images of several steps that are read at once, in the order in which they are stored."""

from collections.abc import Callable

import tensorflow as tf

from supcon_tf._epochs import Step

# Function of a step to the `[rows]` indices of its images, `[rows, 2]` seeds and labels.
SampleRows = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor]]


def read_windows(
    read: Callable[[tf.Tensor], tf.Tensor],
    sample_rows: SampleRows,
    label_dtype: tf.DType,
    steps_per_epoch: int,
    steps_per_window: int,
) -> Callable[[Step, Step], tf.data.Dataset]:
    """Returns a function that reads the images of all steps of a window in one call.

    The next window is read while the steps of one are taken.

    Args:
        read: function from `[images]` indices to as many records.
        sample_rows: function that samples the images of a step.
        label_dtype: dtype of their labels.
        steps_per_epoch: number of training steps in an epoch.
        steps_per_window: number of steps in a window. The last window of an epoch can have fewer.

    Returns:
        A function from the first and the last step (exclusive) to a dataset with an element for
        each of these steps: its records, seeds and labels. The images of other steps are not read.
    """
    windows_per_epoch = -(-steps_per_epoch // steps_per_window)

    def number_of(step: tf.Tensor) -> tf.Tensor:
        return step // steps_per_epoch * windows_per_epoch + (
            step % steps_per_epoch // steps_per_window
        )

    def first_step_of(window: tf.Tensor) -> tf.Tensor:
        return window // windows_per_epoch * steps_per_epoch + (
            window % windows_per_epoch * steps_per_window
        )

    def rows_between(first_step: Step, last_step: Step) -> tf.data.Dataset:
        first, last = tf.cast(first_step, tf.int64), tf.cast(last_step, tf.int64)

        def read_window(window: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            steps = tf.range(
                tf.maximum(first, first_step_of(window)),
                tf.minimum(last, first_step_of(window + 1)),
            )
            indices, seeds, labels = tf.map_fn(
                sample_rows, steps, fn_output_signature=(tf.int64, tf.int64, label_dtype)
            )
            records = tf.reshape(read(tf.reshape(indices, [-1])), tf.shape(indices))
            return tf.ensure_shape(records, indices.shape), seeds, labels

        windows = tf.data.Dataset.range(number_of(first), number_of(last - 1) + 1)
        return windows.map(read_window).prefetch(1).unbatch()

    return rows_between
