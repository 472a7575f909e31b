"""Exemplars of several worker processes: prometheus_client keeps none in its mode for those.

Each process keeps the last exemplar of each bucket of the histogram of requests in a file beside the library's own, and
the process that shows the metrics adds them to the buckets.
"""

import bisect
import contextlib
import json
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

HISTOGRAM: Final = "http_request_duration_seconds"
DIRECTORY: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The variable with the directory in which the worker processes share their metrics."""

_Kept = dict[str, tuple[dict[str, str], float, float]]
"""Operation and bucket to the labels, the value, and the time in seconds since 1970."""

_kept: _Kept = {}
_written: _Kept = {}


def keep(buckets: Sequence[float], operation: str, seconds: float, labels: Mapping[str, str]) -> None:
    """Keep an exemplar of a request for its bucket, where there are several processes."""
    if DIRECTORY in os.environ:
        index = bisect.bisect_left(buckets, seconds)
        bound = buckets[index] if index < len(buckets) else math.inf
        written: str = floatToGoString(bound)  # type: ignore[no-untyped-call]
        _kept[_key(operation, written)] = (dict(labels), seconds, time.time())


def write() -> None:
    """Let the other processes see the exemplars of this one."""
    directory = os.environ.get(DIRECTORY)
    if directory is None or _kept == _written:
        return
    path = Path(directory, f"exemplars_{os.getpid()}.json")
    path.with_suffix(".new").write_text(json.dumps(_kept), encoding="utf-8")
    path.with_suffix(".new").replace(path)
    _written.update(_kept)


def read(directory: str) -> dict[str, Exemplar]:
    """The last exemplar of each bucket of all processes, by operation and bucket."""
    found: _Kept = {}
    for path in Path(directory).glob("exemplars_*.json"):
        with contextlib.suppress(FileNotFoundError):
            for key, (labels, value, moment) in json.loads(path.read_text(encoding="utf-8")).items():
                if key not in found or found[key][2] < moment:
                    found[key] = (labels, value, moment)
    return {key: Exemplar(*kept) for key, kept in found.items()}


def with_exemplars(metrics: Iterator[Metric], found: Mapping[str, Exemplar]) -> Iterator[Metric]:
    """The metrics, with these exemplars at the buckets of `HISTOGRAM`."""
    for metric in metrics:
        if metric.name == HISTOGRAM and found:
            metric.samples = [
                sample._replace(exemplar=found.get(_key(sample.labels["operation"], sample.labels.get("le", ""))))
                for sample in metric.samples
            ]
        yield metric


def _key(operation: str, bound: str) -> str:
    return f"{operation} {bound}"
