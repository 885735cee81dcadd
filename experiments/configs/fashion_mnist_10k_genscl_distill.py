r"""GenSCL with a teacher on 10,000 images of Fashion-MNIST.

    python -m experiments.train_teacher \
        --config=experiments/configs/fashion_mnist_10k_teacher.py
    python -m experiments.pretrain \
        --config=experiments/configs/fashion_mnist_10k_genscl_distill.py
    python -m experiments.linear_eval  (the same flags)

No published result; see README.md for what comes out. Otherwise as fashion_mnist_10k.
"""

from ml_collections import ConfigDict

from experiments.configs import fashion_mnist_10k_genscl_mix


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = fashion_mnist_10k_genscl_mix.get_config()
    config.mixing.kind = ""
    config.teacher.path = "runs/fashion_mnist_10k_teacher/classifier.keras"
    return config
