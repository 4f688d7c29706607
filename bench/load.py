"""A load generator that costs little: asyncio, requests made beforehand, HTTP/1.1 kept alive.

Closed loop: so many clients, each with one request at a time. Open loop: requests leave at their
times whether or not earlier ones are answered, so that a slow service cannot slow its own load
(coordinated omission); latency counts from the time a request was due.
"""

import asyncio
import contextlib
import math
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CLIENTS = 16
"""Of a closed loop that shows what something can answer at most."""
_BOUNDARY = "hyojo-bench"


@dataclass(frozen=True)
class Load:
    """What came back.

    Attributes:
        seconds: from the first request to the last answer.
        latencies_ms: of answers with status 200, in order of their end.
        errors: other answers and broken connections.
        generator_cpu_s: what the generator itself used.
        refused: answers with status 503, among the errors.
    """

    seconds: float
    latencies_ms: tuple[float, ...]
    errors: int
    generator_cpu_s: float
    refused: int = 0

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return len(self.latencies_ms) / self.seconds

    def percentile(self, share: float) -> float:
        """Latency in ms that `share` (0 to 100) of the good answers do not exceed."""
        return float(np.percentile(self.latencies_ms, share)) if self.latencies_ms else math.nan


def closed(port: int, path: str, images: Sequence[bytes], clients: int, seconds: float) -> Load:
    """So many clients, each asking again as soon as it is answered.

    Args:
        port: on 127.0.0.1.
        path: that takes an image as the body of a POST.
        images: JPEG files, or several as a `form`, asked about in turn.
        clients: how many.
        seconds: how long; what is under way then is awaited.
    """
    return asyncio.run(_closed(port, _requests(path, images), clients, seconds))


def opened(
    port: int, path: str, images: Sequence[bytes], rate: float, seconds: float, seed: int = 0
) -> Load:
    """So many requests a second, at random times (a Poisson process).

    Args:
        port: on 127.0.0.1.
        path: that takes an image as the body of a POST.
        images: JPEG files, or several as a `form`, asked about in turn.
        rate: requests a second.
        seconds: how long.
        seed: of the times.
    """
    return asyncio.run(_opened(port, _requests(path, images), arrivals(rate, seconds, seed)))


def arrivals(rate: float, seconds: float, seed: int = 0) -> list[float]:
    """Random times of requests, in seconds from the start: a Poisson process."""
    gaps = np.random.default_rng(seed).exponential(1 / rate, math.ceil(rate * seconds))
    times: list[float] = np.cumsum(gaps).tolist()
    return times


async def _closed(port: int, requests: list[bytes], clients: int, seconds: float) -> Load:
    latencies: list[float] = []
    errors = 0
    began, cpu = time.perf_counter(), _own_cpu_s()
    ends = began + seconds

    async def client(number: int) -> None:
        nonlocal errors
        line = _Line(port)
        while time.perf_counter() < ends:
            sent = time.perf_counter()
            if await line.ask(requests[number % len(requests)]) == 200:
                latencies.append((time.perf_counter() - sent) * 1e3)
            else:
                errors += 1
            number += clients
        await line.close()

    await asyncio.gather(*(client(number) for number in range(clients)))
    return Load(time.perf_counter() - began, tuple(latencies), errors, _own_cpu_s() - cpu)


async def _opened(port: int, requests: list[bytes], times: list[float]) -> Load:
    latencies: list[float] = []
    errors = refused = 0
    free: list[_Line] = []
    began, cpu = time.perf_counter(), _own_cpu_s()

    async def one(number: int, due: float) -> None:
        nonlocal errors, refused
        line = free.pop() if free else _Line(port)
        status = await line.ask(requests[number % len(requests)])
        if status == 200:
            latencies.append((time.perf_counter() - due) * 1e3)
        else:
            errors += 1
            refused += status == 503
        free.append(line)

    under_way = []
    for number, at in enumerate(times):
        due = began + at
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        under_way.append(asyncio.create_task(one(number, due)))
    await asyncio.gather(*under_way)
    for line in free:
        await line.close()
    used = _own_cpu_s() - cpu
    return Load(time.perf_counter() - began, tuple(latencies), errors, used, refused)


class _Line:
    """One connection, opened again where it broke."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ends: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> int:
        """The answer's status; 0 where there was none."""
        try:
            if self._ends is None:
                self._ends = await asyncio.open_connection("127.0.0.1", self._port)
            reader, writer = self._ends
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await _body(reader, head)
            if b"connection: close" in head:
                await self.close()
            return int(head[9:12])
        except (OSError, asyncio.IncompleteReadError, ValueError):
            await self.close()
            return 0

    async def close(self) -> None:
        """End it."""
        if self._ends is not None:
            writer, self._ends = self._ends[1], None
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def _body(reader: asyncio.StreamReader, head: bytes) -> None:
    """Read past an answer's body, by its length or in chunks."""
    if b"transfer-encoding: chunked" in head:
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        await reader.readline()
        return
    _, found, rest = head.partition(b"content-length:")
    if found:
        await reader.readexactly(int(rest.split(b"\r\n", 1)[0]))


def form(images: Sequence[bytes]) -> bytes:
    """Several JPEG files as the body of one request, for `closed` and `opened` (RFC 7578)."""
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
    )
    parts = [head.encode() + image + b"\r\n" for image in images]
    return b"".join([*parts, f"--{_BOUNDARY}--\r\n".encode()])


def _requests(path: str, images: Sequence[bytes]) -> list[bytes]:
    kinds = [
        f"multipart/form-data; boundary={_BOUNDARY}" if image.startswith(b"--") else "image/jpeg"
        for image in images
    ]
    return [
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(image)}\r\n\r\n".encode()
        + image
        for kind, image in zip(kinds, images, strict=True)
    ]


def _own_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
