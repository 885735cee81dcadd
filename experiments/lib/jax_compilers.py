"""Compiles HLO for accelerators that the machine does not have.

All uses of the non-public API of jax. The extras of `pyproject.toml` pin the versions that have it.
"""

import dataclasses
import importlib.util
import os
import re

import numpy as np

# The compilers need a description of the GPU in place of the GPU.
_H100 = """
gpu_device_info {
  threads_per_block_limit: 1024
  threads_per_warp: 32
  shared_memory_per_block: 49152
  shared_memory_per_core: 233472
  shared_memory_per_block_optin: 232448
  threads_per_core_limit: 2048
  core_count: 132
  fpus_per_core: 128
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
  memory_bandwidth: 3352320000000
  l2_cache_size: 52428800
  clock_rate_ghz: 1.98
  device_memory_size: 84942979072
  cuda_compute_capability { major: 9 }
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 10 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""


@dataclasses.dataclass(frozen=True)
class Compiler:
    """A compiler for one device.

    Attributes:
        device: the name of the device.
        device_type: its type in the words of TensorFlow, `"GPU"` or `"TPU"`.
        extra: the extra of `pyproject.toml` that installs the compiler.
        package: a package of this extra that others do not install.
        topology: arguments of `jax.experimental.topologies.get_topology_desc`.
    """

    device: str
    device_type: str
    extra: str
    package: str
    topology: dict[str, str]


COMPILERS = (
    Compiler(
        "TPU v5e",
        "TPU",
        "tpu-check",
        "libtpu",
        {"platform": "tpu", "topology_name": "v5e:2x2"},
    ),
    Compiler(
        "H100",
        "GPU",
        "gpu-compile",
        "jax_cuda13_plugin",
        {"platform": "cuda", "topology": "1x1x1", "target_config": _H100},
    ),
)


class RejectedProgramError(RuntimeError):
    """A compiler rejects a program; the message is its reason."""


@dataclasses.dataclass(frozen=True)
class Memory:
    """The memory that a compiler plans for a program, in bytes.

    Attributes:
        temporaries: what the program needs while it runs.
        arguments: the inputs, which include the variables.
        outputs: the outputs that do not overwrite an argument.
    """

    temporaries: int
    arguments: int
    outputs: int


@dataclasses.dataclass(frozen=True)
class CompiledProgram:
    """A program that is compiled and cannot run here.

    Attributes:
        memory: the memory that it needs.
        text: the compiled module in HLO.
    """

    memory: Memory
    text: str


def installed_compiler() -> Compiler:
    """Returns the compiler that is installed.

    Raises:
        ImportError: if there is none.
    """
    for compiler in COMPILERS:
        if importlib.util.find_spec(compiler.package):
            return compiler
    choices = " or ".join(
        f'pip install "supcon-tf[{compiler.extra}]" ({compiler.device})' for compiler in COMPILERS
    )
    raise ImportError(
        f"experiments.benchmarks.accelerator_compile needs jax, for each device in an environment "
        f"of its own: {choices}"
    )


def compile_hlo(hlo: bytes, compiler: Compiler) -> CompiledProgram:
    """Compiles a program for a device.

    Args:
        hlo: a serialized HLO module.
        compiler: the compiler, which must be installed.

    Raises:
        RejectedProgramError: if the compiler rejects the program, for example because it needs
            more memory than the device has.
    """
    from supcon_tf._requirements import require_extra

    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")  # Else libtpu looks for a TPU.
    with require_extra("experiments.benchmarks.accelerator_compile", "jax", compiler.extra):
        import jax
        from jax._src.interpreters import mlir
        from jax._src.lib import _jax, xla_client
        from jax._src.lib.mlir import ir
        from jax.experimental import topologies

    jax.config.update("jax_platforms", "cpu")  # Else the plugin for GPUs demands CUDA.
    device = topologies.get_topology_desc(**compiler.topology).devices[0]
    options = xla_client.CompileOptions()
    options.device_assignment = xla_client.DeviceAssignment.create(np.array([[device.id]]))
    devices = xla_client.DeviceList((device,))
    try:
        with mlir.make_ir_context():
            module = ir.Module.parse(_jax.mlir.hlo_to_stablehlo(_without_copies(hlo)))
            executable = device.client.compile(module, devices, options)
    except jax.errors.JaxRuntimeError as error:
        raise RejectedProgramError(str(error)) from error
    planned = executable.get_compiled_memory_stats()
    memory = Memory(
        temporaries=planned.temp_size_in_bytes,
        arguments=planned.argument_size_in_bytes,
        outputs=planned.output_size_in_bytes - planned.alias_size_in_bytes,
    )
    (module,) = executable.hlo_modules()
    return CompiledProgram(memory, module.to_string())


def _without_copies(hlo: bytes) -> bytes:
    """Replaces the copies that TensorFlow makes of outputs, which StableHLO does not have."""
    from jaxlib import _hlo

    options = _hlo.HloPrintOptions()
    options.print_large_constants = True
    text = _hlo.HloModule.from_serialized_hlo_module_proto(hlo).to_string(options)
    text = re.sub(r"(=\s*\S+\s+)copy\(", r"\1reshape(", text)
    return _hlo.hlo_module_from_text(text).as_serialized_hlo_module_proto()
