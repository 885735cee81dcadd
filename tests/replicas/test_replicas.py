"""The same weights, figures and predictions on 1, 2 and 4 replicas and on 2 workers."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

SCRIPT = pathlib.Path(__file__).with_name("cases.py")

EXACT = [
    *(f"{s} {d}" for s in ("outside", "inside") for d in ("all", "one_positive", "only_negatives")),
    "cold",
    "first view",
    "positives cap",
    "sum",
    "sample weight",
    "similarity_sum gathered",
    "similarity_sum added up",
    "contrast_count gathered",
    "contrast_count added up",
    "cross-entropy",
    "linear",
]
HALF_PRECISION = ["mixed_bfloat16", "mixed_float16"]
FEW = ["outside all", "inside one_positive", "similarity_sum added up", "cross-entropy"]

pytestmark = pytest.mark.slow


def start(output, *arguments, **environment):
    """Starts the script, with the output of a failure kept."""
    return subprocess.Popen(
        [sys.executable, SCRIPT, output, *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def read(process, output):
    log = process.communicate(timeout=900)[0]
    assert process.returncode == 0, log[-3000:]
    with np.load(output) as arrays:
        return dict(arrays)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def start_workers(directory, *arguments, workers=2):
    """Starts the script as every worker of a cluster on the loopback interface."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(workers)]}
    processes = []
    for index in range(workers):
        task = {"cluster": cluster, "task": {"type": "worker", "index": index}}
        output = directory / f"worker{index}.npz"
        processes.append(
            (start(output, "--workers", *arguments, TF_CONFIG=json.dumps(task)), output)
        )
    return processes


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("replicas")


@pytest.fixture(scope="module")
def one(directory):
    return read(start(directory / "1.npz"), directory / "1.npz")


@pytest.fixture(scope="module")
def two(directory):
    """Two replicas that take five steps for each execution."""
    names = [*EXACT, *HALF_PRECISION, "micro-batches"]
    output = directory / "2.npz"
    return read(start(output, *names, "--replicas=2", "--steps_per_execution=5"), output)


@pytest.fixture(scope="module")
def four(directory):
    output = directory / "4.npz"
    return read(
        start(output, *FEW, "positives cap", "alone", "plain keras", "--replicas=4"), output
    )


@pytest.fixture(scope="module")
def workers(directory):
    processes = start_workers(directory, *FEW, "--steps_per_execution=5")
    return [read(*process) for process in processes]


def case(results, name):
    prefix = f"{name}/"
    return {k.removeprefix(prefix): v for k, v in results.items() if k.startswith(prefix)}


def difference(actual, expected):
    """The largest difference of weights, relative to the largest weight."""
    weights = [key for key in expected if key.startswith("weight ")]
    assert weights
    largest = max(np.abs(expected[key]).max() for key in weights)
    return max(np.abs(actual[key] - expected[key]).max() for key in weights) / largest


def assert_same(actual, expected, name, expected_name=None):
    actual, expected = case(actual, name), case(expected, expected_name or name)
    assert expected["moved"] > 0.03  # a training that moves nothing shows nothing
    assert difference(actual, expected) <= 1e-5
    assert actual.keys() == expected.keys()
    for key, value in expected.items():
        if key.startswith(("history", "evaluation")):
            np.testing.assert_allclose(actual[key], value, rtol=1e-6, atol=1e-6, err_msg=key)
        if key == "predictions":
            np.testing.assert_allclose(actual[key], value, atol=2e-5)


@pytest.mark.parametrize("name", EXACT)
def test_two_replicas_train_as_one(one, two, name):
    assert_same(two, one, name)


@pytest.mark.parametrize("name", [*FEW, "positives cap", "plain keras"])
def test_four_replicas_train_as_one(one, four, name):
    assert_same(four, one, name)


@pytest.mark.parametrize("name", FEW)
def test_two_workers_train_as_one(one, workers, name):
    for worker in workers:
        assert_same(worker, one, name)


def test_without_the_others_rows_the_weights_differ(one, four):
    assert difference(case(four, "alone"), case(one, "alone")) > 1e-3


@pytest.mark.parametrize("name", HALF_PRECISION)
def test_half_precision_trains_alike(one, two, name):
    assert np.isfinite(case(two, name)["history loss"]).all()
    assert difference(case(two, name), case(one, name)) < 0.05


def test_micro_batches_on_replicas_train_as_one_batch(one, two):
    assert_same(two, one, "micro-batches", "no norm")


def test_a_worker_ends_when_the_other_is_killed(directory):
    (survivor, _), (victim, _) = start_workers(directory, "endless")
    for line in victim.stdout:
        if line.startswith("trained"):
            break
    victim.kill()
    survivor.communicate(timeout=60)  # raises if it hangs
    assert survivor.returncode != 0
