"""`tasks-api`, the command."""

from importlib import import_module
from typing import Final, NoReturn

import click

from server.process_environment import open_standard_streams

_COMMANDS: Final = {
    "backup": "database:make_backup",
    "check": "check:check",
    "contract": "contract:contract",
    "distribute": "database:distribute",
    "health": "health:health",
    "mcp": "mcp:mcp",
    "migrate": "database:migrate",
    "purge": "database:purge",
    "restore": "database:restore",
    "serve": "serve:serve",
    "token": "token:token",
}
"""The module below `server.commands` and the function of each command."""

_EXTRAS: Final = {"mcp": "mcp", "mcp_types": "mcp"}
"""The extra that brings a package."""


class _LazyGroup(click.Group):
    """A group that imports a command when it is called: the whole service takes over a second to import."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*_COMMANDS, *super().list_commands(ctx)])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, function = _COMMANDS[cmd_name].split(":")
        try:
            command = getattr(import_module(f"server.commands.{module}"), function)
        except ModuleNotFoundError as error:
            if error.name not in _EXTRAS:
                raise
            return _without_extra(cmd_name, _EXTRAS[error.name])
        return command if isinstance(command, click.Command) else None


def _without_extra(name: str, extra: str) -> click.Command:
    """Return a command that only says what it needs, since the help lists every command."""
    needs = f"it needs the extra {extra}: pip install '.[{extra}]' in the checkout"

    def refuse() -> NoReturn:
        raise click.ClickException(needs)

    settings = {"ignore_unknown_options": True, "allow_extra_args": True}
    return click.Command(name, context_settings=settings, callback=refuse, help=f"Not installed: {needs}")


@click.group(cls=_LazyGroup)
@click.version_option(package_name="tasks-api")
def main() -> None:
    """The Tasks API. Settings come from the environment; docs/settings.md lists them."""
    open_standard_streams()
