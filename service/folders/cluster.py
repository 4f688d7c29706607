"""Ray: a cluster of this machine alone, or one that runs; parts handed out, one to a process.

Ray's own retries are enough: a process that was lost, with its node or alone, is started again and
given the same part, whose file is then written once more with the same rows.
"""

import contextlib
import itertools
import logging
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from models.errors import HyojoError, UsageError
from service import scratch
from service.folders.looker import Looker
from service.folders.parts import Done
from service.folders.run import Part
from service.ray_node import ALONE

LOCAL = "local"
TRIES = 3
"""How often a part is given out again whose process was lost."""
_STORE_BYTES = 80 << 20
"""Of Ray's object store, about the least it takes: nothing of ours goes through it."""
_STARTS = 3
"""How often a node of one's own is tried that does not come up."""


@dataclass(frozen=True)
class Cluster:
    """Where the processes may run.

    Attributes:
        cores: of all nodes together.
        nodes: machines.
    """

    cores: int
    nodes: int


@contextlib.contextmanager
def joined(address: str, cores: int) -> Iterator[Cluster]:
    """Start a cluster on this machine, which ends with the block and with this process; or join
    one.

    Args:
        address: of a running cluster, or `local`.
        cores: that the local one may use.

    Raises:
        UsageError: Ray does not start, or there is none at that address.
    """
    own: dict[str, Any] = {}
    with contextlib.ExitStack() as kept:
        if address == LOCAL:
            folder = kept.enter_context(scratch.make("ray", scratch.places())).path
            own = {
                "num_cpus": cores,
                "object_store_memory": _STORE_BYTES,
                "_temp_dir": str(folder / "r"),  # Ray opens it to everybody; ours above stays shut
                **ALONE,
            }
        kept.callback(ray.shutdown)
        before = _children()
        for left in reversed(range(_STARTS if own else 1)):
            try:
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
                break
            except Exception as error:  # of many kinds
                ray.shutdown()
                for pid in _children() - before:  # those that had started already
                    with contextlib.suppress(OSError):
                        os.kill(pid, signal.SIGKILL)
                if not left:
                    raise _unreachable(error, address) from None
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # Ray took it; it ends as Ctrl-C
        nodes = sum(bool(node["Alive"]) for node in ray.nodes())
        yield Cluster(int(ray.cluster_resources().get("CPU", 1)), nodes)


def _children() -> set[int]:
    """Process ids of this process's children."""
    told = [file.read_text() for file in Path("/proc/self/task").glob("*/children")]
    return {int(pid) for text in told for pid in text.split()}


def _unreachable(error: Exception, address: str) -> UsageError:
    why = str(error).strip().split("\n")[0][:200] or type(error).__name__
    what = "start here" if address == LOCAL else f"be reached at {address}"
    return UsageError(f"Ray cannot {what}: {why}")


def hand_out(parts: Iterator[Part], count: int, cluster: Cluster, **looker: Any) -> Iterator[Done]:
    """Have parts answered by so many processes; each has one part at a time.

    Args:
        parts: taken as they are needed.
        count: processes.
        cluster: that they share.
        **looker: what each of them is made with, see `Looker`.

    Yields:
        each part as it is written, in no order.

    Raises:
        HyojoError: a part cannot be done.
    """
    each = min(1.0, cluster.cores / count)
    kind = ray.remote(num_cpus=each, max_restarts=-1, max_task_retries=TRIES)(Looker)
    out: dict[Any, Any] = {}
    part: Part | None
    for part in itertools.islice(parts, count):
        one = kind.remote(**looker)
        out[one.look.remote(part)] = one
    while out:
        ready, _ = ray.wait(list(out), num_returns=1)
        for reference in ready:
            one = out.pop(reference)
            yield _told(reference)
            if (part := next(parts, None)) is not None:
                out[one.look.remote(part)] = one
            else:
                ray.get(one.close.remote())


def _told(reference: Any) -> Done:
    try:
        return ray.get(reference)  # type: ignore[no-any-return]
    except RayTaskError as error:
        cause = error.cause
        if isinstance(cause, HyojoError | scratch.ScratchError):
            raise UsageError(str(cause)) from None
        raise UsageError(
            f"A process of Ray's made a mistake ({type(cause).__name__}: {cause}). Report it."
        ) from None
    except RayActorError:
        raise UsageError(
            f"A part's process was lost {TRIES + 1} times, or cannot be started. Is there memory "
            "for so many? --processes N asks for fewer. The same command goes on from here."
        ) from None
    except RayError as error:
        why = str(error).strip().split("\n")[0][:200]
        raise UsageError(f"Ray has failed: {why} The same command goes on from here.") from None
