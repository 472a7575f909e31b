"""The contract fuzzed in-process: every operation, every phase, every check, a bounded number of examples."""

import itertools
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.engine import Status, events, from_schema
from schemathesis.python import asgi
from starlette.types import ASGIApp

import tests.contract.fuzz_hooks  # noqa: F401  registers the hooks
from server.app import create_app
from server.contract.document import load_document, operations
from server.settings import Settings
from tests.contract.fuzz import configuration, write_peers
from tests.support.service import ROOT, SECRET

EXAMPLES = 40
EXAMPLES_OF_A_SAMPLE = 8
CHECKS = {
    "allow_header_conformance",
    "content_type_conformance",
    "described_status",
    "ensure_resource_availability",
    "ignored_auth",
    "missing_required_header",
    "negative_data_rejection",
    "not_a_server_error",
    "object_level_authorization",
    "positive_data_acceptance",
    "response_headers_conformance",
    "response_schema_conformance",
    "status_code_conformance",
    "unsupported_method",
    "use_after_free",
}


@pytest.fixture(scope="module")
def app(database_url: str) -> Iterator[ASGIApp]:
    """The service without a socket. Schemathesis starts it, and it is ended here."""
    yield create_app(
        Settings.model_validate(
            {
                "database_url": database_url,
                "better_auth_secret": SECRET,
                "log_level": "warning",
                "rate_limit": "off",
            }
        )
    )
    asgi.shutdown_lifespans()


def test_the_configuration_for_users_leaves_out_two_phases() -> None:
    """The sections about operations in docs/contract-testing.md select these, and are known to Schemathesis."""
    config = SchemathesisConfig.from_dict(tomllib.loads(configuration()))
    schema = schemathesis.openapi.from_dict(load_document(), config=config)
    left_out: dict[str, set[str]] = {"examples": set(), "coverage": set(), "fuzzing": set(), "stateful": set()}
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        for phase, names in left_out.items():
            if not getattr(schema.config.phases_for(operation=operation), phase).enabled:
                names.add(operation.definition.raw["operationId"])
    assert left_out == {
        "examples": {"importMyTasks", "importTasks"},
        "coverage": set(),
        "fuzzing": set(),
        "stateful": {"clearMyTasks", "clearTasks", "deleteMe", "deleteUser", "restoreMyTask", "restoreTask"},
    }


@pytest.mark.exhaustive(1)
@pytest.mark.parametrize("seed", [20261121])
@pytest.mark.slow
def test_every_response_to_the_fuzzer_is_described(
    app: ASGIApp, seed: int, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """Every operation, every phase, every check."""
    settings = tomllib.loads((ROOT / "schemathesis.toml").read_text())
    settings["seed"] = seed
    is_sample = pytestconfig.getoption("--sample") is not None
    settings["generation"]["max-examples"] = EXAMPLES_OF_A_SAMPLE if is_sample else EXAMPLES
    settings["auth"]["wfc"]["path"] = str(write_peers(tmp_path))
    config = SchemathesisConfig.from_dict(settings)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=config)

    failures: list[str] = []
    tested: set[str] = set()
    made: set[str] = set()
    phases: set[str] = set()
    for event in from_schema(schema).execute():
        match event:
            case events.ScenarioFinished():
                phases.add(event.phase.value)
                tested.add(event.label or "")
                for check in itertools.chain.from_iterable(event.recorder.checks.values()):
                    made.add(check.name)
                    if check.status is Status.FAILURE:
                        failures.append(f"{check.name}: {check.failure_info}")
            case events.NonFatalError() | events.FatalError():
                pytest.fail(str(event.value if isinstance(event, events.NonFatalError) else event.exception))

    assert failures == []
    assert {f"{method.upper()} {path}" for path, method, _ in operations(load_document())} <= tested
    assert made == CHECKS
    assert phases == {"examples", "coverage", "fuzzing", "stateful"}
