"""What the alert rules and the dashboard of deploy/observability name."""

import json
import re
from typing import Any

import yaml

from tests.support.service import ROOT

FOLDER = ROOT / "deploy" / "observability"
RULES = [rule for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "grafana/dashboards/tasks-api.json").read_text())

# Of Prometheus' own query language.
_WORDS = {"and", "or", "unless", "on", "ignoring", "group_left", "group_right", "bool", "offset", "by", "without"}


def expressions() -> dict[str, str]:
    """The queries by the alert or the panel."""
    panels = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
    asked = {f"{panel['title']} {target['refId']}": target["expr"] for panel in panels for target in panel["targets"]}
    variables = {
        item["name"]: re.sub(r"label_values\((.*), \w+\)", r"\1", item["definition"])
        for item in DASHBOARD["templating"]["list"]
    }
    return {**{rule["alert"]: rule["expr"] for rule in RULES}, **asked, **variables}


def concrete(expression: str) -> str:
    """The query as Grafana sends it."""
    return re.sub(r"\$(instance|operation)\b", ".*", expression.replace("$__rate_interval", "1m"))


def metrics_of(expression: str) -> set[str]:
    """The names of the metrics of a query: what is neither a function, a word, a label nor in quotes."""
    text = re.sub(r'"[^"]*"', "", expression)
    text = re.sub(r"\{[^}]*\}|\[[^]]*\]", "", text)
    text = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", "", text)
    names = re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?!\w|\s*\()", text)
    return {name for name in names if name not in _WORDS}
