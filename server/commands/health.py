"""`tasks-api health`: what a container's health check runs. It imports little, since it runs every few seconds."""

import http.client

import click

_SECONDS = 5.0


@click.command()
@click.option("--live", is_flag=True, help="Ask whether the process responds, not whether it can serve requests.")
@click.option("--host", envvar="HOST", default="127.0.0.1", show_default=True, show_envvar=True)
@click.option("--port", envvar="PORT", type=click.IntRange(1, 65535), default=8000, show_default=True, show_envvar=True)
def health(host: str, port: int, *, live: bool) -> None:
    """Ask the service on this machine for its health; the exit status is 0 or 1.

    Without --live it asks /health/ready, whose response names what is out of order.
    """
    path = "/health" if live else "/health/ready"
    # A service that listens on all interfaces listens on loopback too.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # nosec B104  # noqa: S104  it compares
    connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
    try:
        connection.request("GET", path, headers={"Accept": "*/*"})
        response = connection.getresponse()
        body = response.read(4096).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise click.ClickException(f"no response from {host}, port {port}: {error}") from None
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise click.ClickException(f"{path}: {response.status} {body}")
    click.echo(body)
