"""Overlays that change the document for a test."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from starlette.types import ASGIApp

from server.app import create_app
from server.settings import Settings
from tests.support.service import SECRET

# Where the document and the code do not fit together


def overlay(path: Path, *actions: Mapping[str, Any]) -> str:
    """Write an overlay with these actions to the path."""
    header = {"overlay": "1.0.0", "info": {"title": "Of a test", "version": "1.0.0"}}
    path.write_text(yaml.safe_dump({**header, "actions": [dict(action) for action in actions]}))
    return str(path)


def app_with(tmp_path: Path, *actions: Mapping[str, Any], **settings: Any) -> ASGIApp:
    path = overlay(tmp_path / "overlay.yaml", *actions)
    return create_app(Settings(better_auth_secret=SECRET, openapi_overlays=(path,), log_level="error", **settings))


def update(target: str, change: Mapping[str, Any]) -> dict[str, Any]:
    return {"target": target, "update": dict(change)}
