r"""Transfers an encoder to the 12 data sets of the paper's Table 4 and evaluates it.

    python -m experiments.transfer --encoder=encoder.keras --data_dir=DIRECTORY --short_side=256
    python -m experiments.transfer --encoder=encoder.keras --data_dir=DIRECTORY --short_side=256 \
        --protocol=finetune --learning_rates=0.0001,0.001,0.01,0.1 --weight_decays=0,1e-6,1e-4

The script writes one JSON object for each data set to transfer.jsonl in the directory of the
encoder, and prints a table. It skips data sets that the file already contains, so run the same
command again to continue.

`--protocol=frozen` fits a logistic regression to the representations. It chooses one of 45
penalties from 1e-6 to 1e5 on a fifth of the training images.

`--protocol=finetune` trains the encoder and a classifier as SimCLR does: 20,000 steps of 256 random
crops, SGD with Nesterov momentum, and batch normalization with momentum max(1 - 10 / steps per
epoch, 0.9). It chooses the learning rate and the weight decay on a fifth of the training images,
and then trains with them on all training images. SimCLR tries 7 learning rates from 1e-4 to 0.1,
and as weight decays 0 and 7 values from 1e-6 to 1e-3. The SimCLR paper states no schedule; this
script uses a cosine decay to 0.

VOC 2007 has 20 binary labels per image. Each has its own logistic regression or sigmoid.

The images must be in DIRECTORY/NAME/train and DIRECTORY/NAME/test with one directory per class, or
in DIRECTORY as TensorFlow Datasets prepares them. TensorFlow Datasets does not contain Birdsnap and
Aircraft.

Reference: Chen et al., 2020, appendix B.8 (https://arxiv.org/abs/2002.05709); Khosla et al., 2020,
Table 4 (https://arxiv.org/abs/2004.11362).
"""

import hashlib
import pathlib
import time

from absl import flags

from experiments.lib.command_line import are_numbers, check_arguments, run

_ENCODER = flags.DEFINE_string(
    "encoder",
    None,
    "The .keras file of an encoder, as experiments.pretrain writes it.",
    required=True,
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "The directory of the data sets.", required=True)
_DATASETS = flags.DEFINE_list(
    "datasets", None, "Names of data sets, separated by commas; all 12 by default."
)
_PROTOCOL = flags.DEFINE_enum(
    "protocol",
    "frozen",
    ["frozen", "finetune"],
    "Whether to freeze the encoder or to fine-tune it.",
)
_SHORT_SIDE = flags.DEFINE_integer(
    "short_side",
    None,
    "The length in pixels to which the short side of an image is resized before its central square "
    "is cropped; the input size of the encoder by default. The paper uses 256.",
    lower_bound=1,
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Images in a batch.", lower_bound=1)
_PENALTIES = flags.DEFINE_integer(
    "penalties", 45, "frozen: number of penalties to choose from.", lower_bound=1
)
_STEPS = flags.DEFINE_integer("steps", 20000, "finetune: number of steps.", lower_bound=1)
_LEARNING_RATES = flags.DEFINE_list(
    "learning_rates", ["0.01"], "finetune: initial learning rates to choose from."
)
flags.register_validator(_LEARNING_RATES, are_numbers, "must be numbers of at least 0")
_WEIGHT_DECAYS = flags.DEFINE_list(
    "weight_decays", ["0"], "finetune: weight decays to choose from."
)
flags.register_validator(_WEIGHT_DECAYS, are_numbers, "must be numbers of at least 0")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of views, new weights and held-out images.")
_OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "The .jsonl file to write; transfer.jsonl in the directory of the encoder by default.",
)


def main(argv: list[str]) -> None:
    """Transfers, writes and prints."""
    check_arguments(argv)
    encoder = pathlib.Path(_ENCODER.value)
    if not encoder.is_file():
        raise FileNotFoundError(
            f"`--encoder` must be an existing file. Received: {_ENCODER.value!r}"
        )
    path = pathlib.Path(_OUTPUT.value or encoder.with_name("transfer.jsonl"))

    import keras

    from experiments.lib import transfer_datasets, transfer_protocols
    from experiments.lib.files import read_json_lines, write_json_lines
    from supcon_tf._files import lock_directory
    from supcon_tf.commands.saved_models import load_encoder

    names = _DATASETS.value or list(transfer_datasets.DATASETS)
    transfer_datasets.check_available(names, _DATA_DIR.value)
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
    lock_directory(path.parent)
    records = read_json_lines(path)
    finished = [record for record in records if record["protocol"] == _PROTOCOL.value]
    for record in finished:
        if record["settings"] != settings:
            raise ValueError(
                f"{path} holds {record['dataset']!r} with other settings; choose another --output, "
                f"or remove the record. Received: {settings}, recorded: {record['settings']}"
            )
    for name in names:
        if name in {record["dataset"] for record in finished}:
            continue
        start = time.monotonic()
        dataset = transfer_datasets.DATASETS[name]
        train, test = transfer_datasets.load(name, _DATA_DIR.value)
        chosen = {}
        if _PROTOCOL.value == "frozen":
            scores = transfer_protocols.frozen_scores(
                load_encoder(encoder), dataset, train, test, **arguments
            )
        else:
            scores, chosen = transfer_protocols.fine_tuned_scores(
                encoder, dataset, train, test, **arguments
            )
        metric = transfer_datasets.METRICS[dataset.metric]
        value = metric(scores, test.targets, test.difficult)
        records.append(
            {
                "dataset": name,
                "protocol": _PROTOCOL.value,
                "metric": dataset.metric,
                "value": value,
                "train_images": len(train.targets),
                "test_images": len(test.targets),
                "settings": settings,
                "chosen": chosen,
                "seconds": round(time.monotonic() - start, 1),
            }
        )
        write_json_lines(path, records)
        print(f"{name}: {dataset.metric} {value:.4f}", flush=True)
        keras.backend.clear_session()
    print(table(records, list(transfer_datasets.DATASETS)), end="")


def table(records, names: list[str]) -> str:
    """Writes the metrics in percent, one row per protocol, and their mean."""
    from experiments.lib.tables import markdown_table

    rows = []
    for protocol in dict.fromkeys(record["protocol"] for record in records):
        values = {
            record["dataset"]: 100 * record["value"]
            for record in records
            if record["protocol"] == protocol
        }
        cells = [f"{values[name]:.2f}" if name in values else "" for name in names]
        mean = f"{sum(values.values()) / len(values):.2f}"
        if len(values) < len(names):
            mean += f" of {len(values)}"
        rows.append([protocol, *cells, mean])
    return markdown_table(["", *names, "mean"], rows)


if __name__ == "__main__":
    run(main)
