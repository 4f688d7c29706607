"""A bundle's export as one ONNX file that explains itself, held against Paddle before it counts.

The packages are a list of their own (requirements-onnx.txt): nothing that trains or serves needs
them.
"""

import contextlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models import faces, images
from models.augment import Augmentation
from models.bundle import GRAPH, PARAMETERS, Bundle, Manifest
from models.engine import Engine
from models.errors import HyojoError, UsageError

OPSET = 13
TOLERANCE = 1e-4  # largest difference between Paddle's answers and the file's
INPUT, PROBABILITIES, EVIDENCE = "image", "probabilities", "evidence"
_LOOKS = 8  # pictures that both answer, cut from one photograph


class PortableError(HyojoError):
    """The bundle cannot be had as ONNX, or the file does not answer as Paddle does."""

    code = "onnx_differs"


@dataclass(frozen=True)
class Portable:
    """What was written.

    Attributes:
        path: of the file.
        size: of it, in bytes.
        pictures: how many both answered.
        probabilities: largest difference of any probability.
        evidence: largest difference of any place's part of a logit, as a share of the largest such
            part where that is above 1; None for a model that does not explain.
    """

    path: Path
    size: int
    pictures: int
    probabilities: float
    evidence: float | None


def write(bundle: Bundle, out: Path, photograph: Path) -> Portable:
    """Convert, describe, compare; only then the file takes its place.

    Args:
        bundle: with an export.
        out: the file; its folder is made.
        photograph: a picture, with a face where the bundle wants one, that is cut in several ways.

    Raises:
        UsageError: the packages are missing, or the bundle has no export.
        PortableError: it cannot be converted, or an answer differs by more than `TOLERANCE`.
    """
    model = converted(bundle)
    _describe(model, bundle.manifest)
    crops = _cut(bundle.manifest, images.read(photograph))
    out.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{out.name}-new-", dir=out.parent)
    beside = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(model.SerializeToString())
            os.fsync(stream.fileno())
        probabilities, evidence = _differences(bundle, beside, crops)
        beside.chmod(0o644)
        beside.rename(out)
    finally:
        beside.unlink(missing_ok=True)
    return Portable(out, out.stat().st_size, len(crops), probabilities, evidence)


def converted(bundle: Bundle) -> Any:
    """The export as an `onnx.ModelProto`, of any batch size, its ends named.

    Raises:
        UsageError, PortableError: see `write`.
    """
    if GRAPH not in bundle.manifest.files:
        raise UsageError(
            f"The bundle {bundle.path} has no network to serve, only weights to start a training "
            "from. Name one that can be served."
        )
    paddle2onnx, onnx = _packages()
    graph, parameters = str(bundle.file(GRAPH)), str(bundle.file(PARAMETERS))
    try:
        with _quietly():
            data = paddle2onnx.export(
                graph, parameters, opset_version=OPSET, verbose=False, optimize_tool="None"
            )
        model = onnx.load_model_from_string(data)
    except Exception as error:  # the converter raises whatever comes, also of its own mistakes
        raise PortableError(
            f"The network of {bundle.path} cannot be converted to ONNX "
            f"({str(error).strip()[:200] or type(error).__name__}). Train it with another "
            "--network, or report this one.",
            "onnx_unconverted",
        ) from None
    _tidy(model)
    onnx.checker.check_model(model)
    return model


def session(file: Path) -> Any:
    """ONNX Runtime with a file: one thread, nothing said but errors."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def _packages() -> tuple[Any, Any]:
    try:
        from models.framework import paddle

        assert paddle  # imported quietly before the converter would do it
        import onnx
        import onnxruntime
        import paddle2onnx
    except ImportError as error:
        raise UsageError(
            f"What makes ONNX files is not installed ({error.name}). Install it: make onnx "
            "(or pip install -r requirements-onnx.lock)."
        ) from None
    assert onnxruntime
    return paddle2onnx, onnx


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Nothing on the terminal: the converter logs each step, from C++ too, and prints a traceback
    for what it then raises anew."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(number) for number in (1, 2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for number in (1, 2):
            os.dup2(nowhere, number)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)
        os.close(nowhere)


def _tidy(model: Any) -> None:
    """Name the ends and the batch; drop constants that nobody reads."""
    graph = model.graph
    ends = [graph.input[0].name, *(output.name for output in graph.output)]
    names = dict(zip(ends, (INPUT, PROBABILITIES, EVIDENCE), strict=False))
    for node in graph.node:
        for places in (node.input, node.output):
            places[:] = [names.get(name, name) for name in places]
    for end in (*graph.input, *graph.output):
        end.name = names[end.name]
        end.type.tensor_type.shape.dim[0].dim_param = "N"
    read = {name for node in graph.node for name in node.input}
    kept = [node for node in graph.node if node.op_type != "Constant" or read & set(node.output)]
    del graph.node[:]
    graph.node.extend(kept)


def _describe(model: Any, manifest: Manifest) -> None:
    """Put into the file what its user must know: labels, input, crop, terms."""
    model.producer_name = "Hyojo"
    model.graph.name = manifest.name
    model.doc_string = (
        f"{INPUT}: float32 (N, {manifest.input.channels}, {manifest.input.size}, "
        f"{manifest.input.size}), (pixel - mean) * scale with pixels 0 to 255, channels as "
        f"input.color says. {PROBABILITIES}: (N, {len(manifest.labels)}), in the order of labels."
    )
    told = {
        "name": manifest.name,
        "version": manifest.version,
        "labels": json.dumps(manifest.labels, ensure_ascii=False),
        "input": json.dumps(asdict(manifest.input)),
        "faces": json.dumps(asdict(manifest.faces)),
        "network": str(manifest.network.get("name", "")),
        "licence": manifest.licence,
        "explains": json.dumps(manifest.explains),
    }
    for key, value in told.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value


def _cut(manifest: Manifest, picture: np.ndarray) -> list[np.ndarray]:
    """Real inputs: one photograph, cut as the bundle wants it and in changed ways."""
    spec = manifest.faces
    found = faces.detector(spec.detector).detect(picture) if spec.wanted else []
    face = found[0] if found else None
    draw = np.random.default_rng(0)
    change = Augmentation(flip=0.5, rotation=20, zoom=0.4, shift=0.2)
    changes = [change.jitter(draw) for _ in range(_LOOKS - 1)]
    return [
        faces.crop(picture, face, spec, manifest.input.size, change) for change in (None, *changes)
    ]


def _differences(
    bundle: Bundle, file: Path, crops: Sequence[np.ndarray]
) -> tuple[float, float | None]:
    """Largest differences of probabilities and evidence, the crops one by one and all at once."""
    engine = Engine(bundle.file(GRAPH), bundle.file(PARAMETERS))
    theirs = session(file)
    explains = bundle.manifest.explains
    wanted = [PROBABILITIES, EVIDENCE] if explains else [PROBABILITIES]
    away = [0.0, 0.0]
    for part in ([crop] for crop in crops), [list(crops)]:
        for batch in part:
            x = bundle.manifest.input.tensor(batch)
            ours = [engine.run(x), *([engine.output(1)] if explains else [])]
            for number, (a, b) in enumerate(zip(ours, theirs.run(wanted, {INPUT: x}), strict=True)):
                most = 1.0 if number == 0 else max(1.0, float(np.abs(a).max()))
                away[number] = max(away[number], float(np.abs(a - b).max()) / most)
    for what, value in zip(("a probability", "what decided"), away, strict=True):
        if not value <= TOLERANCE:
            raise PortableError(
                f"The ONNX file's answers differ from Paddle's by {value:.1e} in {what} (at most "
                f"{TOLERANCE:.0e} is right), so nothing was written. Report the network "
                f"{bundle.manifest.network.get('name')!r}."
            )
    return away[0], away[1] if explains else None
