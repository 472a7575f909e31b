"""The errors of this package.

PersistenceError
├── TaskNotFound
├── TaskChanged
├── KeyReused
├── KeyInUse
├── InvalidCursor
├── DatabaseUnavailable
│   └── Locked
├── MigrationError
├── BackupError
├── DistributionError
└── EmbeddedServerError
"""


class PersistenceError(Exception):
    """The base class of the errors of this package."""


class TaskNotFound(PersistenceError):
    """The owner has no such task. The tasks of other users are never looked at."""


class TaskChanged(PersistenceError):
    """The task has none of the expected versions. Nothing was changed."""


class KeyReused(PersistenceError):
    """The idempotency key was used with other members. Nothing was created."""


class KeyInUse(PersistenceError):
    """Another request with the idempotency key is in progress. Nothing was created for this one."""


class InvalidCursor(PersistenceError):
    """The cursor was not made by this service for the given sort order."""


class DatabaseUnavailable(PersistenceError):
    """The database cannot serve now. Whether a write was committed may be unknown; the request can be retried."""


class DatabaseNotReady(DatabaseUnavailable):
    """No request can be served: the database is away, or lacks what every request needs."""


class Locked(DatabaseUnavailable):
    """Another transaction held a lock for longer than the statement's `lock_timeout`."""

    def __init__(self, message: str, context: str | None = None) -> None:
        """`context` is PostgreSQL's: it quotes the name of the table with the row or the key that is locked."""
        super().__init__(message)
        self._context = context or ""

    def concerns(self, table: str) -> bool:
        """True if a row or a key of this table is known to be locked."""
        return table in self._context


class MigrationError(PersistenceError):
    """The migrations could not be applied. Nothing has changed. The message is for the operator."""


class BackupError(PersistenceError):
    """A backup could not be made or restored. Nothing has changed. The message is for the operator."""


class DistributionError(PersistenceError):
    """The tables could not be distributed. What was done stays. The message is for the operator: one sentence."""


class EmbeddedServerError(PersistenceError):
    """The embedded PostgreSQL does not run. The message is for the operator: one sentence that names the cause."""
