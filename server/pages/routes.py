"""The pages by path: overview, guide, document, Swagger UI, problem types and metrics."""

import asyncio
import mimetypes
from collections.abc import Callable, Mapping
from functools import partial
from importlib.resources import files
from string import Template
from typing import Any, Final

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from server.contract.document import to_yaml
from server.formats.markdown import render
from server.middleware.access_log import access_log
from server.pages.problem_types import problem_types
from server.pages.static import StaticPage
from server.problems import PAGE

_ASSETS: Final = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")
_ICON: Final = "favicon-32x32.png"
_DEMO_TOKEN: Final = "docs/demo-token"  # noqa: S105  a path, relative to /docs
_NOT_KEPT: Final = {"cache-control": "no-store"}

MakeToken = Callable[[], tuple[str, str]]
"""Makes the id of a user and a token of that user, which may take a while."""


def pages(
    document: Mapping[str, Any], *, metrics: CollectorRegistry | None, demo_token: MakeToken | None
) -> dict[str, ASGIApp]:
    """Return the pages by path.

    `metrics` is the registry to show, or None for that of all worker processes. `demo_token` makes the token that
    /docs offers; None for none.
    """
    title, version = document["info"]["title"], document["info"]["version"]
    attribute = f'data-demo-token="{_DEMO_TOKEN}"' if demo_token else ""
    found: dict[str, ASGIApp] = {
        "/": _html("index.html", title=title, version=version),
        "/docs": _html("docs.html", title=title, attribute=attribute),
        "/docs/start.js": StaticPage(_template("docs.js").encode(), "text/javascript"),
        "/docs/page.css": StaticPage(_template("docs.css").encode(), "text/css"),
        "/pages.css": StaticPage(_template("pages.css").encode(), "text/css"),
        **{f"/docs/{name}": _asset(name) for name in _ASSETS},
        # Browsers look here where no page names an icon, such as beside a JSON document.
        "/favicon.ico": _asset(_ICON),
        "/guide": _html("guide.html", title=title, content=_guide()),
        "/openapi.json": StaticPage(orjson.dumps(document), "application/json"),
        "/openapi.yaml": StaticPage(to_yaml(document), "application/yaml"),
        PAGE: _html("problems.html", title=title, content=problem_types()),
        "/metrics": partial(_metrics, metrics),
    }
    if demo_token is not None:
        found[f"/{_DEMO_TOKEN}"] = partial(_demo_token, demo_token)
    return found


def _html(name: str, **values: str) -> StaticPage:
    return StaticPage(Template(_template(name)).substitute(values).encode(), "text/html")


def _template(name: str) -> str:
    return files("server.pages").joinpath("templates", name).read_text(encoding="utf-8")


def _asset(name: str) -> StaticPage:
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return StaticPage(files("server.pages").joinpath("swagger_ui", name).read_bytes(), media_type)


def _guide() -> str:
    return render(files("openapi").joinpath("guide.md").read_text(encoding="utf-8"))


async def _demo_token(make: MakeToken, scope: Scope, receive: Receive, send: Send) -> None:
    user_id, token = await asyncio.to_thread(make)
    await JSONResponse({"user_id": user_id, "token": token}, headers=_NOT_KEPT)(scope, receive, send)


async def _metrics(registry: CollectorRegistry | None, scope: Scope, receive: Receive, send: Send) -> None:
    access_log.write()
    if registry is None:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    headers = {**_NOT_KEPT, "content-type": CONTENT_TYPE_LATEST}
    await Response(generate_latest(registry), headers=headers)(scope, receive, send)
