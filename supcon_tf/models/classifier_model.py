"""The base of the models with a classifier: the classes that its outputs stand for."""

from collections.abc import Sequence
from typing import Any

from supcon_tf._checks import check_integer
from supcon_tf.models.encoder_model import EncoderModel


class ClassifierModel(EncoderModel):
    """A model whose classifier has one output per class.

    Args:
        *args: positional arguments of the next base class.
        num_classes: number of classes, at least 2.
        class_names: the names of the classes in the order of the class ids, or `None`.
        **kwargs: other arguments of the next base class.

    Attributes:
        num_classes: number of classes.
        class_names: a tuple of the names, or `None`.

    Raises:
        ValueError: if `num_classes` is not an integer of at least 2, or `class_names` are not
            `num_classes` distinct strings.
    """

    def __init__(
        self,
        *args: Any,
        num_classes: int,
        class_names: Sequence[str] | None,
        **kwargs: Any,
    ):
        num_classes = check_integer("num_classes", num_classes, least=2)
        if class_names is not None:
            class_names = _check_names(class_names, num_classes)
        super().__init__(*args, **kwargs)
        self.num_classes = num_classes
        self.class_names = class_names

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor arguments."""
        names = self.class_names
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "class_names": None if names is None else list(names),
        }


def _check_names(class_names: Any, num_classes: int) -> tuple[str, ...]:
    names = [] if isinstance(class_names, str) else list(class_names)
    are_strings = all(isinstance(name, str) for name in names)
    if not are_strings or not len(set(names)) == len(names) == num_classes:
        raise ValueError(
            f"`class_names` must be num_classes={num_classes} distinct strings. "
            f"Received: {class_names!r}"
        )
    return tuple(map(str, names))  # without the string type of NumPy
