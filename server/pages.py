"""The pages outside the contract: overview, guide, document, Swagger UI, problem types and metrics."""

import html
import mimetypes
import re
from collections.abc import Mapping
from functools import partial
from importlib.resources import files
from string import Template
from typing import Any

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from server.contract.document import to_yaml
from server.formats.markdown import render
from server.middleware.access_log import access_log
from server.problems import KINDS, PAGE

_HEADERS = {"cache-control": "no-cache"}
_ASSETS = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")


def pages(document: Mapping[str, Any], *, metrics: CollectorRegistry | None) -> dict[str, ASGIApp]:
    """Return the pages by path. `metrics` is the registry to show, or None for that of all worker processes."""
    info = document["info"]
    return {
        "/": _static(_render("index.html", title=info["title"], version=info["version"]), "text/html"),
        "/docs": _static(_render("docs.html", title=info["title"]), "text/html"),
        "/docs/start.js": _static(files("server").joinpath("templates/docs.js").read_bytes(), "text/javascript"),
        **{f"/docs/{name}": _asset(name) for name in _ASSETS},
        "/guide": _static(_render("guide.html", title=info["title"], content=_guide()), "text/html"),
        "/openapi.json": _static(orjson.dumps(document), "application/json"),
        "/openapi.yaml": _static(to_yaml(document), "application/yaml"),
        PAGE: _static(_render("problems.html", rows=_problem_rows()), "text/html"),
        "/metrics": partial(_metrics, metrics),
    }


def _static(content: bytes, media_type: str, **headers: str) -> ASGIApp:
    return Response(content, media_type=media_type, headers=_HEADERS | headers)


def _asset(name: str) -> ASGIApp:
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    content = files("swagger_ui").joinpath("static", name).read_bytes()
    return _static(content, media_type, **{"cache-control": "public, max-age=86400"})


def _render(name: str, **values: str) -> bytes:
    template = Template(files("server").joinpath("templates", name).read_text())
    return template.substitute(values).encode()


def _guide() -> str:
    return render(files("openapi").joinpath("guide.md").read_text(encoding="utf-8"))


def _problem_rows() -> str:
    return "\n".join(
        f'<tr id="{kind.code}"><td><code>{kind.code}</code></td><td>{kind.status}</td>'
        f"<td>{html.escape(kind.title)}</td><td>{_marked_up(kind.detail)}</td></tr>"
        for kind in KINDS
    )


def _marked_up(text: str) -> str:
    return re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(text))


async def _metrics(registry: CollectorRegistry | None, scope: Scope, receive: Receive, send: Send) -> None:
    access_log.write()
    if registry is None:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    headers = {"cache-control": "no-store", "content-type": CONTENT_TYPE_LATEST}
    await Response(generate_latest(registry), headers=headers)(scope, receive, send)
