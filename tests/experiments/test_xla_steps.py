"""XLA has a kernel for every operation in the steps of one recipe of each kind."""

import pytest

from experiments.lib import xla_kernels


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("digits_small", {"joint_classifier": True}),
        ("imagenet_resnet50", {}),  # LARS, bfloat16, statistics of the batch in the second stage
        ("fashion_mnist_10k_genscl_distill", {"micro_batch_size": 4}),  # mixing and a teacher
        ("imagenet_resnet50_genscl_moco", {}),  # a queue of distributions
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_recipes(name, changes, tmp_path):
    assert xla_kernels.find_missing_kernel_of_recipe(name, tmp_path, **changes) is None
