"""SupCon on the 8 x 8 digits of scikit-learn: both stages within two minutes on 2 cores.

    python -m experiments.pretrain --config=experiments/configs/digits_small.py
    python -m experiments.linear_eval --config=experiments/configs/digits_small.py

No published result; see README.md for what comes out.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder


def get_config() -> ConfigDict:
    """Returns the recipe."""
    return ConfigDict(
        dict(
            dataset="digits",
            data_dir="",
            train_images=placeholder(int),  # all
            hold_out=0,  # test on so many training images instead of the test set
            image_size=16,
            test_short_side=16,
            dtype_policy="float32",
            seed=0,
            batch_size=128,
            epochs=40,
            num_views=2,
            images_per_class=placeholder(int),  # batches by class, so many images of each
            labeled_fraction=1.0,  # of each class; the other samples are positives of themselves
            joint_classifier=False,  # train the linear classifier along with the encoder
            micro_batch_size=placeholder(int),
            steps_per_execution=1,
            checkpoint_steps=100,
            checkpoints_kept=2,
            augmentation=dict(
                policy="sim_augment", area=(0.5, 1.0), flip=False, crop="torchvision", strength=0.5
            ),
            mixing=dict(kind="", alpha=1.0, per_sample=False),  # none
            teacher=dict(path="", weight=1.0, temperature=1.0, gives="auto"),  # none
            encoder=dict(
                depth=10,
                stem="cifar",
                width=0.25,
                mean=(0.0,),  # of the pixels in [0, 1]
                std=(1.0,),
                normalize=False,
                synchronized_batch_norm=True,
            ),
            projection_head=dict(widths=(128, 128), batch_norm=False),
            loss=dict(name="supcon", temperature=0.2),
            optimizer=dict(
                name="sgd",
                learning_rate=0.2,  # per 256 images of the batch
                arguments=dict(momentum=0.9, weight_decay=1e-4),
                schedule=dict(name="cosine", final=0.0, warmup_epochs=2, warmup_start=0.0),
            ),
            linear=dict(
                batch_size=128,
                epochs=20,
                batch_statistics=False,
                label_smoothing=0.0,
                mixing=dict(kind=""),  # none
                augmentation=dict(
                    policy="crop_flip", area=(0.5, 1.0), flip=False, crop="torchvision"
                ),
                optimizer=dict(
                    name="adam",
                    learning_rate=0.02,
                    arguments=dict(),
                    schedule=dict(name="cosine", final=0.0, warmup_epochs=0, warmup_start=0.0),
                ),
            ),
        )
    )
