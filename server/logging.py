"""The log: one form for the lines of structlog and of the standard library, on standard output."""

import io
import logging
import re
import sys
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, TextIO, cast

import orjson
import structlog
from prometheus_client import Counter

from server.observability.trace import trace_of_request

UNWRITTEN = Counter("log_failures", "Times that the log could not be written.")


class _Output:
    """Standard output for log lines. A line that cannot be written is lost, because it must not fail a request."""

    def write(self, text: str) -> None:
        """Write the text, or count the failure."""
        self._try(lambda: sys.stdout.write(text))

    def flush(self) -> None:
        """Flush, or count the failure."""
        self._try(sys.stdout.flush)

    def _try(self, write: Callable[[], object]) -> None:
        try:
            write()
        except OSError:
            UNWRITTEN.inc()


output = cast("TextIO", _Output())
"""The stream of all log lines."""


def describe_error(error: BaseException) -> dict[str, Any]:
    """The facts of an unexpected error for the log: its class and its place.

    Not its message, which may quote a title, and which somebody else may have written.
    """
    return {
        "error": f"{type(error).__module__}.{type(error).__qualname__}",
        "frames": [
            f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
        ],
        # The SQLSTATE of an error of PostgreSQL.
        **({"sqlstate": error.sqlstate} if hasattr(error, "sqlstate") else {}),
    }


def _without_quotations(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Remove what the lines of libraries may quote: messages of exceptions, and all but the first line."""
    exc_info = event.pop("exc_info", None)
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if isinstance(error, BaseException):
        event.update(describe_error(error))
    text, *_ = str(event["event"]).splitlines() or [""]
    event["event"] = text if text.isprintable() else repr(text)
    return event


_NOT_SEEN = re.compile(r"[^\x00-\x7e]")


def _escaped(match: re.Match[str]) -> str:
    """A character as a JSON escape: one or two UTF-16 code units (RFC 8259, section 7)."""
    units = match[0].encode("utf-16-be").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def _line(event: Mapping[str, Any], **_: Any) -> str:
    """One JSON object in ASCII. Other characters can end a line or move a terminal's cursor, and are escaped."""
    text = orjson.dumps(event, default=str).decode()
    return text if text.isascii() and "\x7f" not in text else _NOT_SEEN.sub(_escaped, text)


def _add_stream(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Say to which stream an event of the service belongs, by its name."""
    event["log_stream"] = "security" if event["event"].startswith("security.") else "service"
    return event


def _add_library_stream(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Say that a line of a library is none of the others, whatever its text is."""
    event["log_stream"] = "service"
    return event


def _add_trace(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Name the trace of the current request. The line of a completed request names its own."""
    trace = trace_of_request.get()
    if trace is not None and "trace_id" not in event:
        event["trace_id"] = trace.text
    return event


def access_renderer() -> Callable[[dict[str, Any]], str] | None:
    """The function that renders a line of the access log from its facts; None where the level excludes such lines.

    A logger of structlog takes longer to put the facts together than it takes to render them.
    """
    if not structlog.get_logger().is_enabled_for(logging.INFO):
        return None
    render = structlog.get_config()["processors"][-1]
    return lambda facts: render(None, "info", {**facts, "event": "request", "level": "info", "log_stream": "access"})


def configure_logging(*, level: str, json: bool) -> None:
    """Send the lines of structlog and of the standard library to standard output in one form."""
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.MaybeTimeStamper(fmt="iso", utc=True),
        _add_trace,
    ]
    # Strings are quoted in development, because one of a client may contain control characters.
    render: Any = (
        structlog.processors.JSONRenderer(serializer=_line)
        if json
        else structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), repr_native_str=True)
    )
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Characters outside of the locale's encoding are escaped: an error would lose the other lines of the batch.
        sys.stdout.reconfigure(errors="backslashreplace")
    structlog.configure(
        processors=[*shared, _add_stream, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=output),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _add_library_stream, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _without_quotations,
                render,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    # The service logs the same events itself, and nobody asks how a page is rendered.
    for name in ("httpx2", "httpcore2", "urllib3", "connexion", "alembic", "markdown_it"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # While the database is unavailable it warns of every attempt. The service logs a line for each failed request.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
