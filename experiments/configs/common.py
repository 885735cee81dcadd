"""The fields that all recipes share, with their defaults.

A recipe calls `default_config` and states what differs: the data, the images, the length of the
training, and the fields below that are empty here.

    augmentation   `policy`, a name in `lib/builders.py`, and the arguments of that policy
    encoder        `name`, `"resnet"` by default, the arguments of that encoder, and the `mean` and
                   `std` of the pixels in [0, 1], which the encoder standardizes
    loss           `name`, a name in `lib/builders.py`, and the arguments of that loss
    optimizer      `name`, the peak `learning_rate` per 256 images of the batch, the `arguments` of
                   that optimizer, and the `schedule` of the learning rate

Optional fields: `momentum_encoder` with `queue_size` and `momentum` trains against a queue of keys.
With `linear.train_encoder`, the second stage also trains the encoder, which is fine-tuning. The
recipes of classifiers have `label_smoothing`, those of teachers also `average_momentum`.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

CIFAR100_PIXELS = {"mean": (0.5071, 0.4867, 0.4408), "std": (0.2675, 0.2565, 0.2761)}


def default_config() -> ConfigDict:
    """Returns the shared fields."""
    return ConfigDict(
        dict(
            data_dir="",
            train_images=placeholder(int),  # the number of training images; None for all
            label_noise=0.0,  # the fraction of training images that get the label of another class
            imbalance=1.0,  # the size of the first class relative to the last one, in training
            hold_out=0,  # test on this many training images instead of the test set
            dtype_policy="float32",
            seed=0,
            num_views=2,
            images_per_class=placeholder(int),  # sample batches with this many images of a class
            shuffle_buffer=placeholder(int),  # read stored images in order, see docs/large_data.md
            labeled_fraction=1.0,  # of each class; the other images are labeled -1
            unlabeled_images=True,  # train on these other images too; a classifier cannot
            joint_classifier=False,  # train the linear classifier together with the encoder
            micro_batch_size=placeholder(int),
            steps_per_execution=1,
            checkpoint_steps=1000,
            checkpoints_kept=2,
            augmentation=dict(),
            mixing=dict(kind="", alpha=1.0, per_sample=False),  # no mixing
            teacher=dict(
                path="",  # no teacher
                weight=1.0,
                temperature=1.0,
                from_logits=placeholder(bool),  # None infers it from the teacher
            ),
            encoder=dict(width=1.0),
            projection_head=dict(batch_norm=False),
            loss=dict(name="supcon"),
            optimizer=dict(),
            linear=dict(
                num_views=1,
                labeled_fraction=1.0,  # of each class; only these images train the classifier
                batch_statistics=False,  # normalize by moving statistics in the frozen encoder
                label_smoothing=0.0,
                mixing=dict(kind=""),
                augmentation=dict(),
                optimizer=dict(),
            ),
        )
    )


def on_cifar100(config: ConfigDict) -> ConfigDict:
    """Moves a recipe for CIFAR-10 to CIFAR-100."""
    config.dataset = "cifar100"
    config.encoder.update(CIFAR100_PIXELS)
    return config
