"""A Ray cluster of several nodes on this machine, each with a raylet and processes of its own.

    $ python -m tests.ray.nodes 0 1 1       # three nodes with so many cores

Prints its address, then does what lines on standard input say: `kill worker` ends a node that has a
worker, as a machine loses power; `add 1` brings another of one core. It ends with its input.
"""

import os
import signal
import sys
import tempfile
from typing import Any

import psutil

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_raylet_start_wait_time_s"] = "120"  # a busy machine takes its time


def _processes(node: Any) -> list[psutil.Process]:
    """A node's raylet and all below it; none of a node that has been ended."""
    try:
        raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
        return [raylet, *raylet.children(recursive=True)]
    except (psutil.NoSuchProcess, KeyError, IndexError):
        return []


def _has(deployment: str, processes: list[psutil.Process]) -> bool:
    """Whether one of these is a replica of a deployment."""
    return any(f"ServeReplica:hyojo:{deployment}" in _title(process) for process in processes)


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it has ended meanwhile
        return ""


def main(cores: list[int]) -> int:
    """Run it."""
    from ray.cluster_utils import Cluster

    store = {"object_store_memory": 100 * 1024 * 1024, "include_dashboard": False}
    store |= {"node_ip_address": "127.0.0.1"}
    cluster = Cluster()
    nodes = [cluster.add_node(num_cpus=count, **store) for count in cores]
    print(cluster.address, flush=True)
    for line in sys.stdin:
        word, what = line.split()
        if word == "add":
            nodes.append(cluster.add_node(num_cpus=int(what), **store))
        else:
            everyone = next(found for node in nodes if _has(what, found := _processes(node)))
            for process in everyone:
                process.send_signal(signal.SIGSTOP)
            for process in everyone:
                process.kill()
        print("done", flush=True)
    cluster.shutdown()
    return 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="hyojo-ray-") as folder:
        os.environ["RAY_TMPDIR"] = folder
        sys.exit(main([int(count) for count in sys.argv[1:]]))
