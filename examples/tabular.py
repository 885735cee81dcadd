"""Trains SupCon on a table of numbers, with an augmentation for tables.

    python examples/tabular.py

scikit-learn generates the table: 2,000 rows of four classes, half of which are for testing, and 40
columns, 28 of which contain no information. The script takes 10 seconds on one core, and prints

    the table itself: k-NN 0.534, logistic regression 0.537
    SupCon: k-NN 0.629, logistic regression 0.624

The results of SupCon are 0.611 and 0.616 with seed 1, and 0.635 and 0.629 with seed 2. Where simple
methods work well, SupCon gains little: on `load_breast_cancer` both were equal.
"""

import keras
from keras import ops
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import supcon_tf
from supcon_tf import evaluation


class Corruption(keras.layers.Layer):
    """Replaces three of ten numbers by the number of another row in the same column.

    Every number remains plausible for its column, in any unit. These are the views of SCARF (Bahri
    et al., 2022, https://arxiv.org/abs/2106.15147).
    """

    def call(self, rows, training=None):
        """Returns a view `[batch, columns]` of rows `[batch, columns]`."""
        shape = ops.shape(rows)
        order = ops.argsort(keras.random.uniform(shape), axis=0)
        of_other_rows = ops.take_along_axis(rows, order, axis=0)
        return ops.where(keras.random.uniform(shape) < 0.3, of_other_rows, rows)


def main():
    """Compares k-NN and logistic regression on the table and on its representations."""
    keras.utils.set_random_seed(0)
    rows, labels = make_classification(
        n_samples=2000, n_features=40, n_informative=10, n_classes=4, random_state=0
    )
    train, test, train_labels, test_labels = train_test_split(
        rows, labels, test_size=0.5, stratify=labels, random_state=0
    )
    scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test)

    encoder = keras.Sequential(
        [
            keras.Input(train.shape[1:]),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(128, activation="relu"),
        ]
    )
    head = supcon_tf.projection_head((64,))
    model = supcon_tf.SupConModel(encoder, head, augmenter=Corruption())
    model.compile(keras.optimizers.Adam(1e-3), loss=supcon_tf.SupConLoss(0.2))
    model.fit(train, train_labels, batch_size=128, epochs=30, verbose=0)

    for name, features, test_features in (
        ("the table itself", train, test),
        ("SupCon", encoder.predict(train, verbose=0), encoder.predict(test, verbose=0)),
    ):
        knn = evaluation.knn_accuracy(features, train_labels, test_features, test_labels, k=5)
        linear = evaluation.logistic_regression(features, train_labels)
        accuracy = linear.score(test_features, test_labels)
        print(f"{name}: k-NN {knn:.3f}, logistic regression {accuracy:.3f}")


if __name__ == "__main__":
    main()
