"""XLA has a kernel for every operation in the steps of one recipe of each kind."""

import pytest

from experiments.lib import xla_kernels


def assert_no_missing_kernel(name, directory, **changes):
    assert xla_kernels.find_missing_kernel_of_recipe(name, directory, **changes) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("digits_small", {"joint_classifier": True}),
        ("imagenet_resnet50", {}),  # LARS, bfloat16, statistics of the batch in the second stage
    ],
    ids=["digits_small", "imagenet_resnet50"],
)
def test_recipes(name, changes, tmp_path):
    assert_no_missing_kernel(name, tmp_path, **changes)


@pytest.mark.slow
@pytest.mark.usefixtures("small_encoders")
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("fashion_mnist_10k_genscl_distill", {"micro_batch_size": 4}),  # mixing and a teacher
        ("imagenet_resnet50_genscl_moco", {}),  # a queue of distributions
    ],
    ids=["fashion_mnist_10k_genscl_distill", "imagenet_resnet50_genscl_moco"],
)
def test_steps_that_differ_in_the_loss(name, changes, tmp_path):
    assert_no_missing_kernel(name, tmp_path, **changes)
