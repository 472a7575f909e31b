"""`tasks-api contract`."""

import click
import orjson

from server.commands.errors import explained
from server.contract.document import load_document, to_yaml
from server.settings import load_settings


@click.group()
def contract() -> None:
    """The OpenAPI document."""


@contract.command("print")
@click.option("--json", "as_json", is_flag=True, help="As JSON instead of YAML.")
def print_contract(*, as_json: bool) -> None:
    """Print the document as it is served, adapted by OPENAPI_OVERLAYS and ROOT_PATH."""
    with explained():
        settings = load_settings()
        document = load_document(settings.openapi_overlays, root_path=settings.root_path, host=settings.space_host)
    if as_json:
        click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
    else:
        click.echo(to_yaml(document), nl=False)
