"""Programs are written, compiled once per device, and listed; the compiler is replaced here."""

import importlib.util
import json
import pathlib
import re
import sys

import numpy as np
import pytest
import tensorflow as tf

from experiments import configs
from experiments.configs import fashion_mnist_10k_genscl_distill, fashion_mnist_10k_teacher
from experiments.lib import accelerator_programs, jax_compilers
from experiments.lib.hlo import MissingKernelError
from experiments.lib.reduced_recipes import reduced_recipe

DOCS = pathlib.Path(__file__).parents[2] / "docs"
TPU, GPU = jax_compilers.COMPILERS
COMPILED = """
ENTRY %main (p: f32[8,8]) -> f32[8,8] {
  ROOT %dot = f32[8,8]{1,0} dot(%p, %p), operand_precision={highest,highest}
}
"""


@pytest.fixture
def compilations(monkeypatch):
    """Replaces the compiler by one for the GPU that accepts all programs; returns what it got."""
    received = []

    def compile_hlo(hlo, compiler):
        received.append((hlo, compiler))
        memory = jax_compilers.Memory(temporaries=15 * 10**9, arguments=2 * 10**9, outputs=4)
        return jax_compilers.CompiledProgram(memory, COMPILED)

    monkeypatch.setattr(jax_compilers, "installed_compiler", lambda: GPU)
    monkeypatch.setattr(jax_compilers, "compile_hlo", compile_hlo)
    return received


@pytest.mark.slow
def test_a_recipe_is_written_with_its_teacher_compiled_once_and_listed(
    compilations, monkeypatch, run_script, tmp_path, capsys
):
    name = "fashion_mnist_10k_genscl_distill"
    student, teacher = reduced_recipe(name), reduced_recipe("fashion_mnist_10k_teacher")
    monkeypatch.setattr(
        fashion_mnist_10k_genscl_distill,
        "get_config",
        lambda: student.copy_and_resolve_references(),
    )
    monkeypatch.setattr(
        fashion_mnist_10k_teacher, "get_config", lambda: teacher.copy_and_resolve_references()
    )
    row = f"| {name} | float32 | 8 | | 15.0 GB | 2.0 GB | 1 | 40 GB |"
    for _ in range(2):
        run_script(
            "benchmarks.accelerator_compile", f"--program={name}", f"--output_dir={tmp_path}"
        )
        assert row in capsys.readouterr().out
    assert compilations == [((tmp_path / f"{name}.GPU.hlo").read_bytes(), GPU)]
    assert b"convolution" in compilations[0][0]
    assert (tmp_path / "fashion_mnist_10k_teacher.keras").exists()
    (result,) = json.loads((tmp_path / "accelerators.json").read_text())
    assert (result["program"], result["device"], result["outputs"]) == (name, "H100", 4)
    assert result["float32_products"] == {"highest": 1, "other": 0}


@pytest.fixture
def script(load_script, monkeypatch):
    """The script with a small program."""
    script = load_script("benchmarks.accelerator_compile")
    monkeypatch.setitem(script._LOSSES, "n_pairs", ("n_pairs", 8))
    return script


def test_a_rejected_program_is_a_row_with_its_reason(script, monkeypatch, tmp_path):
    def reject(hlo, compiler):
        raise jax_compilers.RejectedProgramError("Ran out of memory: 16.06G of 15.75G.\nDetails")

    monkeypatch.setattr(jax_compilers, "compile_hlo", reject)
    row = script.compile_program("n_pairs", GPU, tmp_path)
    assert row["rejected"] == "Ran out of memory: 16.06G of 15.75G."
    assert script.table([row]).endswith("| n_pairs | float32 | 8 | | too large | | | |\n")


def test_a_missing_kernel_is_named_and_not_compiled(script, compilations, monkeypatch, tmp_path):
    def translate(step, *specs, device_type):
        raise MissingKernelError("Unique in step, supcon_tf/labels.py:1")

    monkeypatch.setattr("experiments.lib.hlo.translate", translate)
    assert script.compile_program("n_pairs", GPU, tmp_path) == {
        "program": "n_pairs",
        "dtype": "float32",
        "batch_size": 8,
        "device": "H100",
        "rejected": "XLA has no kernel for Unique in step, supcon_tf/labels.py:1",
    }
    assert not compilations
    assert not list(tmp_path.iterdir())
    row = script.compile_program("n_pairs", TPU, tmp_path)
    assert f"| n_pairs | float32 | 8 | rejected: {row['rejected']} | | | | |" in script.table([row])


def test_launches_are_those_of_a_gpu(script, compilations, tmp_path):
    rows = [script.compile_program("n_pairs", compiler, tmp_path) for compiler in (TPU, GPU)]
    assert "kernels" not in rows[0]
    assert (rows[1]["kernels"], rows[1]["host_reads"]) == (1, 0)


def test_the_table_has_a_row_for_each_program(script):
    common = {"dtype": "mixed_bfloat16", "batch_size": 1024}
    planned = {"arguments": 300_000_000, "outputs": 0, "kernels": 1234}
    step, loss = {"program": "cifar_step", **common}, {"program": "dense", **common}
    table = script.table(
        [
            {**step, "device": "TPU v5e", "temporaries": 15_500_000_000, **planned},
            {**step, "device": "H100", "temporaries": 39_800_000_000, **planned},
            {**loss, "device": "TPU v5e", "rejected": "RESOURCE_EXHAUSTED: 16.06G of 15.75G."},
            {**loss, "device": "H100", "temporaries": 80_000_000_000, **planned},
            {**loss, "program": "n_pairs", "device": "TPU v5e", "temporaries": 131_072, **planned},
        ]
    )
    assert table.splitlines()[2:] == [
        "| dense | mixed_bfloat16 | 1,024 | too large | 80.0 GB | 300 MB | 1,234 | no |",
        "| n_pairs | mixed_bfloat16 | 1,024 | 131 kB | | | | |",
        "| cifar_step | mixed_bfloat16 | 1,024 | 15.5 GB | 39.8 GB | 300 MB | 1,234 | 80 GB |",
    ]


def test_without_a_compiler_the_error_names_the_extras(monkeypatch, run_script, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    directory = tmp_path / "output"
    message = 'needs jax.*"supcon-tf\\[tpu-check\\]" .*"supcon-tf\\[gpu-compile\\]"'
    with pytest.raises(ImportError, match=message):
        run_script("benchmarks.accelerator_compile", f"--output_dir={directory}")
    assert not directory.exists()


@pytest.mark.parametrize("compiler", [TPU, GPU], ids=lambda compiler: compiler.extra)
def test_compiling_without_jax_names_the_extra(monkeypatch, compiler):
    monkeypatch.setitem(sys.modules, "jax", None)
    message = f'needs jax: pip install "supcon-tf[{compiler.extra}]"'
    with pytest.raises(ImportError, match=re.escape(message)):
        jax_compilers.compile_hlo(b"", compiler)


def test_devices_share_the_batches_equally():
    shared = accelerator_programs._DEVICES
    assert set(shared) <= set(configs.NAMES)
    for name, devices in shared.items():
        config = configs.load_recipe(name)
        assert config.batch_size % devices == 0
        assert config.linear.get("batch_size", 0) % devices == 0


@pytest.mark.parametrize("form", ["n_pairs", "hard_triplets"])
def test_losses_have_gradients_by_all_rows(form):
    program = accelerator_programs.loss_and_gradient(form, 16)
    z = tf.math.l2_normalize(tf.random.stateless_normal(program.specs[0].shape, [0, 0]), axis=1)
    loss, gradient = program.step((z, tf.range(16) % 3))
    assert loss > 0
    assert np.abs(gradient).sum(axis=1).all()


def test_the_forms_of_supcon_have_the_same_gradient():
    z = tf.math.l2_normalize(tf.random.stateless_normal([16, 128], [0, 0]), axis=1)
    streaming, dense = (
        accelerator_programs.loss_and_gradient(form, 16).step((z, tf.range(16) % 3))
        for form in ("streaming", "dense")
    )
    for ours, expected in zip(streaming, dense, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


@pytest.fixture
def committed():
    return json.loads((DOCS / "benchmarks" / "accelerators.json").read_text())


def test_the_page_shows_the_committed_results(script, committed):
    assert script.table(committed) in (DOCS / "scaling.md").read_text()


def test_all_programs_were_compiled_for_both_devices(script, committed):
    compiled = [(row["program"], row["device"]) for row in committed]
    assert len(compiled) == len(set(compiled)) == 2 * len(script._PROGRAMS)
    assert {program for program, _ in compiled} == set(script._PROGRAMS)


def test_the_compiled_programs_read_nothing_back(committed):
    assert {row["host_reads"] for row in committed if "kernels" in row} == {0}


def test_compiled_losses_have_the_highest_precision(script, committed):
    losses = [
        row for row in committed if row["program"] in script._LOSSES and "rejected" not in row
    ]
    assert {row["device"] for row in losses} == {"H100", "TPU v5e"}
    for row in losses:
        assert row["float32_products"]["highest"] > 0
        assert row["float32_products"]["other"] == 0


def test_the_compiled_streaming_loss_needs_little_memory(committed):
    planned = {
        (row["program"], row["device"]): row["temporaries"]
        for row in committed
        if row["program"].startswith("streaming")
    }
    assert planned["streaming_2048", "H100"] <= 100e6
    assert planned["streaming", "H100"] <= 150e6
