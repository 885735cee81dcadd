"""Clusters of workers on this machine."""

import json
import os
import socket
import subprocess
from collections.abc import Sequence


def start_cluster(command: Sequence[str], workers: int) -> list[subprocess.Popen]:
    """Starts a command once for each worker of a cluster, without a GPU.

    Args:
        command: the program and its arguments.
        workers: the number of workers. A single one has no description of a cluster.

    Returns:
        The processes, with the outputs of each in one pipe.
    """
    environments = [{}]
    if workers > 1:
        cluster = {"worker": [f"127.0.0.1:{port}" for port in _free_ports(workers)]}
        tasks = [{"type": "worker", "index": index} for index in range(workers)]
        environments = [
            {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})} for task in tasks
        ]
    return [
        subprocess.Popen(
            command,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for environment in environments
    ]


def _free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
