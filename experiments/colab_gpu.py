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
# # A classifier of your images on a Colab GPU
#
# This notebook trains an encoder of your images with the SupCon loss, then a linear classifier on
# it, and classifies images. First select *Runtime > Change runtime type > T4 GPU*.
#
# ## Installation
#
# Colab has TensorFlow and Keras. Until the library is released, run `make dist` in a clone of its
# repository and upload the wheel from `dist/` to the file browser of Colab.

# %% tags=["install"]
SUPCON_TF = "supcon_tf-0.1.0-py3-none-any.whl"  # a file, a directory or a git+https URL
# %pip install --quiet {SUPCON_TF}

# %% [markdown]
# ## Images
#
# `FOLDER` contains `train/` and `test/`, each with one directory of images per class. To use a
# folder of Google Drive, mount the drive by the folder symbol of the file browser. Copying the
# images to the disk of the runtime makes reading them faster. Checkpoints in `OUTPUT_DIR` survive
# the end of the runtime if it is a directory of the drive: run all cells again to resume.

# %% tags=["parameters"]
FOLDER = "/content/drive/MyDrive/photos"
OUTPUT_DIR = "/content/drive/MyDrive/supcon"
SIZE = 128  # side of the views in pixels
CHANNELS = 3  # 1 for gray images
FLIP = True  # False if the mirror image of an image can be of another class
DEPTH, WIDTH = 18, 1  # of the ResNet
EPOCHS, LINEAR_EPOCHS = 50, 20
BATCH_SIZE = 256
LEARNING_RATE = 0.2
TEMPERATURE = 0.1

# %%
import pathlib
import shutil

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

import supcon_tf
from supcon_tf import augmentation, data

print(tf.config.list_physical_devices("GPU") or "no GPU: change the type of the runtime")

images = pathlib.Path("images")
if not images.exists():
    shutil.copytree(FOLDER, "images.part", dirs_exist_ok=True)
    pathlib.Path("images.part").rename(images)
train = data.load_folder(images / "train", channels=CHANNELS)
test = data.load_folder(images / "test", class_names=train.class_names, channels=CHANNELS)
batch_size = min(BATCH_SIZE, len(train))
print(len(train), "training images,", len(test), "test images,", len(train.class_names), "classes")

# %%
policy = augmentation.sim_augment(SIZE, scale=(0.3, 1.0), flip=FLIP)
views = data.multi_view_batches(train, policy, batch_size=batch_size)

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
# A T4 computes float16 several times as fast as float32. Under the policy mixed_float16, Keras
# scales the loss so that small gradients do not vanish; the projections and the loss are float32.

# %%
keras.utils.set_random_seed(0)
keras.config.set_dtype_policy("mixed_float16")
encoder = supcon_tf.encoders.resnet(
    DEPTH,
    stem="imagenet" if SIZE >= 64 else "cifar",
    width=WIDTH,
    input_shape=(SIZE, SIZE, CHANNELS),
)
model = supcon_tf.SupConModel(encoder)
steps = EPOCHS * len(views)
schedule = keras.optimizers.schedules.CosineDecay(
    0.0, steps, warmup_target=LEARNING_RATE, warmup_steps=max(1, steps // 20)
)
model.compile(
    keras.optimizers.SGD(schedule, momentum=0.9, weight_decay=1e-4),
    loss=supcon_tf.SupConLoss(TEMPERATURE),
)
checkpoints = supcon_tf.callbacks.Checkpoints(f"{OUTPUT_DIR}/checkpoints", save_freq=len(views))
model.fit(
    views,
    epochs=EPOCHS,
    callbacks=[checkpoints, supcon_tf.callbacks.CollapseWarning()],
    verbose=2,
)
encoder.save(f"{OUTPUT_DIR}/encoder.keras")

# %% [markdown]
# ## Linear classifier
#
# The encoder is frozen; only the linear layer is trained.

# %%
classifier = supcon_tf.LinearClassifier(
    encoder, len(train.class_names), class_names=train.class_names
)
classifier.compile(
    keras.optimizers.Adam(0.01),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
crops = augmentation.crop_flip(SIZE, scale=(0.3, 1.0), flip=FLIP)
classifier.fit(
    data.training_batches(train, crops, batch_size=batch_size), epochs=LINEAR_EPOCHS, verbose=2
)
test_batches = data.evaluation_batches(test, size=SIZE, batch_size=batch_size)
accuracy = classifier.evaluate(test_batches, verbose=0, return_dict=True)["accuracy"]
print(f"test accuracy: {accuracy:.4f}")
classifier.save(f"{OUTPUT_DIR}/classifier.keras")

# %% [markdown]
# ## Predictions
#
# In another runtime, `keras.models.load_model` loads `classifier.keras` after `import supcon_tf`.

# %%
classifier = keras.models.load_model(f"{OUTPUT_DIR}/classifier.keras")
pixels, labels = next(iter(test_batches.unbatch().shuffle(1000, seed=0).batch(8)))
predicted = np.argmax(classifier.predict(pixels, verbose=0), axis=-1)
figure, axes = plt.subplots(1, 8, figsize=(12, 2))
for axis, image, label, name in zip(axes, pixels, labels, predicted, strict=False):
    axis.imshow(np.squeeze(image), cmap="gray")
    names = classifier.class_names
    axis.set_title(f"{names[name]}\n(labeled {names[int(label)]})", fontsize=7)
    axis.axis("off")
plt.show()
