"""How a gateway stops listening without losing who has just connected.

Closing a listening socket resets the connections that the kernel has made and nobody has taken yet:
their clients have sent a request already. So first no new ones are made (where that is allowed:
some containers may not), then the waiting ones are taken, and only then is it shut.
"""

import contextlib
import ctypes
import socket
import struct
import time

MOST_S = 1.0
"""How long to wait for the last to be taken."""
_SO_ATTACH_FILTER = 26  # asm-generic/socket.h
_DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)  # one instruction of classic BPF: return 0 bytes
_TCP_INFO_BYTES, _UNACKED = 104, 24  # tcpi_unacked of a listener: connections nobody has taken
_LOOK_EVERY_S = 0.001


def stop_listening(listener: socket.socket) -> None:
    """Let no new connection be made, wait until the made ones are taken, then shut the listener.

    Whoever tries meanwhile is refused by the kernel a moment later. Some process must go on taking
    connections until this returns. All that share the socket stop listening.

    Args:
        listener: a TCP socket that listens.
    """
    code = ctypes.create_string_buffer(_DROP_ALL)
    program = struct.pack("HP", 1, ctypes.addressof(code))
    with contextlib.suppress(OSError):  # without it a connection may come in the last microseconds
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    ends = time.monotonic() + MOST_S
    while _waiting(listener) and time.monotonic() < ends:
        time.sleep(_LOOK_EVERY_S)
    listener.shutdown(socket.SHUT_RDWR)


def _waiting(listener: socket.socket) -> int:
    info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    return int(struct.unpack_from("I", info, _UNACKED)[0])
