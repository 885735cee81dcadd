# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Supervised contrastive learning on a Colab TPU
#
# This notebook trains a ResNet with the SupCon loss on CIFAR-10, trains a linear classifier on the
# frozen encoder, and draws the embeddings. First select *Runtime > Change runtime type > TPU*. On a
# GPU or a CPU, skip the installation of tensorflow-tpu and set `STRATEGY = "auto"`.
#
# ## Installation
#
# A TPU runtime has no TensorFlow. It requires `tensorflow-tpu`, which provides the same modules as
# `tensorflow`. `--no-deps` prevents the second command from installing `tensorflow`.
#
# Until the library is released, run `make dist` in a clone of its repository and upload the wheel
# from `dist/` to the file browser of Colab.

# %% tags=["install"]
SUPCON_TF = "supcon_tf-0.1.0-py3-none-any.whl"  # a file, a directory or a git+https URL
# %pip install --quiet tensorflow-tpu==2.19.1 "keras>=3.10" scikit-learn matplotlib
# %pip install --quiet --no-deps {SUPCON_TF}

# %% [markdown]
# ## Settings
#
# The paper trains a ResNet-50 (`DEPTH = 50`, `WIDTH = 1`) for 1000 epochs. These settings are for a
# first impression.

# %% tags=["parameters"]
STRATEGY = "tpu"
DATASET = "cifar10"
DEPTH, WIDTH = 18, 1
EPOCHS, LINEAR_EPOCHS = 30, 10
BATCH_SIZE = 1024
LEARNING_RATE = 0.5
TEMPERATURE = 0.1
STEPS_PER_EXECUTION = 16  # divides the 48 steps of an epoch: one program for all executions

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA

import supcon_tf

strategy = supcon_tf.distribution.strategy(STRATEGY)
print(strategy.num_replicas_in_sync, "replicas")

# %% [markdown]
# ## Data
#
# The host creates two random views of every image.

# %%
if DATASET == "cifar10":
    (train_x, train_y), (test_x, test_y) = keras.datasets.cifar10.load_data()
    animals = ["bird", "cat", "deer", "dog", "frog", "horse"]
    names = ["airplane", "automobile", *animals, "ship", "truck"]
    train = supcon_tf.data.ArrayImages(train_x, train_y[:, 0], names)
    test = supcon_tf.data.ArrayImages(test_x, test_y[:, 0], names)
else:
    train, test = supcon_tf.data.load_digits("train"), supcon_tf.data.load_digits("test")
size = train.images.shape[1]

views = supcon_tf.data.multi_view_batches(
    train, supcon_tf.augmentation.sim_augment(size), batch_size=BATCH_SIZE
)

first = next(iter(views))[0]
figure, axes = plt.subplots(2, 8, figsize=(8, 2.2))
for k in range(8):
    for view in range(2):
        axes[view][k].imshow(np.squeeze(first[k, view]), cmap="gray")
        axes[view][k].axis("off")
figure.suptitle("two views of eight images")
plt.show()

# %% [markdown]
# ## Contrastive training
#
# XLA compiles the loss. Every replica compares its embeddings with the embeddings of all replicas.

# %%
keras.utils.set_random_seed(0)
keras.config.set_dtype_policy("mixed_bfloat16" if STRATEGY == "tpu" else "float32")
with strategy.scope():
    encoder = supcon_tf.encoders.resnet(
        DEPTH,
        stem="cifar",
        width=WIDTH,
        input_shape=(size, size, train.channels),
        synchronized_batch_norm=True,
    )
    model = supcon_tf.SupConModel(encoder)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0,
        EPOCHS * len(views),
        warmup_target=LEARNING_RATE,
        warmup_steps=max(1, EPOCHS * len(views) // 20),
    )
    model.compile(
        keras.optimizers.SGD(schedule, momentum=0.9, weight_decay=1e-4),
        loss=supcon_tf.SupConLoss(TEMPERATURE),
        steps_per_execution=STEPS_PER_EXECUTION,
    )
history = model.fit(views, epochs=EPOCHS, verbose=2)

plt.plot(1 + np.arange(EPOCHS), history.history["loss"])
plt.xlabel("epoch")
plt.ylabel("SupCon loss")
plt.show()

# %% [markdown]
# ## Linear classifier
#
# The encoder is frozen; only the linear layer is trained.

# %%
crops = supcon_tf.data.training_batches(
    train, supcon_tf.augmentation.crop_flip(size), batch_size=BATCH_SIZE
)
test_batches = supcon_tf.data.evaluation_batches(test, size=size, batch_size=BATCH_SIZE)
with strategy.scope():
    classifier = supcon_tf.LinearClassifier(encoder, num_classes=len(train.class_names))
    classifier.compile(
        keras.optimizers.Adam(0.01),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        steps_per_execution=STEPS_PER_EXECUTION,
    )
classifier.fit(crops, epochs=LINEAR_EPOCHS, verbose=2)
accuracy = classifier.evaluate(test_batches, verbose=0, return_dict=True)["accuracy"]
print(f"test accuracy: {accuracy:.4f}")

# %% [markdown]
# ## Pictures
#
# The projections of the test images onto the first two principal components.

# %%
projections = model.predict(test_batches.map(lambda x, y: x), verbose=0)
points = PCA(2).fit_transform(projections)
figure, ax = plt.subplots(figsize=(6, 5))
scatter = ax.scatter(*points.T, c=test.labels, s=4, cmap="tab10")
ax.legend(
    scatter.legend_elements()[0], test.class_names, loc="center left", bbox_to_anchor=(1, 0.5)
)
ax.set(title="test images, by class", xlabel="first component", ylabel="second component")
figure.tight_layout()
plt.show()
