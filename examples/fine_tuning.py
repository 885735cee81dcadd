"""Fine-tunes a pretrained backbone with SupCon on a task with few labels.

    python examples/fine_tuning.py

The backbone learns the digits 0 to 4 of scikit-learn and is saved. The task is to recognize the
digits 5 to 9 from 20 images of each. The script takes 20 seconds on one core, and prints

    frozen backbone: accuracy 0.743
    fine-tuned backbone: accuracy 0.947

The 716 test images are the larger split. Seeds 1 and 2 reach 0.739 and 0.971, 0.733 and 0.944.
"""

import tempfile

import keras
import numpy as np

import supcon_tf

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def backbone():
    """Builds a backbone of images in [-1, 1], which could be one of keras.applications."""
    layers = [keras.Input((8, 8, 1))]
    for filters, strides in ((32, 1), (64, 2), (64, 1)):
        layers.append(keras.layers.Conv2D(filters, 3, strides, padding="same", use_bias=False))
        layers += [keras.layers.BatchNormalization(), keras.layers.ReLU()]
    return keras.Sequential(layers, name="backbone")


def encoder_of(backbone):
    """Adds the preprocessing of the backbone, for images in [0, 1], and the pooling."""
    preprocessing = keras.applications.mobilenet_v2.preprocess_input
    return supcon_tf.encoders.pretrained(backbone, preprocessing)


def load(split, first, per_class=None):
    """Loads five classes of digits, in [0, 1], with class ids from 0."""
    source = supcon_tf.data.load_digits(split)
    rows = [np.flatnonzero(source.labels == k)[:per_class] for k in range(first, first + 5)]
    chosen = source.take(np.concatenate(rows))
    return chosen.images / 255, chosen.labels - first


def linear_accuracy(encoder, train, test):
    """Trains a linear layer on the frozen encoder and tests it."""
    model = supcon_tf.LinearClassifier(encoder, num_classes=5)
    model.compile(keras.optimizers.Adam(0.01), loss=LOSS, metrics=["accuracy"])
    model.fit(*train, batch_size=50, epochs=100, verbose=0)
    return model.evaluate(*test, verbose=0)[1]


def main():
    """Pretrains a backbone, and compares it frozen and fine-tuned."""
    keras.utils.set_random_seed(0)
    path = f"{tempfile.mkdtemp()}/backbone.weights.h5"
    source, target = backbone(), backbone()
    model = supcon_tf.CrossEntropyModel(encoder_of(source), num_classes=5)
    model.compile("adam", loss=LOSS)
    model.fit(*load("train", 0), batch_size=64, epochs=15, verbose=0)
    source.save_weights(path)
    target.load_weights(path)
    encoder, train, test = encoder_of(target), load("test", 5, per_class=20), load("train", 5)
    print(f"frozen backbone: accuracy {linear_accuracy(encoder, train, test):.3f}")

    views = keras.Sequential([keras.layers.RandomRotation(0.05), keras.layers.RandomZoom(0.1)])
    model = supcon_tf.SupConModel(encoder, augmenter=views)
    for trainable, factors, epochs in ((False, {}, 20), (True, {target: 1e-1}, 100)):
        target.trainable = trainable  # First, only the new projection head is trained.
        adam = keras.optimizers.Adam(0.01)
        optimizer = supcon_tf.optimizers.scale_learning_rates(adam, model, factors)
        model.compile(optimizer, loss=supcon_tf.SupConLoss(0.1))
        model.fit(*train, batch_size=50, epochs=epochs, verbose=0)
    print(f"fine-tuned backbone: accuracy {linear_accuracy(encoder, train, test):.3f}")


if __name__ == "__main__":
    main()
