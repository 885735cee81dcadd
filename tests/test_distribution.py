import json

import pytest
import tensorflow as tf

from supcon_tf import distribution


def test_one_device_is_the_default_strategy():
    for name in ("one_device", "auto"):  # tests see no GPU
        assert distribution.strategy(name) is tf.distribute.get_strategy()
    assert distribution.is_chief(tf.distribute.get_strategy())


def test_another_name_is_refused():
    with pytest.raises(ValueError, match="must be one of.*Received: 'parallel'"):
        distribution.strategy("parallel")


def test_multi_worker_needs_a_cluster(monkeypatch):
    for name in ("TF_CONFIG", "SLURM_PROCID", "SLURM_STEP_NODELIST"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="TF_CONFIG"):
        distribution.strategy("multi_worker")


@pytest.mark.parametrize(("index", "chief"), [(0, True), (1, False)])
def test_the_first_worker_is_the_chief(monkeypatch, index, chief):
    class Strategy(tf.distribute.MultiWorkerMirroredStrategy):
        def __init__(self):  # without a server
            pass

        cluster_resolver = None

    task = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": index}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(task))
    strategy = Strategy()
    strategy.cluster_resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    assert distribution.is_chief(strategy) is chief
