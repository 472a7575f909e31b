"""What can go wrong with kept data, in this room's words.

PersistenceError
├── TaskNotFound
├── TaskChanged
├── KeyReused
├── KeyInUse
├── InvalidCursor
├── DatabaseUnavailable
│   └── Locked
└── BackupError
"""


class PersistenceError(Exception):
    """The base of every error that this room raises on purpose."""


class TaskNotFound(PersistenceError):
    """The owner has no such task. Whether somebody else has one is never looked at."""


class TaskChanged(PersistenceError):
    """The task is there, but not in a version that the change was meant for. Nothing was changed."""


class KeyReused(PersistenceError):
    """The idempotency key was used for another task. Nothing was made."""


class KeyInUse(PersistenceError):
    """Another request with the idempotency key is still under way. Nothing was made for this one."""


class InvalidCursor(PersistenceError):
    """The cursor was not made by this service for the given sort order."""


class DatabaseUnavailable(PersistenceError):
    """The database cannot answer now. Nothing is known to have been written, and it is worth trying again."""


class Locked(DatabaseUnavailable):
    """Somebody else is at work on the same thing, for longer than the statement was ready to wait."""


class BackupError(PersistenceError):
    """A backup could not be made or restored, and nothing has changed. The message is for the operator."""
