"""Rules about times that JSON Schema cannot express, as extensions of the document's schemas.

`x-max-seconds-ahead: 60` on a `date-time` member: it is at most that much later than the service's clock.
`x-not-before: {updated_at: created_at}` on an object: if it has both members, the first is not earlier than the second.

They are checked beside the compiled schema, because a custom keyword of jsonschema-rs has the whole value converted.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from server.contract.document import ContractError

_AHEAD: Final = "x-max-seconds-ahead"
_ORDER: Final = "x-not-before"


@dataclass(frozen=True, slots=True)
class TimeRules:
    """The rules about the times of an object."""

    names: tuple[str, ...]
    """The members that have a rule."""
    ahead: Mapping[str, timedelta]
    not_before: Mapping[str, str]

    def broken(self, value: Any) -> list[tuple[str, str]]:
        """Return a JSON Pointer and the rule in words for each rule that a value breaks.

        Anything but an object, and a text that is not a time, breaks none: the schema reports it.
        """
        return list(self._broken(value)) if isinstance(value, dict) else []

    def _broken(self, value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        times = {name: time for name in self.names if (time := _time(value.get(name)))}
        if not times:
            return
        now = datetime.now(UTC)
        for name, ahead in self.ahead.items():
            if name in times and times[name] - now > ahead:
                seconds = f"{ahead.total_seconds():.0f}"
                yield f"/{name}", f"must be at most {seconds} seconds later than the service's clock"
        for later, earlier in self.not_before.items():
            if later in times and earlier in times and times[later] < times[earlier]:
                yield f"/{later}", f"must not be before {earlier}"


@dataclass(frozen=True, slots=True)
class ArrayTimeRules:
    """The rules about the times of the objects in an array."""

    items: TimeRules

    def broken(self, value: Any) -> list[tuple[str, str]]:
        """Return the same for an array."""
        items = enumerate(value) if isinstance(value, list) else ()
        return [(f"/{index}{where}", rule) for index, item in items for where, rule in self.items.broken(item)]


def compile_time_rules(schema: Mapping[str, Any]) -> TimeRules | ArrayTimeRules | None:
    """Compile the rules of an object, or of an array of objects; return None if there are none.

    Raises `ContractError` for a rule that is not enforced: with another value, for something that is no time, or
    deeper in the schema.
    """
    if not any(True for _ in _places(schema)):
        return None
    if "items" in schema:
        return ArrayTimeRules(_compile_object(schema["items"]))
    return _compile_object(schema)


def _compile_object(schema: Mapping[str, Any]) -> TimeRules:
    members = schema.get("properties", {})
    ahead = {name: member[_AHEAD] for name, member in members.items() if _AHEAD in member}
    not_before = schema.get(_ORDER, {})
    named = {*ahead, *not_before, *not_before.values()}
    if (
        len(list(_places(schema))) != len(ahead) + (_ORDER in schema)
        or not all(type(seconds) is int for seconds in ahead.values())
        or not all(members.get(name, {}).get("format") == "date-time" for name in named)
    ):
        raise ContractError(f"{_AHEAD} and {_ORDER} are enforced for the times of an object only")
    return TimeRules(tuple(named), {name: timedelta(seconds=seconds) for name, seconds in ahead.items()}, not_before)


def _places(schema: Any) -> Iterator[str]:
    """Yield a name for each use of the extensions in a schema."""
    if isinstance(schema, Mapping):
        yield from schema.keys() & {_AHEAD, _ORDER}
        for member in schema.values():
            yield from _places(member)
    elif isinstance(schema, list):
        for item in schema:
            yield from _places(item)


def _time(text: Any) -> datetime | None:
    """Return the time of a text with an offset, as RFC 3339 has it; None for anything else."""
    try:
        time = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return time if time is not None and time.tzinfo is not None else None
