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

UNWRITTEN = Counter("log_failures", "Times that the log could not be written.")


class _Output:
    """Standard output for log lines, which are not worth a request: where the disk is full, they are lost."""

    def write(self, text: str) -> None:
        """Write, or count that it could not be done."""
        self._try(lambda: sys.stdout.write(text))

    def flush(self) -> None:
        """Likewise. What could not be written for lack of room may be written by the next one."""
        self._try(sys.stdout.flush)

    def _try(self, write: Callable[[], object]) -> None:
        try:
            write()
        except OSError:
            UNWRITTEN.inc()


output = cast("TextIO", _Output())
"""Where all log lines go."""


def told_of(error: BaseException) -> dict[str, Any]:
    """What the log may say of an error that nobody foresaw: its kind and its place.

    Not its message, which may quote a title, and which somebody else may have written.
    """
    return {
        "error": f"{type(error).__module__}.{type(error).__qualname__}",
        "frames": [
            f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
        ],
        # What PostgreSQL calls its error, where it is one of its own.
        **({"sqlstate": error.sqlstate} if hasattr(error, "sqlstate") else {}),
    }


def _without_quotations(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take from the lines of libraries what they quote: the messages of exceptions, and all but the first line."""
    exc_info = event.pop("exc_info", None)
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if isinstance(error, BaseException):
        event.update(told_of(error))
    text, *_ = str(event["event"]).splitlines() or [""]
    event["event"] = text if text.isprintable() else repr(text)
    return event


_NOT_SEEN = re.compile(r"[^\x00-\x7e]")


def _escaped(match: re.Match[str]) -> str:
    """A character as JSON writes it in ASCII: in one or two units of UTF-16 (RFC 8259, section 7)."""
    units = match[0].encode("utf-16-be").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def _line(event: Mapping[str, Any], **_: Any) -> str:
    """One JSON object. In ASCII where not every character is: some end a line for some, or move a cursor."""
    text = orjson.dumps(event, default=str).decode()
    return text if text.isascii() and "\x7f" not in text else _NOT_SEEN.sub(_escaped, text)


def configure_logging(*, level: str, json: bool) -> None:
    """Send structlog's and the standard library's lines to standard output in one form."""
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.MaybeTimeStamper(fmt="iso", utc=True),
    ]
    # Quoted in development, because a name that a client made up may hold what moves a terminal's cursor.
    render: Any = (
        structlog.processors.JSONRenderer(serializer=_line)
        if json
        else structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), repr_native_str=True)
    )
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Whatever the locale's encoding lacks: a line that could not be written would take those beside it along.
        sys.stdout.reconfigure(errors="backslashreplace")
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=output),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _without_quotations,
                render,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    # What these say beyond warnings is said by this package's own lines, in fewer words.
    for name in ("httpx2", "httpcore2", "connexion", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # While the database is away it warns of every attempt; each request that misses it has a line of ours.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
