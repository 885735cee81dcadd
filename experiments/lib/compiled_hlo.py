"""Counts what a compiled program does, from its text in HLO."""

import dataclasses
import re

# Instructions that start no kernel on a GPU.
_FREE = {"parameter", "constant", "bitcast", "tuple", "get-tuple-element", "after-all"}
_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
_OPCODE = re.compile(r"^(?:ROOT )?%?[\w.\-]+ = .*?([a-z][a-z\-]*)\(")
_TRIP_COUNT = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_PRODUCT = re.compile(r'= f32\[\S* (?:dot|convolution)\(|f32\[.*custom_call_target="__cu\w+\$')
_HIGHEST = re.compile(r'operand_precision=\{highest,highest\}|"HIGHEST","HIGHEST"')


@dataclasses.dataclass(frozen=True)
class Launches:
    """What the host does while a program runs on a GPU.

    An iteration of a loop whose number of iterations is unknown counts once. Both numbers are then
    lower bounds.

    Attributes:
        kernels: kernels and copies that it launches.
        host_reads: results that it waits for, to select a branch or to end a loop.
    """

    kernels: int
    host_reads: int

    def __add__(self, other: "Launches") -> "Launches":
        return Launches(self.kernels + other.kernels, self.host_reads + other.host_reads)

    def __mul__(self, times: int) -> "Launches":
        return Launches(self.kernels * times, self.host_reads * times)


_NONE, _KERNEL, _HOST_READ = Launches(0, 0), Launches(1, 0), Launches(0, 1)


def count_launches(text: str) -> Launches:
    """Counts the launches of one run of a program that is compiled for a GPU.

    Args:
        text: the scheduled module.
    """
    computations, entry = _split_computations(text)

    def count(computation: str) -> Launches:
        return sum((count_instruction(line) for line in computations[computation]), _NONE)

    def count_instruction(line: str) -> Launches:
        match = _OPCODE.match(line)
        opcode = match[1] if match else "parameter"
        if opcode == "while":
            body = count(_called(line, "body")[0])
            if trips := _TRIP_COUNT.search(line):
                return body * int(trips[1])
            return body + count(_called(line, "condition")[0]) + _HOST_READ
        if opcode == "conditional":
            branches = map(count, _called(line, r"(?:branch|true|false)_computations?"))
            return max(branches, key=lambda branch: branch.kernels) + _HOST_READ
        if opcode == "call":
            return count(_called(line, "to_apply")[0])
        if opcode in _FREE or opcode.endswith("-done"):  # X-start launches the kernel of X.
            return _NONE
        return _KERNEL

    return count(entry)


def count_products(text: str) -> dict[str, int]:
    """Counts the products of matrices and the convolutions in float32.

    Args:
        text: the compiled module.

    Returns:
        The number of those with the precision `"highest"` for both operands, and of the others.
    """
    products = [line for line in text.splitlines() if _PRODUCT.search(line)]
    highest = sum(bool(_HIGHEST.search(line)) for line in products)
    return {"highest": highest, "other": len(products) - highest}


def _split_computations(text: str) -> tuple[dict[str, list[str]], str]:
    """Returns the instructions of every computation, and the name of the one that runs."""
    computations: dict[str, list[str]] = {}
    entry = ""
    lines: list[str] = []
    for line in text.splitlines():
        if header := _COMPUTATION.match(line):
            lines = computations[header[2]] = []
            entry = header[2] if header[1] else entry
        else:
            lines.append(line.strip())
    return computations, entry


def _called(line: str, attribute: str) -> list[str]:
    """Returns the names of the computations in an attribute of an instruction."""
    values = re.findall(rf"\b{attribute}=(\{{[^}}]*\}}|%?[\w.\-]+)", line)
    return re.findall(r"[\w.\-]+", " ".join(values))
