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

TPU, GPU = jax_compilers.COMPILERS


@pytest.fixture
def compilations(monkeypatch):
    """Replaces the compiler by one for the GPU that accepts all programs; returns what it got."""
    received = []

    def compile_hlo(hlo, compiler):
        received.append((hlo, compiler))
        return jax_compilers.Memory(temporaries=15 * 10**9, arguments=2 * 10**9, outputs=4)

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
    row = f"| {name} | float32 | 8 | H100 | 15.0 GB | 2.0 GB | no | yes | yes |"
    for _ in range(2):
        run_script(
            "benchmarks.accelerator_compile", f"--program={name}", f"--output_dir={tmp_path}"
        )
        assert row in capsys.readouterr().out
    assert compilations == [((tmp_path / f"{name}.hlo").read_bytes(), GPU)]
    assert b"convolution" in compilations[0][0]
    assert (tmp_path / "fashion_mnist_10k_teacher.keras").exists()
    (result,) = json.loads((tmp_path / "accelerators.json").read_text())
    assert (result["program"], result["device"], result["outputs"]) == (name, "H100", 4)


def write(directory, missing_kernel=None):
    about = {"dtype": "float32", "batch_size": 8, "missing_kernel": missing_kernel}
    (directory / "digits_small.json").write_text(json.dumps(about))
    (directory / "digits_small.hlo").write_bytes(b"hlo")


def test_a_rejected_program_is_a_row_with_its_reason(
    compilations, monkeypatch, run_script, tmp_path, capsys
):
    def reject(hlo, compiler):
        raise jax_compilers.RejectedProgramError("Ran out of memory: 16.06G of 15.75G.\nDetails")

    monkeypatch.setattr(jax_compilers, "compile_hlo", reject)
    write(tmp_path)
    run_script(
        "benchmarks.accelerator_compile", "--program=digits_small", f"--output_dir={tmp_path}"
    )
    (row,) = json.loads((tmp_path / "accelerators.json").read_text())
    assert row["rejected"] == "Ran out of memory: 16.06G of 15.75G."
    cells = "rejected: Ran out of memory: 16.06G of 15.75G. | | no | no | no |"
    assert cells in capsys.readouterr().out


def test_a_missing_kernel_is_named_and_not_compiled(compilations, run_script, tmp_path, capsys):
    write(tmp_path, "UniqueWithCounts in train_step, supcon_tf/models/supcon.py:1")
    run_script(
        "benchmarks.accelerator_compile", "--program=digits_small", f"--output_dir={tmp_path}"
    )
    assert (
        "rejected: XLA has no kernel for UniqueWithCounts in train_step" in capsys.readouterr().out
    )
    assert not compilations


def test_writing_a_program_records_a_missing_kernel(load_script, monkeypatch, tmp_path):
    script = load_script("benchmarks.accelerator_compile")

    def translate(step, *specs):
        raise MissingKernelError("Unique in step, supcon_tf/labels.py:1")

    monkeypatch.setattr("experiments.lib.hlo.translate", translate)
    script.write_program("streaming", tmp_path)
    assert not (tmp_path / "streaming.hlo").exists()
    assert json.loads((tmp_path / "streaming.json").read_text()) == {
        "dtype": "float32",
        "batch_size": 65536,
        "missing_kernel": "Unique in step, supcon_tf/labels.py:1",
    }


def test_the_table_is_sorted_and_says_what_fits(load_script):
    script = load_script("benchmarks.accelerator_compile")
    common = {"dtype": "mixed_bfloat16", "batch_size": 1024}
    planned = {"arguments": 300_000_000, "outputs": 0}
    step, loss = {"program": "cifar_step", **common}, {"program": "dense", **common}
    table = script.table(
        [
            {**step, "device": "TPU v5e", "temporaries": 16_500_000_000, **planned},
            {**step, "device": "H100", "temporaries": 39_700_000_000, **planned},
            {**loss, "device": "TPU v5e", "rejected": "too large"},
        ]
    )
    assert table.splitlines()[2:] == [
        "| dense | mixed_bfloat16 | 1,024 | TPU v5e | rejected: too large | | no | | |",
        "| cifar_step | mixed_bfloat16 | 1,024 | H100 | 39.7 GB | 300 MB | no | yes | yes |",
        "| cifar_step | mixed_bfloat16 | 1,024 | TPU v5e | 16.5 GB | 300 MB | yes | | |",
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
        config = accelerator_programs._load_recipe(name)
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


def test_the_page_shows_the_committed_results(load_script):
    script = load_script("benchmarks.accelerator_compile")
    root = pathlib.Path(__file__).parents[2] / "docs"
    rows = json.loads((root / "benchmarks" / "accelerators.json").read_text())
    assert script.table(rows) in (root / "scaling.md").read_text()
