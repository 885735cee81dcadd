r"""SupCon on ImageNet, ResNet-50, as in the authors' official TensorFlow code: 78.7 % top-1.

    python -m experiments.pretrain --config=experiments/configs/imagenet_resnet50.py \
        --config.data_dir=DIRECTORY --strategy=tpu
    python -m experiments.linear_eval  (the same flags)

Published: 78.7 % top-1, 94.3 % top-5 (Khosla et al., 2020, Table 3). Settings: its script for
ResNet-50. Where the script says nothing: the decay of the linear stage begins after its warm-up.

DIRECTORY holds `train` and `val` with one directory of images per class, or imagenet2012 prepared
by TensorFlow Datasets, whose encoded images are then held in memory (140 GB).

Needs: batch 6144, 350 epochs, then 90; 128 TPU cores in the paper. On less: a batch of 2048 is
"sufficient for most purposes" and 200 epochs "likely sufficient" (section 4.5); the learning rate
follows the batch, and --config.micro_batch_size makes any batch fit. Run here: small, in the tests;
a step of 48 images of 224 pixels was compiled for one TPU v5e core (README.md).
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder


def get_config() -> ConfigDict:
    """Returns the recipe."""
    return ConfigDict(
        dict(
            dataset="imagenet2012",
            data_dir="",
            train_images=placeholder(int),  # all
            hold_out=0,  # test on so many training images instead of the test set
            image_size=224,
            test_short_side=256,
            dtype_policy="mixed_bfloat16",
            seed=0,
            batch_size=6144,
            epochs=350,
            num_views=2,
            images_per_class=placeholder(int),  # batches by class, so many images of each
            labeled_fraction=1.0,  # of each class; the other samples are positives of themselves
            joint_classifier=False,  # train the linear classifier along with the encoder
            micro_batch_size=placeholder(int),
            steps_per_execution=1,
            checkpoint_steps=1000,
            checkpoints_kept=2,
            augmentation=dict(
                policy="auto_augment", area=(0.08, 1.0), flip=True, crop="tensorflow"
            ),
            mixing=dict(kind="", alpha=1.0, per_sample=False),  # none
            teacher=dict(path="", weight=1.0, temperature=1.0, gives="auto"),  # none
            encoder=dict(
                depth=50,
                stem="imagenet",
                width=1.0,
                mean=(0.5, 0.5, 0.5),  # of the pixels in [0, 1], which become [-1, 1]
                std=(0.5, 0.5, 0.5),
                zero_init_last_gamma=True,
                kernel_initializer="lecun_normal",
                pool_padding="same",
                normalize=True,
                synchronized_batch_norm=True,
            ),
            projection_head=dict(widths=(128,), batch_norm=False),
            loss=dict(name="supcon", temperature=0.1, base_temperature=1.0),
            optimizer=dict(
                name="lars",
                learning_rate=0.4,  # per 256 images of the batch: 9.6 for 6144
                arguments=dict(momentum=0.9, weight_decay=1e-3),
                schedule=dict(name="cosine", final=0.0, warmup_epochs=12, warmup_start=0.0),
            ),
            linear=dict(
                batch_size=6144,
                epochs=90,
                batch_statistics=True,
                label_smoothing=0.0,
                mixing=dict(kind=""),  # none
                augmentation=dict(
                    policy="auto_augment", area=(0.08, 1.0), flip=True, crop="tensorflow"
                ),
                optimizer=dict(
                    name="rmsprop",
                    learning_rate=0.05,  # 1.2 for 6144
                    arguments=dict(rho=0.9, momentum=0.9, epsilon=1e-3, weight_decay=1e-6),
                    schedule=dict(
                        name="exponential",
                        every_epochs=0.5,
                        factor=0.97,
                        warmup_epochs=12,
                        warmup_start=0.0,
                    ),
                ),
            ),
        )
    )
