"""Body formats: strict JSON, and the formats of records (JSON arrays, NDJSON, CSV)."""

from collections.abc import Mapping
from typing import Final

from server.formats.json_array import JsonArray
from server.formats.records import RecordFormat
from server.formats.tabular import Csv, Ndjson

RECORD_FORMATS: Final[Mapping[str, RecordFormat]] = {
    "application/json": JsonArray(),
    "application/x-ndjson": Ndjson(),
    "text/csv": Csv(),
}
"""The media types of imports and exports."""
