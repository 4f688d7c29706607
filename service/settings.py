"""Every setting of gateway and worker, each an environment variable HYOJO_*.

    python -m service.settings        the table of all of them, in Markdown

A value that cannot be used is refused with a sentence that names the variable, what it got and
what it takes.
"""

from __future__ import annotations

import difflib
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from service import lists
from service.cores import usable_cores
from service.errors import SettingsError
from service.kinship import PROJECT
from service.scratch import temporary_folder

PREFIX = "HYOJO_"
MEGABYTE = 1024 * 1024
_SECRET = frozenset({"api_keys"})
"""Settings whose values stand in no message."""
_LONGEST_SOCKET_PATH = 107
"""Bytes; the kernel's sockaddr_un holds no longer path."""


def default_worker() -> str:
    """The endpoint in this user's own folder, the same for gateway and worker.

    Whoever binds it makes the folder, with mode 0700.
    """
    base = os.environ.get("XDG_RUNTIME_DIR") or temporary_folder()
    return f"ipc://{base}/hyojo-{os.getuid()}/worker.sock"


def _default_predictors() -> int:
    return min(4, usable_cores())


def _shown(text: str) -> dict[str, Any]:
    """A default that depends on the machine, in words, for the table."""
    return {"default_text": text}


class Settings(BaseSettings):
    """All settings; immutable. `load_settings()` reads them from the environment."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True
    )

    host: str = Field("127.0.0.1", description="Address the gateway listens on.")
    port: int = Field(
        8000, ge=0, le=65535, description="Port the gateway listens on; 0 picks a free one."
    )
    worker: str = Field(
        default_factory=default_worker,
        description="ZeroMQ endpoint between gateway and worker: `ipc://` and a path, "
        "or `tcp://address:port`.",
        json_schema_extra=_shown("`ipc://` in a private folder of the user"),
    )
    worker_keys: str = Field(
        "",
        validate_default=True,
        description="File of CURVE keys for a worker at `tcp://`, which needs them; "
        "`python -m service.keys make FOLDER` writes one for each side.",
        json_schema_extra=_shown("none"),
    )
    params: Path = Field(
        PROJECT / "params",
        description="Folder of model bundles.",
        json_schema_extra=_shown("`params` of the project"),
    )
    model: str = Field("emotion", description="Model that answers when a request names none.")
    models: str = Field(
        "",
        description="Names of the models to serve, with commas between.",
        json_schema_extra=_shown("every bundle in the folder"),
    )
    model_memory: int = Field(
        1536,
        ge=0,
        le=1_000_000,
        description="Memory for models that are loaded when they are asked for (`FAMILY:NAME`), in "
        "MiB, all together; the one used longest ago gives way.",
    )
    predictors: int = Field(
        default_factory=_default_predictors,
        ge=1,
        le=256,
        description="Predictor processes.",
        json_schema_extra=_shown("the cores, at most 4"),
    )
    queue_size: int = Field(
        64,
        ge=1,
        le=100_000,
        description="Images that may wait for a predictor; more are refused with `overloaded`.",
    )
    max_batch_size: int = Field(
        4,
        ge=1,
        le=8,
        description="Images that a predictor may look at together, at most, where several wait; "
        "below 4 each goes alone, as a network is given one or four at once.",
    )
    deadline_s: float = Field(
        10, gt=0, le=600, description="Seconds a request may take before `deadline_exceeded`."
    )
    predictor_timeout_s: float = Field(
        10,
        gt=0,
        le=600,
        description="Seconds a predictor may spend on one image before it is replaced.",
    )
    predictor_stuck_s: float = Field(
        1,
        gt=0,
        le=600,
        description="Seconds a predictor may stand still, stopped or locked up, before it is "
        "replaced.",
    )
    predictor_memory_mb: int = Field(
        1280,
        ge=256,
        le=1_000_000,
        description="Memory of its own that a predictor may use, in MiB; a picture that needs more "
        "is refused.",
    )
    quarantine_s: float = Field(
        300,
        ge=0,
        le=86_400,
        description="Seconds that an image is refused on which predictors died; 0 refuses none.",
    )
    max_body_mb: float = Field(
        32, gt=0, le=1024, description="Largest request body, in MiB, all images together."
    )
    max_image_mb: float = Field(12, gt=0, le=1024, description="Largest single image, in MiB.")
    body_timeout_s: float = Field(
        30, gt=0, le=3600, description="Seconds a request body may take to arrive."
    )
    body_buffer_mb: float = Field(
        128,
        gt=0,
        le=65536,
        description="Memory of a gateway process for bodies on their way, in MiB, at least two of "
        "the largest; beyond it the slowest is refused with `overloaded`.",
    )
    max_pixels: int = Field(
        40_000_000, ge=1, le=1_000_000_000, description="Most pixels in one image."
    )
    max_images: int = Field(8, ge=1, le=8, description="Most images in one request.")
    gateway_processes: int = Field(1, ge=1, le=64, description="Gateway processes.")
    gateway_threads: int = Field(
        16,
        ge=1,
        le=512,
        description="Threads in each gateway process: requests it answers at the same time.",
    )
    gateway_queue: int = Field(
        64,
        ge=1,
        le=100_000,
        description="Requests that may wait for a thread in each gateway process; more are "
        "refused with `overloaded`.",
    )
    url_input: Literal["off", "https", "http"] = Field(
        "off",
        description="Whether the service fetches images by address: not at all, over HTTPS alone, "
        "or over plain HTTP too.",
    )
    api_keys: Annotated[str, lists.read_by(lists.api_keys)] = Field(
        "",
        repr=False,
        description="Keys of those who may ask, as `name:key` with commas between; the names stand "
        "in the log.",
        json_schema_extra=_shown("none: everybody may"),
    )
    rate_limit: Annotated[str, lists.read_by(lists.rate_limit)] = Field(
        "",
        description="How often one key, or one address, may ask, such as `100/minute`, several "
        "with commas between; each gateway process counts for itself.",
        json_schema_extra=_shown("no limit"),
    )
    cors_origins: Annotated[str, lists.read_by(lists.origins)] = Field(
        "",
        description="Origins of other sites whose pages may ask, with commas between.",
        json_schema_extra=_shown("none"),
    )
    trusted_proxies: Annotated[str, lists.read_by(lists.networks)] = Field(
        "",
        description="Addresses or networks of proxies in front whose `X-Forwarded-For`, `-Proto` "
        "and `-Host` count, with commas between.",
        json_schema_extra=_shown("none"),
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least important message that is logged."
    )
    log_format: Literal["console", "json"] = Field(
        "console", description="Log lines for people or for programs."
    )
    grace_s: float = Field(
        20, ge=0, le=600, description="Seconds that running requests get to finish on SIGTERM."
    )

    @field_validator("log_level", "log_format", "url_input", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.strip().lower() if isinstance(value, str) else value

    @field_validator("host", "model")
    @classmethod
    def _not_blank(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("takes a name that is not blank")
        return value.strip()

    @field_validator("worker")
    @classmethod
    def _endpoint(cls, value: str) -> str:
        scheme, _, rest = value.partition("://")
        if scheme not in ("ipc", "tcp") or not rest:
            raise ValueError("takes ipc:// and a path, or tcp://address:port")
        if scheme == "ipc" and len(os.fsencode(rest)) > _LONGEST_SOCKET_PATH:
            raise ValueError(f"takes a socket path of at most {_LONGEST_SOCKET_PATH} bytes")
        if scheme == "tcp" and not rest.rpartition(":")[2].isdigit():
            raise ValueError("takes a port at the end of a tcp:// endpoint")
        return value

    @field_validator("worker_keys")
    @classmethod
    def _keys_over_tcp(cls, value: str, info: ValidationInfo) -> str:
        if not value and str(info.data.get("worker", "")).startswith("tcp://"):
            raise ValueError(
                "takes a file of keys where HYOJO_WORKER is tcp://, for anyone could speak to the "
                "worker without. Make them with: python -m service.keys make FOLDER"
            )
        return value

    @property
    def model_names(self) -> tuple[str, ...]:
        """Names of the models to serve; empty for every bundle there is."""
        return tuple(name for part in self.models.split(",") if (name := part.strip()))

    @property
    def max_body_bytes(self) -> int:
        """Largest request body in bytes."""
        return int(self.max_body_mb * MEGABYTE)

    @property
    def body_buffer_bytes(self) -> int:
        """Most bytes of all bodies on their way."""
        return int(self.body_buffer_mb * MEGABYTE)

    @property
    def max_image_bytes(self) -> int:
        """Largest single image in bytes."""
        return int(self.max_image_mb * MEGABYTE)


def load_settings(**overrides: Any) -> Settings:
    """Read all settings from the environment.

    Args:
        **overrides: settings by name that count more than the environment.

    Raises:
        SettingsError: a value cannot be used, or a variable's name is misspelt; says which.
    """
    _refuse_misspelt()
    try:
        return Settings(**overrides)
    except ValidationError as error:
        sentences = [_sentence(dict(item)) for item in error.errors(include_url=False)]
        raise SettingsError(" ".join(sentences)) from None


def takes(field: FieldInfo) -> str:
    """What a setting takes, in words: `a whole number from 1 to 8`."""
    kind = field.annotation
    if get_origin(kind) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(kind))
    if kind not in (int, float):
        return "a folder" if kind is Path else "text"
    bounds = {
        name: getattr(item, name)
        for item in field.metadata
        for name in ("ge", "gt", "le")
        if getattr(item, name, None) is not None
    }
    number = "a whole number" if kind is int else "a number"
    low = f"from {bounds['ge']}" if "ge" in bounds else f"above {bounds['gt']}"
    return f"{number} {low} to {bounds['le']}"


def table() -> str:
    """All settings as a Markdown table: variable, default, what it takes, what it does."""
    lines = ["| Variable | Default | Takes | What it does |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        extra = field.json_schema_extra
        shown = extra.get("default_text") if isinstance(extra, dict) else None
        default = shown or f"`{field.default}`"
        variable = f"`{PREFIX}{name.upper()}`"
        lines.append(f"| {variable} | {default} | {takes(field)} | {field.description} |")
    return "\n".join(lines)


def _sentence(item: dict[str, Any]) -> str:
    name = str(item["loc"][0])
    wants = takes(Settings.model_fields[name])
    if item["type"] == "value_error":
        wants = str(item["ctx"]["error"]).removeprefix("takes ")
    variable, got = PREFIX + name.upper(), str(item["input"])
    if name in _SECRET:
        return f"{variable} cannot be used: it takes {wants.replace('`', '')}."
    sentence = f"{variable} is {got!r} but takes {wants.replace('`', '')}."
    if got.startswith("tcp://") and name != "worker":
        sentence += " Kubernetes sets such values; use enableServiceLinks: false."
    return sentence


def _refuse_misspelt() -> None:
    """A variable that nearly has a setting's name does nothing, which nobody would notice."""
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    for variable in sorted(os.environ):
        if not variable.startswith(PREFIX) or variable in known:
            continue
        close = difflib.get_close_matches(variable, known, n=1, cutoff=0.85)
        if close:
            raise SettingsError(
                f"{variable} is no setting. Did you mean {close[0]}? "
                "`python -m service.settings` lists them all."
            )


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
