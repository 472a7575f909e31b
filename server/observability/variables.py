"""The standard variables `OTEL_*`, which configure OpenTelemetry, and whether they turn traces on."""

import os
from collections.abc import Mapping
from typing import Final

from dotenv import dotenv_values

from server.settings import SettingsError

PREFIX: Final = "OTEL_"
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


def adopt_variables(file: str) -> None:
    """Take over those of `.env`: OpenTelemetry reads the environment only, which has precedence."""
    for name, value in dotenv_values(file).items():
        if name.startswith(PREFIX) and value:
            os.environ.setdefault(name, value)


def collector(environment: Mapping[str, str]) -> str | None:
    """The address to which traces are exported; None where they are off.

    They are on where an endpoint is named, or `OTEL_TRACES_EXPORTER=otlp` asks for the default one. Raises
    `SettingsError` for what this service cannot do.
    """
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").lower()
    named = next((environment[name] for name in _ENDPOINTS if environment.get(name)), None)
    is_off = environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or exporter == "none"
    if is_off or not (named or exporter):
        return None
    if exporter not in ("", "otlp"):
        raise SettingsError("OTEL_TRACES_EXPORTER: must be `otlp` or `none`")
    for name in _PROTOCOLS:
        if environment.get(name, "http/protobuf") not in ("", "http/protobuf"):
            raise SettingsError(f"{name}: must be `http/protobuf`; the port of a collector for it is usually 4318")
    if named is not None and not named.startswith(("http://", "https://")):
        raise SettingsError("OTEL_EXPORTER_OTLP_ENDPOINT: must be a URL that begins with http:// or https://")
    return named or "http://localhost:4318"
