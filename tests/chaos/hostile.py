"""Clients that mean harm, in a process of their own: they cost the test's own client nothing.

    python -m tests.chaos.hostile slow-bodies http://127.0.0.1:8000

says `ready` when it harms at full strength, and ends with its standard input. On ending it prints
what it did: {"opened": connections, "answers": {"408": 3}}.
"""

import asyncio
import collections
import contextlib
import json
import resource
import socket
import struct
import sys
from collections.abc import Awaitable, Callable

HEAD = b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n"
opened = 0
answers: "collections.Counter[str]" = collections.Counter()
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(address: tuple[str, int]) -> Streams:
    global opened
    streams = await asyncio.open_connection(*address)
    opened += 1
    return streams


async def told(reader: asyncio.StreamReader) -> None:
    """Count the answer's status, if there is one."""
    with contextlib.suppress(OSError):
        line = await reader.readline()
        if line:
            answers[line.split(b" ")[1].decode()] += 1


async def trickle(streams: Streams, every_s: float) -> None:
    """A byte now and then, until the other side has had enough."""
    reader, writer = streams
    with contextlib.suppress(OSError):
        while not reader.at_eof() and not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(told(reader), every_s)
                return


async def slow_bodies(address: tuple[str, int]) -> None:
    streams = await connect(address)
    streams[1].write(HEAD + b"Content-Length: 50000\r\n\r\n")
    await trickle(streams, 0.1)
    streams[1].close()


async def slow_heads(address: tuple[str, int]) -> None:
    streams = await connect(address)
    streams[1].write(b"GET /livez HTTP/1.1\r\nHost: x\r\nA: ")
    await trickle(streams, 0.1)
    streams[1].close()


async def endless_bodies(address: tuple[str, int]) -> None:
    """Chunks without an end, at a megabyte a second."""
    reader, writer = await connect(address)
    writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    chunk = b"4000\r\n" + bytes(0x4000) + b"\r\n"
    with contextlib.suppress(OSError):
        while not reader.at_eof():
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(1 / 64)
        await told(reader)
    writer.close()


async def much_announced(address: tuple[str, int]) -> None:
    """A length beyond every limit, and then nothing: it waits to be thrown out."""
    reader, writer = await connect(address)
    writer.write(HEAD + b"Content-Length: 99999999999\r\n\r\nabc")
    await told(reader)
    with contextlib.suppress(OSError):
        await reader.read()
    await asyncio.sleep(1)
    writer.close()


async def little_announced(address: tuple[str, int]) -> None:
    """More than its length: what comes on top is taken for a request, and is none."""
    reader, writer = await connect(address)
    writer.write(HEAD + b"Content-Length: 3\r\n\r\nabc" + b"defghi\r\n\r\n" * 20)
    with contextlib.suppress(OSError):
        await told(reader)
        await reader.read()
    await asyncio.sleep(0.05)
    writer.close()


async def idle(address: tuple[str, int]) -> None:
    """Nothing at all; comes again when it is thrown out."""
    reader, writer = await connect(address)
    with contextlib.suppress(OSError):
        await reader.read()
    writer.close()


async def huge_heads(address: tuple[str, int]) -> None:
    reader, writer = await connect(address)
    with contextlib.suppress(OSError):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: " + b"a" * 60_000 + b"\r\n\r\n")
        await told(reader)
    await asyncio.sleep(0.05)
    writer.close()


async def leaving(address: tuple[str, int]) -> None:
    """Half a picture, then a reset."""
    _, writer = await connect(address)
    with contextlib.suppress(OSError):
        writer.write(HEAD + b"Content-Length: 50000\r\n\r\n" + bytes(25_000))
        await writer.drain()
        await asyncio.sleep(0.02)
    now = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
    writer.close()


async def not_reading(address: tuple[str, int]) -> None:
    """Asks for the largest file again and again and takes no byte of it."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, address)
    global opened
    opened += 1
    with contextlib.suppress(OSError, TimeoutError):
        ask = b"GET /example.jpg HTTP/1.1\r\nHost: x\r\n\r\n"
        await asyncio.wait_for(loop.sock_sendall(sock, ask * 200), 5)
        await asyncio.sleep(5)
    sock.close()


KINDS: dict[str, tuple[int, Callable[[tuple[str, int]], Awaitable[None]]]] = {
    "slow-bodies": (64, slow_bodies),
    "slow-heads": (200, slow_heads),
    "endless-bodies": (16, endless_bodies),
    "much-announced": (64, much_announced),
    "little-announced": (16, little_announced),
    "idle": (1000, idle),
    "huge-heads": (16, huge_heads),
    "leaving": (16, leaving),
    "not-reading": (40, not_reading),
}
"""How many at once of each, and what each does, again and again."""


async def again_and_again(
    harm: Callable[[tuple[str, int]], Awaitable[None]], address: tuple[str, int]
) -> None:
    while True:
        try:
            await harm(address)
        except OSError:
            await asyncio.sleep(0.1)


async def main(kind: str, url: str) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    host, port = url.removeprefix("http://").split(":")
    number, harm = KINDS[kind]
    running = [asyncio.create_task(again_and_again(harm, (host, int(port)))) for _ in range(number)]
    while opened < number:
        await asyncio.sleep(0.05)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for task in running:
        task.cancel()
    print(json.dumps({"opened": opened, "answers": answers}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
