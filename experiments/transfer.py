r"""Transfers an encoder to the 12 data sets of the paper's Table 4 and tests it there.

    python -m experiments.transfer --encoder=encoder.keras --data_dir=DIRECTORY --short_side=256
    python -m experiments.transfer --encoder=encoder.keras --data_dir=DIRECTORY --short_side=256 \
        --protocol=finetune --learning_rates=0.0001,0.001,0.01,0.1 --weight_decays=0,1e-6,1e-4

writes to transfer.jsonl, beside the encoder, a JSON object for each data set, and prints the table.
Given again, the command goes on with the data sets that the file does not have yet.

`--protocol=frozen` fits logistic regression to the encoder's representations, its penalty one of 45
from 1e-6 to 1e5, chosen on a fifth of the training images. `--protocol=finetune` trains encoder and
classifier as SimCLR does: 20,000 steps of 256 random crops, SGD with Nesterov momentum, and batch
normalization with momentum max(1 - 10 / steps per epoch, 0.9); of several learning rates and weight
decays it takes the best on a fifth of the training images, and trains on all. SimCLR has 7 rates
from 1e-4 to 0.1, and 7 decays from 1e-6 to 1e-3 and 0. Its paper names no schedule; here the rate
falls to 0 as a cosine. VOC 2007 is 20 decisions per image, each by a logistic regression or sigmoid
of its own.

Where the images are: DIRECTORY/NAME/train and DIRECTORY/NAME/test with one directory per class, or
what TensorFlow Datasets prepared in DIRECTORY. It does not have Birdsnap and Aircraft.

Reference: Chen et al., 2020, appendix B.8 (https://arxiv.org/abs/2002.05709); Khosla et al., 2020,
Table 4 (https://arxiv.org/abs/2004.11362).
"""

import hashlib
import pathlib
import time

from absl import app, flags, logging

_ENCODER = flags.DEFINE_string(
    "encoder", None, "A .keras file that experiments.pretrain wrote.", required=True
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where the data sets are.", required=True)
_DATASETS = flags.DEFINE_list("datasets", None, "Names of data sets; all 12 by default.")
_PROTOCOL = flags.DEFINE_enum("protocol", "frozen", ["frozen", "finetune"], "What is trained.")
_SHORT_SIDE = flags.DEFINE_integer(
    "short_side",
    None,
    "What an image's short side is resized to before its central square is cut out; the encoder's "
    "size by default. The paper says 256.",
    lower_bound=1,
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Images at the same time.", lower_bound=1)
_PENALTIES = flags.DEFINE_integer(
    "penalties", 45, "Frozen: penalties to choose from.", lower_bound=1
)
_STEPS = flags.DEFINE_integer("steps", 20000, "Fine-tuning: steps.", lower_bound=1)
_LEARNING_RATES = flags.DEFINE_list("learning_rates", ["0.01"], "Fine-tuning: rates to try.")
_WEIGHT_DECAYS = flags.DEFINE_list("weight_decays", ["0"], "Fine-tuning: weight decays to try.")
_SEED = flags.DEFINE_integer("seed", 0, "Decides views, initial weights and the held-out images.")
_OUTPUT = flags.DEFINE_string(
    "output", None, "The .jsonl file to write; transfer.jsonl beside the encoder by default."
)


def main(argv: list[str]) -> None:
    """Transfers, writes and prints."""
    if len(argv) > 1:
        raise app.UsageError(f"Flags only. Received: {argv[1:]}")
    logging.set_verbosity(logging.WARNING)
    encoder = pathlib.Path(_ENCODER.value)
    if not encoder.is_file():
        raise FileNotFoundError(f"`encoder` must exist. Received: {_ENCODER.value!r}")
    path = pathlib.Path(_OUTPUT.value or encoder.with_name("transfer.jsonl"))

    import keras

    from experiments.lib import files, saved_models, transfer_datasets, transfer_protocols

    names = _DATASETS.value or list(transfer_datasets.SETS)
    transfer_datasets.require(names, _DATA_DIR.value)
    arguments = {
        "batch_size": _BATCH_SIZE.value,
        "short_side": _SHORT_SIDE.value,
        "seed": _SEED.value,
    }
    if _PROTOCOL.value == "frozen":
        arguments["penalties"] = _PENALTIES.value
    else:
        arguments["steps"] = _STEPS.value
        arguments["learning_rates"] = [float(rate) for rate in _LEARNING_RATES.value]
        arguments["weight_decays"] = [float(decay) for decay in _WEIGHT_DECAYS.value]
    settings = {"encoder": hashlib.sha256(encoder.read_bytes()).hexdigest()[:12], **arguments}
    lines = files.read_json_lines(path)
    done = {line["dataset"] for line in lines if line["protocol"] == _PROTOCOL.value}
    for line in lines:
        if line["protocol"] == _PROTOCOL.value and line["settings"] != settings:
            raise ValueError(
                f"{path} holds {line['dataset']!r} with other settings; choose another --output, "
                f"or remove the line. Received: {settings}, there are {line['settings']}"
            )
    for name in names:
        if name in done:
            continue
        start = time.monotonic()
        entry = transfer_datasets.SETS[name]
        train, test = transfer_datasets.load(name, _DATA_DIR.value)
        chosen = {}
        if _PROTOCOL.value == "frozen":
            model = saved_models.load(encoder)
            scores = transfer_protocols.frozen_scores(model, entry, train, test, **arguments)
        else:
            scores, chosen = transfer_protocols.fine_tuned_scores(
                encoder, entry, train, test, **arguments
            )
        value = transfer_datasets.METRICS[entry.metric](scores, test.targets, test.difficult)
        lines.append(
            {
                "dataset": name,
                "protocol": _PROTOCOL.value,
                "metric": entry.metric,
                "value": value,
                "train_images": len(train.targets),
                "test_images": len(test.targets),
                "settings": settings,
                "chosen": chosen,
                "seconds": round(time.monotonic() - start, 1),
            }
        )
        files.write_json_lines(path, lines)
        print(f"{name}: {entry.metric} {value:.4f}", flush=True)
        keras.backend.clear_session()
    print(table(lines, list(transfer_datasets.SETS)), end="")


def table(lines, names: list[str]) -> str:
    """Makes the table of a file: percents, a row per protocol, and the mean of what is there."""
    text = f"| | {' | '.join(names)} | mean |\n|{(len(names) + 2) * '---|'}\n"
    for protocol in dict.fromkeys(line["protocol"] for line in lines):
        values = {
            line["dataset"]: 100 * line["value"] for line in lines if line["protocol"] == protocol
        }
        cells = [f"{values[name]:.2f}" if name in values else "" for name in names]
        mean = f"{sum(values.values()) / len(values):.2f}"
        if len(values) < len(names):
            mean += f" of {len(values)}"
        text += f"| {protocol} | {' | '.join(cells)} | {mean} |\n"
    return text


if __name__ == "__main__":
    app.run(main)
