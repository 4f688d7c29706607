"""Files as `torch.save` writes them, in both its forms, without PyTorch."""

import collections
import io
import pickle
import sys
import types
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

_MAGIC = 0x1950A86A20F9469CFC6C
_KINDS = {"<f4": "FloatStorage", "<f2": "HalfStorage", "<f8": "DoubleStorage", "<i8": "LongStorage"}


class Storage:
    """The numbers that tensors are views of."""

    def __init__(self, key: str, values: np.ndarray) -> None:
        self.key, self.values = key, values


class Tensor:
    """A view of a storage: offset, shape and strides in numbers, not bytes."""

    def __init__(
        self, storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
    ) -> None:
        self.arguments = (storage, offset, shape, strides, False, collections.OrderedDict())

    def __reduce__(self) -> Any:
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


def tensors(arrays: Mapping[str, np.ndarray]) -> "collections.OrderedDict[str, Tensor]":
    """A state dictionary, each array in a storage of its own."""
    state: collections.OrderedDict[str, Tensor] = collections.OrderedDict()
    for number, (name, values) in enumerate(arrays.items()):
        strides = tuple(step // values.itemsize for step in values.strides)
        state[name] = Tensor(Storage(str(number), values), 0, values.shape, strides)
    state._metadata = collections.OrderedDict(version=1)  # type: ignore[attr-defined]
    return state


class _Pickler(pickle.Pickler):
    def __init__(self, stream: Any, older: bool) -> None:
        super().__init__(stream, 2)
        self.found: dict[str, Storage] = {}
        self._older = older

    def persistent_id(self, found: Any) -> Any:
        if not isinstance(found, Storage):
            return None
        self.found[found.key] = found
        kind = getattr(sys.modules["torch"], _KINDS[found.values.dtype.str])
        view = (None,) if self._older else ()
        return ("storage", kind, found.key, "cpu", found.values.size, *view)


@contextmanager
def _pytorch() -> Iterator[None]:
    """Modules with the names that a pickle of PyTorch's refers to."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def _rebuild_tensor_v2(*arguments: Any) -> None:
        raise AssertionError("only ever named")

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    for name in _KINDS.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))
    sys.modules["torch"], sys.modules["torch._utils"] = torch, utils
    try:
        yield
    finally:
        del sys.modules["torch"], sys.modules["torch._utils"]


def save_older(state: Any, path: Path) -> Path:
    """As before version 1.6, and as the published files here are."""
    with _pytorch(), path.open("wb") as stream:
        for head in (_MAGIC, 1001, {"little_endian": True, "protocol_version": 1001}):
            pickle.dump(head, stream, 2)
        pickler = _Pickler(stream, older=True)
        pickler.dump(state)
        pickle.dump(sorted(pickler.found), stream, 2)
        for key in sorted(pickler.found):
            values = pickler.found[key].values
            stream.write(values.size.to_bytes(8, "little") + values.tobytes("K"))
    return path


def save_newer(state: Any, path: Path, compression: int = zipfile.ZIP_STORED) -> Path:
    """As an archive."""
    with _pytorch(), zipfile.ZipFile(path, "w", compression) as archive:
        index = io.BytesIO()
        pickler = _Pickler(index, older=False)
        pickler.dump(state)
        archive.writestr("archive/data.pkl", index.getvalue())
        archive.writestr("archive/byteorder", "little")
        for key, storage in pickler.found.items():
            archive.writestr(f"archive/data/{key}", storage.values.tobytes("K"))
    return path
