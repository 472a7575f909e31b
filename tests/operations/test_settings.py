"""Settings: values that stop the start, and the messages about them."""

import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from server.settings import Settings, load_settings
from tests.operations.command import RunCommand, serve
from tests.support.service import running_service

GUESSABLE = (
    "better-auth-secret-12345678901234567890",
    "changeme-changeme-changeme-changeme!",
    "Change_this_to_something_long_and_random",
    "secret-secret-secret-secret-secret-1",
    "supersecretsupersecretsupersecret123",
    "your-secret-key-of-at-least-32-characters",
    "x" * 40,
    "0123456789abcdef" * 2,
    "12341234123412341234123412341234567",
)


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        pytest.param(
            {"BETTER_AUTH_SECRET": "short"},
            "BETTER_AUTH_SECRET: must be at least 32 bytes long (try: openssl rand -base64 32)",
            id="short secret",
        ),
        pytest.param(
            {"ENVIRONMENT": "production", "BETTER_AUTH_SECRET": None},
            "in production, set BETTER_AUTH_SECRET (at least 32 bytes), BETTER_AUTH_URL or JWKS_URL",
            id="production without a secret",
        ),
        *(
            pytest.param(
                {"ENVIRONMENT": "production", "BETTER_AUTH_SECRET": secret},
                "BETTER_AUTH_SECRET: in production, must be neither an example nor a pattern "
                "(try: openssl rand -base64 32)",
                id=f"the secret {secret[:20]}",
            )
            for secret in GUESSABLE
        ),
        *(
            pytest.param(
                {"ENVIRONMENT": "production", "CORS_ORIGINS": origins},
                "CORS_ORIGINS: in production, must name the origins instead of `*`",
                id=f"{origins} in production",
            )
            for origins in ("*", "https://app.example.com,*")
        ),
        pytest.param(
            {"ENVIRONMENT": "production", "LOG_LEVEL": "DEBUG"},
            "LOG_LEVEL: in production, must not be `debug`, which may log personal data",
            id="debug in production",
        ),
        pytest.param(
            {"ENVIRONMENT": "prod"},
            "ENVIRONMENT: Input should be 'development', 'staging' or 'production'",
            id="environment",
        ),
        pytest.param({"PORT": "65536"}, "PORT: Input should be less than or equal to 65535", id="port too high"),
        pytest.param(
            {"PORT": "http"},
            "PORT: Input should be a valid integer, unable to parse string as an integer",
            id="port that is no number",
        ),
        *(
            pytest.param(
                {"CORS_ORIGINS": f"http://localhost,{origin}"},
                f"CORS_ORIGINS: {origin!r} is not an origin such as http://localhost:3000",
                id=f"origin {origin}",
            )
            for origin in ("localhost:3000", "http://localhost/app", "ftp://localhost", "null", "http://")
        ),
        *(
            pytest.param(
                {name: address},
                # An alias is reported by the name of the setting.
                f"{name.replace('NEON_DB', 'DATABASE')}: must start with postgresql:// or postgres://",
                id=f"{name} {address[:8]}",
            )
            for name in ("DATABASE_URL", "NEON_DB_URL", "MIGRATIONS_DATABASE_URL")
            for address in ("mysql://root:its-password@host/tasks", "its-password")
        ),
        pytest.param(
            {"BETTER_AUTH_URL": "todo.example"},
            "BETTER_AUTH_URL: must be an origin such as https://app.example.com, without a path",
            id="front end",
        ),
        pytest.param({"JWKS_URL": "todo.example"}, "JWKS_URL: must start with http:// or https://", id="key set"),
        pytest.param({"ROOT_PATH": "prefix"}, "ROOT_PATH: must start with /", id="prefix"),
        pytest.param(
            {"LOG_LEVEL": "loud"}, "LOG_LEVEL: Input should be 'debug', 'info', 'warning' or 'error'", id="log level"
        ),
        pytest.param({"WORKERS": "0"}, "WORKERS: Input should be greater than or equal to 1", id="workers"),
        pytest.param(
            {"MAX_BODY_BYTES": "1"}, "MAX_BODY_BYTES: Input should be greater than or equal to 1024", id="body limit"
        ),
        pytest.param(
            {"OPENAPI_OVERLAYS": "missing.yaml"},
            "the overlay missing.yaml cannot be read: [Errno 2] No such file or directory: 'missing.yaml'",
            id="overlay",
        ),
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_sentence(
    environment: dict[str, str | None], sentence: str, tasks_api: RunCommand
) -> None:
    result = tasks_api("serve", **environment)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"Error: {sentence}\n"
    assert "its-password" not in result.stderr


def test_all_wrong_settings_are_reported_at_once(tasks_api: RunCommand) -> None:
    result = tasks_api("serve", PORT="no", ROOT_PATH="no", BETTER_AUTH_SECRET="no")  # noqa: S106
    assert [line.removeprefix("Error: ").partition(":")[0] for line in result.stderr.splitlines()] == [
        "BETTER_AUTH_SECRET",
        "PORT",
        "ROOT_PATH",
    ]


def test_everything_that_production_refuses_is_told_at_once(tasks_api: RunCommand) -> None:
    result = tasks_api(
        "serve", ENVIRONMENT="production", BETTER_AUTH_SECRET=GUESSABLE[0], CORS_ORIGINS="*", LOG_LEVEL="debug"
    )
    assert [line.removeprefix("Error: ").partition(":")[0] for line in result.stderr.splitlines()] == [
        "BETTER_AUTH_SECRET",
        "CORS_ORIGINS",
        "LOG_LEVEL",
    ]


@pytest.mark.parametrize("secret", GUESSABLE)
def test_development_takes_a_secret_that_is_an_example(secret: str) -> None:
    assert Settings(_env_file=None, better_auth_secret=SecretStr(secret)).secret() == secret


def test_the_process_ends_with_one_sentence_and_no_stack(tmp_path: Path) -> None:
    ended = serve(tmp_path, BETTER_AUTH_SECRET="a-secret-that-is-too-short")  # noqa: S106
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "Error: BETTER_AUTH_SECRET: must be at least 32 bytes long (try: openssl rand -base64 32)\n"


def test_the_process_ends_where_its_data_cannot_be_kept(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    ended = serve(tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stderr.startswith("Error: DATA_DIR: data")


def test_a_secret_that_is_a_key_of_another_kind_stops_the_start(tasks_api: RunCommand) -> None:
    result = tasks_api("serve", BETTER_AUTH_SECRET=json.dumps({"kty": "oct", "k": "a" * 43, "alg": "HS256"}))
    assert (result.exit_code, result.stderr) == (
        2,
        "Error: BETTER_AUTH_SECRET: the secret is an asymmetric key or a JWK\n",
    )


def test_the_address_of_the_database_has_two_names_and_two_forms(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEON_DB_URL", "postgres://host/neon")
    address = load_settings().database_url
    assert address is not None
    assert address.get_secret_value() == "postgres://host/neon"
    assert "neon" not in repr(load_settings())
    monkeypatch.setenv("DATABASE_URL", "postgresql://host/first")
    address = load_settings().database_url
    assert address is not None
    assert address.get_secret_value() == "postgresql://host/first"


def test_a_database_with_the_short_scheme_is_found(database_url: str, tmp_path: Path) -> None:
    address = database_url.replace("postgresql://", "postgres://", 1)
    assert address.startswith("postgres://")
    with running_service(tmp_path, DATABASE_URL=address) as running:
        assert running.as_user("short-scheme").get("/api/tasks").json() == []


def test_origins_are_compared_as_browsers_write_them() -> None:
    settings = Settings.model_validate(
        {"cors_origins": "HTTPS://App.Example.com:443/, http://localhost:80, http://a:81"}
    )
    assert settings.cors_origins == ("https://app.example.com", "http://localhost", "http://a:81")
