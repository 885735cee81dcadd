r"""SupCon on CIFAR-10, ResNet-50, as in the reference PyTorch code: 96.0 % linear accuracy.

    python -m experiments.pretrain --config=experiments/configs/cifar10_resnet50.py \
        --config.data_dir=DIRECTORY
    python -m experiments.linear_eval  (the same flags)

Published: 96.0 % (Khosla et al., 2020, Table 2, and the code's README), the best epoch of the
linear stage on the test set; here it is the last one. Settings: the README and scripts of the
authors' PyTorch code, with its base temperature of 0.07. There the learning rate changes once an
epoch, here every step.

Needs: batch 1024, 1000 epochs, then 100; a GPU with 16 GB in bfloat16, or 4 with 11 GB each
(--strategy=mirrored); on less, --config.micro_batch_size=256. Run here: a step of the whole model
at full image size, and the same recipe small in the tests; never to the end.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder


def get_config() -> ConfigDict:
    """Returns the recipe."""
    return ConfigDict(
        dict(
            dataset="cifar10",
            data_dir="",
            train_images=placeholder(int),  # all
            hold_out=0,  # test on so many training images instead of the test set
            image_size=32,
            test_short_side=32,
            dtype_policy="float32",
            seed=0,
            batch_size=1024,
            epochs=1000,
            num_views=2,
            images_per_class=placeholder(int),  # batches by class, so many images of each
            labeled_fraction=1.0,  # of each class; the other samples are positives of themselves
            joint_classifier=False,  # train the linear classifier along with the encoder
            micro_batch_size=placeholder(int),
            steps_per_execution=1,
            checkpoint_steps=1000,
            checkpoints_kept=2,
            augmentation=dict(
                policy="sim_augment",
                area=(0.2, 1.0),
                flip=True,
                crop="torchvision",
                strength=0.5,
                jitter="torchvision",
            ),
            mixing=dict(kind="", alpha=1.0, per_sample=False),  # none
            teacher=dict(path="", weight=1.0, temperature=1.0, gives="auto"),  # none
            encoder=dict(
                depth=50,
                stem="cifar",
                width=1.0,
                mean=(0.4914, 0.4822, 0.4465),  # of the pixels in [0, 1]
                std=(0.2023, 0.1994, 0.2010),
                zero_init_last_gamma=False,
                kernel_initializer="he_fan_out",
                normalize=False,
                synchronized_batch_norm=False,
            ),
            projection_head=dict(widths=(2048, 128), batch_norm=False),
            loss=dict(name="supcon", temperature=0.1, base_temperature=0.07),
            optimizer=dict(
                name="sgd",
                learning_rate=0.125,  # per 256 images of the batch: 0.5 for 1024
                arguments=dict(momentum=0.9, weight_decay=1e-4, exclude=()),
                schedule=dict(name="cosine", final=1e-3, warmup_epochs=10, warmup_start=0.01),
            ),
            linear=dict(
                batch_size=512,
                epochs=100,
                batch_statistics=False,
                label_smoothing=0.0,
                mixing=dict(kind=""),  # none
                augmentation=dict(
                    policy="crop_flip", area=(0.2, 1.0), flip=True, crop="torchvision"
                ),
                optimizer=dict(
                    name="sgd",
                    learning_rate=2.5,  # 5 for 512
                    arguments=dict(momentum=0.9),
                    schedule=dict(
                        name="steps",
                        epochs=(60, 75, 90),
                        factor=0.2,
                        warmup_epochs=0,
                        warmup_start=0.0,
                    ),
                ),
            ),
        )
    )
