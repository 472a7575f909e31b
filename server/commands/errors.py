"""Errors and signals of the commands."""

import contextlib
import signal
import sys
from collections.abc import Iterator

import click

from persistence.errors import BackupError, DistributionError, MigrationError
from server.contract.document import ContractError
from server.settings import SettingsError


class OperatorError(click.ClickException):
    """An error for the operator, in one sentence and without a stack trace."""

    exit_code = 2


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turn the errors that an operator can mend into an `OperatorError`."""
    try:
        yield
    except (SettingsError, ContractError, MigrationError, BackupError, DistributionError, OSError) as error:
        raise OperatorError(str(error)) from None


@contextlib.contextmanager
def ended_in_order() -> Iterator[None]:
    """Let SIGTERM raise `SystemExit`, so that the command cleans up."""
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
