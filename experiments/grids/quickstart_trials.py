r"""Settings of the quickstart, chosen on held-out training images of Fashion-MNIST.

    python -m experiments.ablate --grid=quickstart_trials \
        --config=experiments/configs/fashion_mnist_small.py \
        --change=train_images=12000 --change=hold_out=5000 --change=epochs=5

trains SupCon with eight pairs of temperature and learning rate, cross-entropy with eight learning
rates, and then changes one other setting at a time. A training takes 1 to 2 minutes on 2 cores.
The results are in docs/quickstart_comparison.md.
"""

from experiments.grids import Row

_TWO_VIEWS = {"num_views": 2}  # As many forward passes as SupCon.


def _cross_entropy(name, changes):
    return Row(f"cross-entropy, {name}", "_cross_entropy", {**_TWO_VIEWS, **changes})


ROWS = [
    *(
        Row(
            f"SupCon, temperature {temperature}, learning rate {rate}",
            changes={"loss.temperature": temperature, "optimizer.learning_rate": rate},
        )
        for temperature, rates in (
            (0.1, (0.2, 0.5, 1.0)),
            (0.2, (0.2, 0.5, 1.0)),
            (0.4, (0.2, 0.5)),
        )
        for rate in rates
    ),
    *(
        _cross_entropy(f"learning rate {rate}", {"optimizer.learning_rate": rate})
        for rate in (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.7, 1.0)
    ),
    Row("SupCon, batch size 128", changes={"batch_size": 128}),
    Row("SupCon, crop scale from 0.2", changes={"augmentation.scale": (0.2, 1.0)}),
    Row("SupCon, projection head of 512 and 128", changes={"projection_head.widths": (512, 128)}),
    Row("SupCon, 10 epochs", changes={"epochs": 10}),
    _cross_entropy("10 epochs", {"epochs": 10}),
]
