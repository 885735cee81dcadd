"""Trainings that are killed at their writes end like an uninterrupted one."""

import subprocess
import sys

import pytest


@pytest.mark.slow
def test_kills_at_the_first_a_middle_and_the_last_call_of_every_kind():
    command = [sys.executable, "-m", "experiments.benchmarks.faults", "--kills=15"]
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    assert process.returncode == 0, process.stdout
    rows = [line.split(" | ") for line in process.stdout.splitlines() if line.startswith("| ")]
    assert {row[0] for row in rows[1:]} == {
        "| rename", "| remove", "| mkdir", "| fsync", "| write",
    }  # fmt: skip
    assert {row[2] for row in rows[1:]} == {"the same |"}
    assert process.stdout.endswith("\n15 of 15 killed trainings ended like the uninterrupted one\n")


def test_kills_are_spread(load_script):
    spread = load_script("benchmarks.faults").spread
    counts = {"rename": 9, "mkdir": 2, "fsync": 0}
    assert spread(counts, 8) == [
        ("rename", 1), ("rename", 4), ("rename", 6), ("rename", 9), ("mkdir", 1), ("mkdir", 2),
    ]  # fmt: skip


def test_an_error_of_a_script_is_its_message():
    """Without a traceback, which a flag shows."""
    command = [sys.executable, "-m", "experiments.command_trials", "--folder=x", "--trials=none"]
    for flag in ("--notraceback", "--traceback"):
        process = subprocess.run([*command, flag], capture_output=True, text=True)
        assert process.returncode == 1
        assert "ValueError: `--trials` must be some of" in process.stderr
        assert ("Traceback" in process.stderr) == (flag == "--traceback")
