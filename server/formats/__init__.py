"""Body formats: strict JSON, and the formats of records (NDJSON, CSV)."""

from collections.abc import Mapping
from typing import Final

from server.formats.records import RecordFormat
from server.formats.tabular import Csv, Ndjson

RECORD_FORMATS: Final[Mapping[str, RecordFormat]] = {"application/x-ndjson": Ndjson(), "text/csv": Csv()}
"""The media types of imports and exports."""
