"""Ask once whether the service can answer; a container's engine does so every few seconds.

    $ python -m service.health           the gateway's /readyz
    ready
    $ python -m service.health worker    the worker itself, over its socket

The exit status is 0 for ready and 1 for anything else, with the reason in one line. It imports no
more than it needs: the check must cost next to nothing beside the work.
"""

import os
import re
import socket
import sys

TIMEOUT_S = 3.0
_LONGEST_ANSWER = 64 * 1024
EVERY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where to reach, on this machine, what listens everywhere."""


class NotReadyError(Exception):
    """Why the service cannot answer, in a line."""


def a_key() -> str:
    """The first of HYOJO_API_KEYS, for asking on the operator's own behalf."""
    return os.environ.get("HYOJO_API_KEYS", "").partition(",")[0].partition(":")[2].strip()


def ask_gateway(host: str, port: int, timeout_s: float = TIMEOUT_S, key: str = "") -> None:
    """Return if the gateway's /readyz says 200.

    Args:
        host: where the gateway listens; an "every address" means this machine.
        port: its port.
        timeout_s: for each step.
        key: one of the service's, where it has some.

    Raises:
        NotReadyError: it says something else, or nothing.
    """
    address = (EVERY_ADDRESS.get(host, host), port)
    try:
        with socket.create_connection(address, timeout_s) as connection:
            told = f"X-API-Key: {key}\r\n" if key else ""
            asked = f"GET /readyz HTTP/1.0\r\nHost: localhost\r\n{told}\r\n"
            connection.sendall(asked.encode())
            answer = _read(connection)
    except OSError as error:
        raise NotReadyError(f"the gateway does not answer on port {port}: {error}") from error
    head, _, body = answer.partition(b"\r\n\r\n")
    if not re.match(rb"HTTP/1\.[01] 200\b", head):
        raise NotReadyError(body.decode(errors="replace").strip() or "the gateway is not ready")


def ask_worker(endpoint: str, timeout_s: float = TIMEOUT_S, keys_file: str = "") -> None:
    """Return if the worker says that it is ready.

    Args:
        endpoint: its ZeroMQ endpoint.
        timeout_s: how long to wait for its answer.
        keys_file: as HYOJO_WORKER_KEYS names it, for an endpoint over TCP.

    Raises:
        NotReadyError: it is not, or says nothing, or the keys cannot be used.
    """
    import zmq

    from service.errors import SettingsError
    from service.keys import for_endpoint
    from service.protocol import StatusReply, StatusRequest, decode, encode

    try:
        keys = for_endpoint(endpoint, keys_file)
    except SettingsError as error:
        raise NotReadyError(str(error)) from None
    with zmq.Context() as context, context.socket(zmq.DEALER) as worker:
        worker.linger = 0
        if keys is not None:
            keys.as_client(worker)
        worker.connect(endpoint)
        worker.send(encode(StatusRequest(id="health")))
        if not worker.poll(int(timeout_s * 1000)):
            raise NotReadyError(f"the worker does not answer on {endpoint}")
        reply = decode(worker.recv_multipart()[0])
    if not isinstance(reply, StatusReply):
        raise NotReadyError(f"the worker answers with {type(reply).__name__}")
    if not reply.ready:
        raise NotReadyError(reply.reason or "the worker is not ready")


def main(arguments: list[str]) -> int:
    """Ask, say the answer in a line, return the exit status."""
    if arguments in (["-h"], ["--help"]):
        print((__doc__ or "").strip())
        return 0
    try:
        if arguments == ["worker"]:
            ask_worker(_worker_endpoint(), keys_file=os.environ.get("HYOJO_WORKER_KEYS", ""))
        elif not arguments:
            port = int(os.environ.get("HYOJO_PORT") or 8000)
            ask_gateway(os.environ.get("HYOJO_HOST", ""), port, key=a_key())
        else:
            print("Usage: python -m service.health [worker]", file=sys.stderr)
            return 2
    except NotReadyError as error:
        print(f"not ready: {error}")
        return 1
    print("ready")
    return 0


def _worker_endpoint() -> str:
    """The endpoint without the settings' weight where the environment names it."""
    if endpoint := os.environ.get("HYOJO_WORKER"):
        return endpoint
    from service.settings import default_worker

    return default_worker()


def _read(connection: socket.socket) -> bytes:
    """What the other side sends until it closes; cut if it never ends."""
    answer = b""
    while len(answer) < _LONGEST_ANSWER and (part := connection.recv(8192)):
        answer += part
    return answer


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
