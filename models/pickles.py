"""Published weights read as data: files of `torch.save` and `paddle.save`, without running them.

Both are pickles, and a pickle is a program that may call anything by name. Here the few names that
tensors need are answered by stand-ins, which note what they are given; every other name is
refused, and so is every instruction that weights do not need. No class of PyTorch, NumPy or Paddle
is reached through the file. The numbers are taken out of it afterwards, within its bounds.
"""

import pickle
import pickletools
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np

from models.errors import WeightsError

_MAGIC = 0x1950A86A20F9469CFC6C  # of torch.save before it wrote zip files
_PROTOCOL = 1001
_BOOKKEEPING = "StructuredToParameterName@@"  # paddle.save notes names beside the tensors
_STORAGES = {
    "DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "LongStorage": "<i8",
    "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "|i1", "ByteStorage": "|u1",
}  # fmt: skip
_INSTRUCTIONS = frozenset(
    "PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT "
    "BINUNICODE SHORT_BINUNICODE SHORT_BINSTRING BINSTRING SHORT_BINBYTES BINBYTES BINBYTES8 "
    "EMPTY_DICT EMPTY_LIST EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 APPEND APPENDS SETITEM "
    "SETITEMS GLOBAL STACK_GLOBAL REDUCE BUILD BINPERSID MEMOIZE BINPUT LONG_BINPUT BINGET "
    "LONG_BINGET".split()
)


class _Dictionary(dict[Any, Any]):
    """Stands for an OrderedDict; what PyTorch hangs onto it is left."""

    def __setstate__(self, state: Any) -> None:
        return


class _StandIn:
    """Answers one name of a pickle. A pickle can call it, and change nothing of it."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setstate__(self, state: Any) -> NoReturn:
        raise pickle.UnpicklingError("it changes what it was only to call")


class _Type:
    """A type of number, as NumPy pickles it."""

    def __init__(self, name: str, *_: Any) -> None:
        self.type = np.dtype(str(name)[:3])
        if self.type.kind not in "fiu":
            raise pickle.UnpicklingError(f"it holds {name!r}, which is no type of number")

    def __setstate__(self, state: Any) -> None:
        self.type = self.type.newbyteorder(">" if state[1] == ">" else "<")


class _Array:
    """An array, as NumPy pickles it: made empty, then told its state."""

    def __init__(self, *_: Any) -> None:
        self.values = np.empty(0, np.float32)

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, columns_first, raw = state
        order: Any = "F" if columns_first else "C"
        self.values = np.frombuffer(raw, kind.type).reshape(shape, order=order)


class _Tensor:
    """A tensor, as PyTorch pickles it: a view of a storage that is read later."""

    def __init__(self, storage: Any, offset: int, shape: Any, strides: Any, *_: Any) -> None:
        self.key, self.type = storage
        self.view = (int(offset), tuple(map(int, shape)), tuple(map(int, strides)))

    def values(self, raw: bytes) -> np.ndarray:
        """Its numbers, from the storage's bytes."""
        flat = np.frombuffer(raw, self.type)
        offset, shape, strides = self.view
        last = offset + sum((side - 1) * step for side, step in zip(shape, strides, strict=True))
        count = int(np.prod(shape, dtype=object))
        if (
            min((offset, *shape, *strides)) < 0
            or count > flat.size
            or (count and last >= flat.size)
        ):
            raise WeightsError("a tensor reaches past the end of its storage")
        steps = tuple(step * flat.itemsize for step in strides)
        return np.lib.stride_tricks.as_strided(flat[offset:], shape, steps).copy()


def _latin(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it holds bytes as {encoding!r}")
    return text.encode("latin1")


_KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): _StandIn(lambda: _Dictionary()),
    ("torch._utils", "_rebuild_tensor_v2"): _StandIn(_Tensor),
    ("numpy.core.multiarray", "_reconstruct"): _StandIn(_Array),
    ("numpy._core.multiarray", "_reconstruct"): _StandIn(_Array),
    ("numpy", "dtype"): _StandIn(_Type),
    ("numpy", "ndarray"): "ndarray",  # only ever an argument
    ("_codecs", "encode"): _StandIn(_latin),
    **{("torch", name): name for name in _STORAGES},
}


class _Reader(pickle.Unpickler):
    """Knows the names in `_KNOWN` and no other."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it asks for {module}.{name}, which weights do not need and which may run code"
            ) from None

    def persistent_load(self, found: Any) -> tuple[str, np.dtype]:
        """A storage of PyTorch's: its key, and the type of its numbers."""
        kind, storage, key = found[:3]
        if kind != "storage" or (len(found) > 5 and found[5] is not None):
            raise pickle.UnpicklingError("it refers to something else than a storage")
        return str(key), np.dtype(_STORAGES[storage])


def read(path: Path) -> dict[str, np.ndarray]:
    """Read every tensor of a file that `torch.save` or `paddle.save` wrote.

    Args:
        path: a state dictionary: names and tensors, nothing else.

    Returns:
        name to array, in the file's order; float32 where the file holds any kind of float.

    Raises:
        WeightsError: it is none of these, is cut off, or holds anything but tensors.
    """
    try:
        found = _zipped(path) if zipfile.is_zipfile(path) else _streamed(path)
        return {str(name): _number(value) for name, value in found.items()}
    except Exception as error:  # bytes of strangers: whatever they make Python say
        why = str(error).split("\n")[0][:200] or type(error).__name__
        raise WeightsError(
            f"{path.name} cannot be read as weights: {why}. Fetch it again, and use no file "
            "whose source you do not know."
        ) from None


def _number(value: Any) -> np.ndarray:
    if not isinstance(value, np.ndarray):
        raise WeightsError(f"it holds a {type(value).__name__} where a tensor should be")
    return value.astype(np.float32) if value.dtype.kind == "f" else value


def _load(stream: IO[bytes]) -> Any:
    """The next pickle of a stream, its instructions looked through before any is followed."""
    start = stream.tell()
    for count, (instruction, argument, _) in enumerate(pickletools.genops(stream)):
        if instruction.name not in _INSTRUCTIONS:
            raise WeightsError(f"it holds the instruction {instruction.name}")
        if instruction.name == "LONG_BINPUT" and (argument or 0) > count:  # makes room for so many
            raise WeightsError("it numbers what it does not hold")
    stream.seek(start)
    return _Reader(stream).load()


def _streamed(path: Path) -> Mapping[Any, Any]:
    """The older form of torch.save, pickles and storages one after the other; or paddle.save's."""
    with path.open("rb") as stream:
        first = _load(stream)
        if isinstance(first, dict):
            first.pop(_BOOKKEEPING, None)
            return {n: v.values if isinstance(v, _Array) else v for n, v in first.items()}
        if first != _MAGIC or _load(stream) != _PROTOCOL:
            raise WeightsError("it is neither torch.save's nor paddle.save's")
        if not _load(stream).get("little_endian"):
            raise WeightsError("it was written on a machine that counts bytes the other way round")
        state = _state(_load(stream))
        kinds = {tensor.key: tensor.type for tensor in state.values()}
        raw: dict[str, bytes] = {}
        for key in _load(stream):
            count = int.from_bytes(stream.read(8), "little", signed=True)
            wanted = count * kinds[key].itemsize
            raw[key] = stream.read(wanted) if 0 <= wanted <= path.stat().st_size else b""
            if len(raw[key]) != wanted:
                raise WeightsError("it is cut off")
    return {name: tensor.values(raw[tensor.key]) for name, tensor in state.items()}


def _zipped(path: Path) -> Mapping[Any, Any]:
    """The newer form of torch.save: an archive with one pickle, and one file a storage."""
    with zipfile.ZipFile(path) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise WeightsError("it is a compressed archive")
        (index,) = (n for n in archive.namelist() if n.count("/") == 1 and n.endswith("/data.pkl"))
        top = index.rpartition("/")[0]
        if f"{top}/byteorder" in archive.namelist():
            if archive.read(f"{top}/byteorder") != b"little":
                raise WeightsError("its bytes stand the other way round")
        with archive.open(index) as stream:
            state = _state(_load(stream))
        return {n: tensor.values(archive.read(f"{top}/data/{tensor.key}"))
                for n, tensor in state.items()}  # fmt: skip


def _state(found: Any) -> dict[str, _Tensor]:
    if not isinstance(found, dict) or not found:
        raise WeightsError("it holds no names with tensors")
    for name, value in found.items():
        if not isinstance(value, _Tensor):
            raise WeightsError(f"it holds a {type(value).__name__} under {name!r}, not a tensor")
    return found
