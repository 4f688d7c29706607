"""Log lines on standard error: for people (console) or for programs (one JSON object a line).

No line holds a byte of an image, a file's name, a query or a result.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal

import msgspec
import structlog

Level = Literal["debug", "info", "warning", "error"]
_plain = True
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure(level: Level, form: Literal["console", "json"], role: str) -> None:
    """Set up this process's log lines; the last call counts.

    Args:
        level: the least important that is shown.
        form: for people or for programs.
        role: who speaks: gateway, worker, …
    """
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _with_role(role),
    ]
    if form == "json":
        processors += [structlog.processors.format_exc_info, _as_json]
    else:
        processors.append(
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        )
    global _plain
    _plain = form != "json"
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def say(sentence: str, wrong: bool = False) -> None:
    """A sentence for whoever started this process; in JSON a line like all others.

    Args:
        sentence: whole, with what to do.
        wrong: it tells of something that should not be.
    """
    if _plain:
        print(sentence, file=sys.stderr, flush=True)
    else:
        structlog.get_logger().log(logging.ERROR if wrong else logging.INFO, sentence)


def _with_role(role: str) -> Any:
    def add(_logger: object, _name: str, event: dict[str, Any]) -> dict[str, Any]:
        event["role"] = role
        return event

    return add


def _as_json(_logger: object, _name: str, event: dict[str, Any]) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()


class Through(logging.Handler):
    """Sends the standard library's log records, gunicorn's for one, the same way as ours."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        log.log(record.levelno, record.getMessage(), exc_info=record.exc_info)
