"""Trains SupCon on a table of numbers, with an augmentation for tables.

    python examples/tabular.py

scikit-learn generates the table: 2,000 rows of four classes, half of which are for testing, and 40
columns, 28 of which contain no information. The script takes 10 seconds on one core, and prints

    the table itself: k-NN 0.534, logistic regression 0.537
    SupCon: k-NN 0.632, logistic regression 0.635

The results of SupCon are 0.619 and 0.619 with seed 1, and 0.623 and 0.647 with seed 2. Where simple
methods work well, SupCon gains little: on `load_breast_cancer` both were equal.
"""

import keras
import tensorflow as tf
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import supcon_tf
from supcon_tf import data, evaluation


def corruption(table):
    """Returns an augmentation that replaces three of ten numbers by one of the same column.

    Every number remains plausible for its column, in any unit. These are the views of SCARF (Bahri
    et al., 2022, https://arxiv.org/abs/2106.15147).
    """
    table = tf.constant(table)
    rows, columns = table.shape

    def corrupt(row, seed):
        first_seed, second_seed = tf.unstack(tf.random.experimental.stateless_split(seed))
        others = tf.random.stateless_uniform([columns], first_seed, 0, rows, tf.int32)
        replaced = tf.random.stateless_uniform([columns], second_seed) < 0.3
        return tf.where(replaced, tf.gather(tf.transpose(table), others, batch_dims=1), row)

    return corrupt


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
    source = data.TensorSource(train.astype("float32"), train_labels, ["0", "1", "2", "3"])
    views = data.multi_view_batches(source, corruption(source.samples), batch_size=125)
    model = supcon_tf.SupConModel(encoder, supcon_tf.projection_head((64,)))
    model.compile(keras.optimizers.Adam(1e-3), loss=supcon_tf.SupConLoss(0.2))
    model.fit(views, epochs=30, verbose=0)

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
