"""Published weights are read number by number, and nothing that a file asks for is ever run."""

import builtins
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import pickles
from models.errors import WeightsError
from models.framework import paddle
from tests import torchfiles
from tests.amount import amount
from tests.torchfiles import Storage, Tensor, save_newer, save_older

FORMS = pytest.mark.parametrize("save", [save_older, save_newer], ids=["stream", "archive"])
DRAW = np.random.default_rng(0)
ARRAYS = {
    "conv.weight": DRAW.normal(size=(4, 3, 2, 2)).astype(np.float32),
    "head.weight": DRAW.normal(size=(3, 5)).astype(np.float16),
    "wide": DRAW.normal(size=(2, 2)),
    "scalar": np.array(7, np.int64),
    "empty": np.empty((0, 3), np.float32),
}


class Evil:
    """Calls something when it is unpickled."""

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.call = call, arguments

    def __reduce__(self) -> Any:
        return self.call


@FORMS
def test_what_torch_saves_is_read(save: Callable[..., Path], tmp_path: Path) -> None:
    found = pickles.read(save(torchfiles.tensors(ARRAYS), tmp_path / "weights.pth"))
    assert list(found) == list(ARRAYS)
    for name, values in ARRAYS.items():
        assert np.array_equal(found[name], values.astype(found[name].dtype)), name
        assert found[name].shape == values.shape
        assert found[name].dtype == (np.int64 if name == "scalar" else np.float32)


@FORMS
def test_a_tensor_may_be_a_view_of_another(save: Callable[..., Path], tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.float32)
    shared = Storage("0", values)
    state = {"part": Tensor(shared, 2, (4,), (1,)), "turned": Tensor(shared, 0, (4, 3), (1, 4))}
    found = pickles.read(save(state, tmp_path / "weights.pth"))
    assert np.array_equal(found["part"], values[2:6])
    assert np.array_equal(found["turned"], values.reshape(3, 4).T)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_what_paddle_saves_is_read(protocol: int, tmp_path: Path) -> None:
    with paddle.utils.unique_name.guard():
        layer = paddle.nn.Sequential(paddle.nn.Conv2D(3, 4, 3), paddle.nn.BatchNorm2D(4))
    paddle.save(layer.state_dict(), str(tmp_path / "w.pdparams"), protocol=protocol)
    found = pickles.read(tmp_path / "w.pdparams")
    assert list(found) == ["0.weight", "0.bias", "1.weight", "1.bias", "1._mean", "1._variance"]
    for name, value in layer.state_dict().items():
        assert np.array_equal(found[name], value.numpy()), name


def test_arrays_of_any_order_and_kind_are_read(tmp_path: Path) -> None:
    arrays = {"f": np.asfortranarray(DRAW.normal(size=(3, 4))), "b": np.arange(3, dtype=">i4")}
    (tmp_path / "w").write_bytes(pickle.dumps(arrays, 2))
    found = pickles.read(tmp_path / "w")
    assert np.allclose(found["f"], arrays["f"]) and np.array_equal(found["b"], arrays["b"])


EVIL = {
    "a command": (lambda mark: Evil(os.system, f"touch {mark}"), r"posix\.system"),
    "eval": (lambda mark: Evil(builtins.eval, f"open({str(mark)!r}, 'w')"), r"builtin.*\.eval"),
    "open": (lambda mark: Evil(open, str(mark), "w"), r"io\.open"),
    "numpy's own": (lambda mark: Evil(np.load, str(mark)), r"numpy.*load"),
    "a getter": (lambda mark: Evil(getattr, "", "join"), r"builtin.*\.getattr"),
    "a type": (lambda mark: Path(mark), r"pathlib\."),
}


@pytest.mark.parametrize("what", EVIL)
@pytest.mark.parametrize("form", ["paddle 2", "paddle 4", "stream", "archive"])
def test_what_a_file_asks_to_run_is_refused_by_name(what: str, form: str, tmp_path: Path) -> None:
    mark, path = tmp_path / "ran", tmp_path / "weights"
    make, named = EVIL[what]
    state = {"w": ARRAYS["wide"], "evil": make(mark)}
    if form.startswith("paddle"):
        path.write_bytes(pickle.dumps(state, int(form[-1])))
    else:
        (save_older if form == "stream" else save_newer)({"evil": make(mark)}, path)
    with pytest.raises(WeightsError, match=named) as told:
        pickles.read(path)
    assert "may run code" in str(told.value) and "no file whose source" in str(told.value)
    assert not mark.exists()


def test_these_files_do_run_where_pickle_reads_them(tmp_path: Path) -> None:
    """Else the test above would show nothing."""
    mark = tmp_path / "ran"
    pickle.loads(pickle.dumps({"evil": Evil(os.system, f"touch {mark}")}))
    assert mark.exists()


@pytest.mark.parametrize(
    "program",
    [
        b"cnumpy\ndtype\n(N}S'x'\nS'y'\nstb.",  # sets an attribute of what it may call
        b"ctorch._utils\n_rebuild_tensor_v2\n}S'__code__'\nNsb.",
        b"ccollections\nOrderedDict\n)\x81.",  # makes an object past its constructor
        b"cnumpy\nndarray\n)R.",  # calls what is only a word
        b"ccollections.abc\nos.system\n.",
    ],
)
def test_stand_ins_can_be_called_and_not_changed(program: bytes, tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"\x80\x04" + program)
    with pytest.raises(WeightsError):
        pickles.read(path)


def _bounds(**changed: Any) -> Tensor:
    usual = {"offset": 0, "shape": (2, 3), "strides": (3, 1)} | changed
    return Tensor(Storage("0", np.zeros(6, np.float32)), **usual)


@FORMS
@pytest.mark.parametrize(
    "tensor",
    [
        _bounds(offset=1),
        _bounds(offset=-1),
        _bounds(shape=(3, 3)),
        _bounds(strides=(4, 1)),
        _bounds(strides=(-3, 1)),
        _bounds(shape=(10**12,), strides=(0,)),  # a terabyte out of one number
    ],
)
def test_a_tensor_stays_within_its_storage(
    save: Callable[..., Path], tensor: Tensor, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError, match="past the end"):
        pickles.read(save({"w": tensor}, tmp_path / "weights"))


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ([1, 2], "neither"),
        ({"w": "text"}, "holds a str"),
        ({"w": {"nested": ARRAYS["wide"]}}, "holds a dict"),
        ({"w": np.array(["text"])}, "no type of number"),
        ({"w": np.array([None])}, "no type of number"),
    ],
)
def test_anything_but_tensors_is_told(state: Any, says: str, tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(pickle.dumps(state, 4))
    with pytest.raises(WeightsError, match=says):
        pickles.read(tmp_path / "weights")


def test_a_compressed_archive_is_refused(tmp_path: Path) -> None:
    path = save_newer(torchfiles.tensors(ARRAYS), tmp_path / "w", zipfile.ZIP_DEFLATED)
    with pytest.raises(WeightsError, match="compressed"):
        pickles.read(path)


@pytest.mark.parametrize("form", ["stream", "archive", "paddle"])
def test_a_damaged_file_is_read_or_told_and_does_nothing_else(form: str, tmp_path: Path) -> None:
    path = tmp_path / "weights"
    if form == "paddle":
        path.write_bytes(pickle.dumps(ARRAYS, 4))
    else:
        (save_older if form == "stream" else save_newer)(torchfiles.tensors(ARRAYS), path)
    whole = path.read_bytes()
    draw, told = np.random.default_rng(3), 0
    for turn in range(amount(150, 20_000)):
        data = bytearray(whole)
        if turn % 2:
            del data[int(draw.integers(len(data))) :]
        else:
            for place in draw.integers(len(data), size=int(draw.integers(1, 4))):
                data[place] = int(draw.integers(256))
        path.write_bytes(data)
        try:
            pickles.read(path)
        except WeightsError as error:
            told += 1
            assert str(error).endswith(".") and "Traceback" not in str(error)
    assert told > amount(75, 10_000) * 0.8
