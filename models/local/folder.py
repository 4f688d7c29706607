"""The folder that `make local` makes: the page, its modules, the runtime, the networks."""

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from models import bundle, face_finder, face_network, portable
from models.bundle import Bundle
from models.errors import UsageError
from models.faces import YuFace
from models.local import runtime
from service import catalog
from service import names as catalog_names
from service.protocol import ModelInfo

CONTENTS = "models.json"
_COPIED = ("*.svg", "*.jpg", "css/*.css", "js/*.js", "js/local/*.js")
_MAIN = '<main id="main"'
_FOOT = r"(<footer.*</footer>)"
_LINKS = r"((?:  <link[^\n]*\n)+)"
_SCRIPT = '  <script type="module" src="js/local/start.js"></script>\n'
_FACES = "models/faces.onnx"


@dataclass(frozen=True)
class Made:
    """What was made: number of files, their bytes, and how many of these a browser loads."""

    files: int
    size: int
    loads: int


def make(out: Path, params: Path, names: Sequence[str], project: Path) -> Made:
    """Make the folder whole, or leave what was there.

    Args:
        out: the folder; one that was not made here is not replaced.
        params: of bundles.
        names: of models; the first answers first.
        project: with web/.

    Raises:
        UsageError: no such model, or `out` is something else.
        HyojoError: the runtime cannot be had, or a network cannot be converted.
    """
    if out.exists() and any(out.iterdir()) and not (out / CONTENTS).is_file():
        raise UsageError(f"{out} holds something else. Name a new folder, or empty this one.")
    bundles, told = _chosen(params, names)
    web = project / "web"
    with bundle.writing(out) as fresh:
        for pattern in _COPIED:
            for file in sorted(web.glob(pattern)):
                target = fresh / file.relative_to(web)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
        runtime.unpack(project / "build" / "npm", fresh / "runtime")
        networks = {
            name: _network(one, fresh, f"models/{name.replace(':', '-')}.onnx", web / "example.jpg")
            for name, one in bundles.items()
        }
        (fresh / _FACES).write_bytes(face_network.network().SerializeToString())
        parts = [networks[names[0]]["file"], _FACES, *(f"runtime/{n}" for n in runtime.FILES)]
        loads = sum((fresh / part).stat().st_size for part in parts)
        contents = _contents(told, names[0], networks)
        (fresh / CONTENTS).write_text(json.dumps(contents, ensure_ascii=False) + "\n")
        (fresh / "NOTICES.txt").write_text(_notices(bundles))
        page = _page((web / "index.html").read_text(), (web / "local.html").read_text(), loads)
        for name in ("local.html", "index.html"):  # a host shows the second for the folder itself
            (fresh / name).write_text(page)
        sizes = [file.stat().st_size for file in fresh.rglob("*") if file.is_file()]
    return Made(len(sizes), sum(sizes), loads)


def _chosen(params: Path, names: Sequence[str]) -> tuple[dict[str, Bundle], list[ModelInfo]]:
    if not names:
        raise UsageError("No model is named. Name one: --model emotion.")
    found = catalog.read(params, names, names[0])
    for info in found.models.values():
        if info.error:
            raise UsageError(info.error)
    bundles = {name: bundle.load(catalog_names.folder_of(params, name)) for name in names}
    for name, one in bundles.items():
        if one.manifest.faces.detector != "yuface":
            raise UsageError(f"The model {name!r} wants another face detector than browsers have.")
    return bundles, [msgspec.structs.replace(found.models[name], state="warm") for name in names]


def _network(source: Bundle, fresh: Path, file: str, photograph: Path) -> dict[str, Any]:
    portable.write(source, fresh / file, photograph)
    manifest = source.manifest
    return {"file": file, "input": asdict(manifest.input), "faces": asdict(manifest.faces)}


def _contents(told: Sequence[ModelInfo], default: str, networks: dict[str, Any]) -> dict[str, Any]:
    """models.json: what GET /models answers, and what the page needs to do the rest itself."""
    search = {
        "levels": {name: list(sides) for name, sides in YuFace.LEVELS_PX.items()},
        "portrait": YuFace.PORTRAIT,
        "min_side": YuFace.MIN_SIDE_PX,
        "min_score": YuFace.MIN_SCORE,
        "strides": list(face_finder.STRIDES),
        "overlap": face_finder.OVERLAP,
        "faintest": face_finder.FAINTEST,
        "most": face_finder.MOST,
    }
    return {
        "default": default,
        "models": msgspec.to_builtins(list(told)),
        "url_input": "off",
        "finder": {"file": _FACES, "search": search},
        "networks": networks,
    }


def _notices(bundles: dict[str, Bundle]) -> str:
    """The terms of everything in the folder that is somebody's."""
    here = Path(__file__).parent
    parts = {
        f"runtime/: ONNX Runtime Web {runtime.VERSION}": (here / "onnxruntime.txt").read_text(),
        f"{_FACES}: libfacedetection": face_network.notice(),
        "The page": (here.parents[1] / "LICENSE").read_text(),
    }
    for name, one in bundles.items():
        parts[f"The model {name}, {one.manifest.version}"] = one.manifest.licence
    return (
        "\n\n".join(f"{what}\n{'=' * len(what)}\n\n{text.strip()}" for what, text in parts.items())
        + "\n"
    )


def _page(index: str, local: str, loads: int) -> str:
    """local.html with the links and the body of index.html, but for its own foot; and what starts
    it, which has no place on the page of a server."""
    body = _one(r"<body>(.*)</body>", index)
    body = body.replace(_one(_FOOT, index), _one(_FOOT, local))
    body = body.replace(_MAIN, f'{_MAIN} data-loads="{round(loads / 1e6)} MB"')
    page = local.replace(_one(r"<body>(.*)</body>", local), body)
    return page.replace(_one(_LINKS, local), _one(_LINKS, index) + _SCRIPT)


def _one(pattern: str, text: str) -> str:
    (found,) = re.findall(pattern, text, re.S)
    return str(found)
