"""Variables that were probably meant as settings: those of `.env`, and near misses in the environment."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from pydantic import AliasChoices, BaseModel
from pydantic_core import ErrorDetails

# The share of equal characters (difflib's ratio). One wrong letter in seven is a near miss, two are not.
_CUTOFF: Final = 0.85
# Shorter names, such as HOST, are close to too many names of other programs.
_MIN_LENGTH: Final = 6
# Close to a setting, and usual names of something else: Better Auth reads the first.
_FOREIGN: Final = {"BETTER_AUTH_SECRETS", "DATABASE_USER"}
COMPOSE_SECRETS: Final = frozenset({"DATABASE_PASSWORD", "GRAFANA_PASSWORD", "POSTGRES_PASSWORD", "REDIS_PASSWORD"})
"""The variables of compose.yaml that are no settings. It reads the same `.env`."""
# Docker Compose and OpenTelemetry read theirs themselves.
_STANDARD: Final = ("COMPOSE_", "OTEL_")


class UnknownVariable(NamedTuple):
    """A variable that no setting reads."""

    name: str
    meant: str | None
    """The setting with the closest name, if one is close."""
    file: str | None
    """The file that sets it; None for the environment."""

    def __str__(self) -> str:
        """What is wrong, and what may be right."""
        place = f"{self.name} in {self.file}" if self.file else self.name
        return f"{place}: no setting has this name{f'; did you mean {self.meant}?' if self.meant else ''}"


def unknown_variables(
    environment: Iterable[str], files: Mapping[str, Iterable[str]], settings: Iterable[str]
) -> list[UnknownVariable]:
    """The unknown variables: all of those in files, and those of the environment whose names are near misses.

    `files` has the names of the variables by that of the file, `settings` the names that are known. Case is ignored.
    Variables of compose.yaml, of Docker Compose (`COMPOSE_*`) and of OpenTelemetry (`OTEL_*`) may stand in files.
    """
    known = {name.upper() for name in settings}
    found = [
        UnknownVariable(name, _nearest(name, known), file)
        for file, names in files.items()
        for name in names
        if name.upper() not in known | COMPOSE_SECRETS and not name.startswith(_STANDARD)
    ]
    named = {variable.name for variable in found}
    nearest = ((name, _nearest(name, known)) for name in environment if name not in named)
    return [*found, *(UnknownVariable(name, meant, None) for name, meant in nearest if meant is not None)]


def names_of(settings: type[BaseModel]) -> list[str]:
    """The names that the settings have, the other names of some included."""
    names = list(settings.model_fields)
    for field in settings.model_fields.values():
        if isinstance(field.validation_alias, AliasChoices):
            names += map(str, field.validation_alias.choices)
    return names


def describe_error(error: ErrorDetails) -> str:
    """One line that names the setting and says what is wrong with it."""
    name, *items = map(str, error["loc"] or ("",))
    message = error["msg"].removeprefix("Value error, ")
    if items:
        # No item of a list is a secret.
        message = f"{error['input']!r} {message.removeprefix('value ')}"
    return f"{name.upper()}: {message}" if name else message


def _nearest(name: str, known: set[str]) -> str | None:
    upper = name.upper()
    if upper in known or upper in _FOREIGN or len(upper) < _MIN_LENGTH:
        return None
    return next(iter(difflib.get_close_matches(upper, known, n=1, cutoff=_CUTOFF)), None)
