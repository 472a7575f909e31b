"""`tasks-api token`, and the token that `tasks-api serve` prints in development."""

import asyncio

import click

from persistence.users import Owner
from server.auth.configuration import token_verifier
from server.auth.development_tokens import accepted_token
from server.auth.errors import InvalidToken
from server.commands.errors import OperatorError, explained
from server.contract.document import load_document
from server.contract.fields import field_limits
from server.settings import Settings, load_settings

_YEAR_SECONDS = 366 * 24 * 3600
_DOT_SEGMENT = "clients and proxies remove the segment {!r} from a path (RFC 3986, section 5.2.4)"
_REASONS_AGAINST_A_PATH = {
    ".": _DOT_SEGMENT.format("."),
    "..": _DOT_SEGMENT.format(".."),
    "tasks": "/api/tasks is the list of tasks, not the profile of the user 'tasks'",
}
"""The user ids for which `/api/{user_id}` is not an address that every client can use."""


@click.command()
@click.argument("user")
@click.option("--email", help="The e-mail address of the user.")
@click.option("--name", help="The name of the user.")
@click.option(
    "--expires",
    type=click.IntRange(min=1, max=_YEAR_SECONDS),
    default=3600,
    show_default=True,
    help="For how many seconds it is valid; JWT_MAX_AGE at most, where that is set.",
)
def token(user: str, email: str | None, name: str | None, expires: int) -> None:
    """Print a token for USER, in development only.

    A note on standard error says which addresses USER has if the id cannot stand in a path.
    """
    with explained():
        settings = load_settings()
        if settings.is_production:
            raise OperatorError("tokens are made in development only; in production your identity provider issues them")
        try:
            click.echo(made_token(settings, Owner(user, email, name), expires=expires))
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="USER") from None
        if reason := _REASONS_AGAINST_A_PATH.get(user):
            prefix = settings.root_path
            click.echo(f"Use {prefix}/api/me and {prefix}/api/tasks for this user: {reason}.", err=True)


def made_token(settings: Settings, user: Owner, *, expires: int = 3600) -> str:
    """A token that the service with these settings accepts.

    Raises `OperatorError` and `SettingsError` where there is none, `ValueError` for the user.
    """
    verifier = token_verifier(settings)
    limits = field_limits(load_document(settings.openapi_overlays))
    try:
        # Nothing is to be closed: no key of a key set verifies it.
        return asyncio.run(accepted_token(settings, verifier, limits, user, expires=expires))
    except InvalidToken as error:
        raise OperatorError(f"the service would refuse the token: {error}") from None
