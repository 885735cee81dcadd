"""The checks of a GPU, on a CPU with tiny settings."""

import json

import pytest
import tensorflow as tf

from experiments.benchmarks import gpu_parts


def settings(**changes):
    tiny = gpu_parts.Settings(
        rows=[16],
        steps=1,
        batch_size=4,
        depth=10,
        width=0.0625,
        dtype_policies=["mixed_bfloat16"],
        seconds=0,
        memory_bytes=10**9,
    )
    return tiny._replace(**changes)


def measure(part, **changes):
    return list(gpu_parts.measure(part, settings(**changes)))


def by(label, records):
    return {record[label]: record for record in records}


def test_products_of_float32_are_exact_and_bfloat16_shows():
    records = by("product", measure("products"))
    assert not any("failed" in record for record in records.values())
    assert records["similarity.dot.dot, XLA"]["relative_error"] < 1e-6
    assert 1e-4 < records["dot of bfloat16, XLA"]["relative_error"] < 1e-2
    assert records["its sums alone"]["relative_error"] < 1e-6


def test_rounded_products_fail(monkeypatch):
    rounded = lambda *arguments: gpu_parts.dot(*arguments, "bfloat16")  # noqa: E731
    inner_products = lambda x, y: rounded(x, y, (1, 1))  # noqa: E731
    monkeypatch.setattr(gpu_parts, "inner_products", tf.function(inner_products, jit_compile=True))
    records = by("product", measure("products"))
    assert records["similarity.dot.inner_products"]["failed"] == "the error is above 1e-05"
    assert "failed" not in records["similarity.dot.dot, XLA"]


@pytest.mark.slow
def test_losses_equal_float64(uncompiled):
    records = measure("losses")
    assert len(records) == 12
    for record in records:
        assert "failed" not in record, record
        assert 0 < record["gradient_error"] < 1e-5


@pytest.mark.slow
def test_a_wrong_gradient_fails(uncompiled, monkeypatch):
    value_and_gradient = gpu_parts.value_and_gradient

    def doubled(loss):
        return lambda *batch: (lambda value, g: (value, 2 * g))(*value_and_gradient(loss)(*batch))

    monkeypatch.setattr(gpu_parts, "value_and_gradient", doubled)
    record = measure("losses")[0]
    assert record["gradient_error"] == pytest.approx(1, abs=1e-3)
    assert record["failed"] == "the error is above 0.0001"


@pytest.mark.slow
def test_time_of_the_loss_and_forms_that_do_not_fit(uncompiled):
    records = measure("loss_time", memory_bytes=16 * 8 * 4 * 16)
    assert all(record["milliseconds"] > 0 for record in records)
    assert [record["form"] for record in records][-2:] == ["dense TensorFlow", "dense XLA"]
    records = by("form", measure("loss_time", memory_bytes=16 * 8 * 4 * 16 - 1))
    assert records["SupConLoss, block_size=1024"]["milliseconds"] > 0
    assert records["dense XLA"]["skipped"].startswith("needs 0 GB or more")


@pytest.mark.slow
def test_training_step_without_xla():
    case = list(gpu_parts.training_step(settings()))[1]
    assert case.labels == {"policy": "mixed_bfloat16", "jit_compile": False}
    numbers = case.measure()
    assert "failed" not in numbers
    assert numbers["images_per_second"] == pytest.approx(4e3 / numbers["milliseconds"])
    assert numbers["loss"] > 0


@pytest.mark.slow
def test_input_pipeline_is_compared_with_the_step():
    case = next(gpu_parts.input_pipeline(settings(views_per_second=10.0)))
    numbers = case.measure()
    assert case.labels == {"policy": "crop_flip"}
    assert numbers["created_per_consumed"] == pytest.approx(numbers["views_per_second"] / 10)


def test_a_case_that_fails_does_not_stop_the_others(monkeypatch):
    def fail():
        raise ValueError("not\nthis time")

    def does_not_fit():
        raise tf.errors.ResourceExhaustedError(None, None, "OOM")

    cases = [fail, does_not_fit, lambda: {"number": 1}]
    part = lambda _: (gpu_parts.Case({"case": k}, case) for k, case in enumerate(cases))  # noqa: E731
    monkeypatch.setitem(gpu_parts.PARTS, "part", part)
    assert measure("part") == [
        {"case": 0, "failed": "ValueError: not"},
        {"case": 1, "skipped": "did not fit into the memory of the device"},
        {"case": 2, "number": 1},
    ]


def test_peak_memory_is_that_of_the_gpu_above_what_was_in_use(monkeypatch):
    gpu = tf.config.LogicalDevice("/device:GPU:0", "GPU")
    memory = {"current": 2 * 10**6, "peak": 7 * 10**6}
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [gpu])
    monkeypatch.setattr(tf.config.experimental, "get_memory_info", lambda name: memory)
    assert gpu_parts._peak_memory(gpu_parts._memory_in_use()) == {"peak_megabytes": 5.0}


def test_a_gpu_is_described_by_its_name_and_its_driver(load_script, monkeypatch, tmp_path):
    script = load_script("benchmarks.gpu")
    gpu = tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")
    details = {"device_name": "Card B", "compute_capability": (8, 9)}
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [gpu])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda device: details)
    monkeypatch.setenv("PATH", str(tmp_path))
    expected = {"name": "Card B", "kind": "GPU", "compute_capability": "8.9"}
    assert script.describe_device() == {**expected, "memory_bytes": None}  # No nvidia-smi.
    command = tmp_path / "nvidia-smi"
    command.write_text("#!/bin/sh\necho 'Card A, 16384, 1.0'; echo 'Card B, 24576, 550.54'\n")
    command.chmod(0o755)
    found = script.describe_device()
    assert found == {**expected, "memory_bytes": 24576 * 2**20, "driver": "550.54"}


def test_all_parts_have_titles(load_script):
    assert list(load_script("benchmarks.gpu").TITLES) == list(gpu_parts.PARTS)


def test_pytorch():
    pytest.importorskip("torch")
    for record in measure("loss_time_pytorch"):
        assert record["milliseconds"] > 0


def test_a_process_that_crashes_is_reported(load_script, monkeypatch):
    script = load_script("benchmarks.gpu")
    monkeypatch.setattr(script, "_send_records", len)  # A call with three arguments is an error.
    with pytest.raises(RuntimeError, match="exit status 1"):
        list(script._measure_in_process("products", None))


@pytest.mark.slow
def test_command_writes_all_parts_and_reports_failures(run_script, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    arguments = ["--device=cpu", "--steps=2", "--depth=19", "--dtype_policy=float32"]
    arguments += ["--part=training_step", "--part=replicas", f"--output_dir={tmp_path}"]
    with pytest.raises(SystemExit) as end:
        run_script("benchmarks.gpu", *arguments)
    assert end.value.code == 1
    report = json.loads((tmp_path / "gpu.json").read_text())
    assert report["device"]["kind"] == "CPU"
    assert report["versions"]["tensorflow"] == tf.__version__
    steps, replicas = (part["records"] for part in report["parts"].values())
    assert len(steps) == 2
    assert all("`depth` must be" in record["failed"] for record in steps)
    assert replicas[0]["devices"] == "CPU:0 and CPU:1"
    assert 0 <= replicas[0]["difference_of_weights_per_change"] < 1e-5
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"# {report['device']['name']}"
    assert "| policy | jit compile | failed |" in lines
    assert "| devices | steps | loss on one | loss on two |" in lines[-5][:60]
    assert lines[-1] == "Failed: training_step"
