"""Secrets in production: published examples are refused, random ones are accepted."""

import base64
import secrets
import string
import uuid
from collections.abc import Callable

import pytest
from pydantic import SecretStr
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from server.auth.secret_strength import MIN_STRENGTH_BITS, strength_bits
from server.settings import Settings, SettingsError, load_settings

_SENTENCE = "BETTER_AUTH_SECRET: in production, must be neither an example nor a pattern (try: openssl rand -base64 32)"

# From the documentation of many programs, and of the kinds that are found there.
_NAMED = (
    "12345678901234567890123456789012",
    "pleaseChangeThisSecretForANewOne",
    "!ChangeThisMercureHubJWTSecretKey!",
    "{{ .Values.tasks.betterAuthSecret }}",
)
_PUBLISHED = (
    *_NAMED,
    "super-secret-jwt-token-with-at-least-32-characters-long",
    "your-super-secret-jwt-token-with-at-least-32-characters-long",
    "a-string-secret-at-least-256-bits-long",
    "your-256-bit-secret-your-256-bit-secret",
    "better-auth-secret-12345678901234567890",
    "django-insecure-please-change-me-before-use",
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
    "404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970",
    "================BezKoder=Spring=Boot=========",
    "ThisIsMySuperSecretKeyForJwtTokenGeneration",
    "thisisasecretkeyanddontshareitwithanyone!!",
    "YourSuperSecretKeyThatIsAtLeast32CharactersLong",
    "mySecretKeyForAdminDashboardAuthenticationToken123456789",
    "SomeVeryLongSecretKeyForSigningJwtTokens",
    "supersecretkeythatshouldbechangedinproduction",
    "insecure-default-jwt-signing-key-for-dev-only",
    "YOUR_SECRET_KEY_HERE_MUST_BE_AT_LEAST_32_CHARACTERS",
    "test-jwt-secret-key-for-testing-must-be-at-least-32-bytes",
    "replace-with-at-least-32-random-characters",
    "generate-a-long-random-secret-with-openssl-rand-base64-32",
    "openssl rand -base64 32 openssl rand -base64 32",
    "fallback-secret-change-in-production-min-32-chars",
    "todo-app-shared-secret-hackathon-2025-phase-2",
    "ci-only-not-a-real-secret-0123456789abcdef",
    "una-clave-secreta-aleatoria-de-al-menos-32-caracteres",
)
_PATTERNS = (
    "x" * 40,
    "0123456789abcdef" * 2,
    "12341234123412341234123412341234567",
    "deadbeefcafebabedeadbeefcafebabe0123",
    "qwertyuiopasdfghjklzxcvbnm123456",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
    "P@ssw0rdP@ssw0rdP@ssw0rdP@ssw0rd",
    "Th1s1sAV3ryL0ngS3cr3tK3yF0rJWT2024!",
    "loremipsumdolorsitametconsecteturadipiscing",
    "correct horse battery staple correct horse",
    "the quick brown fox jumps over the lazy dog",
    "${BETTER_AUTH_SECRET:-set it in the environment}",
    "<<from the vault: path/to/the/value/of/tasks>>",
    "<generate-32-char-random-string>",
)
_ENCODED = tuple(
    encode(_PUBLISHED[4].encode())
    for encode in (
        lambda text: base64.b64encode(text).decode(),
        lambda text: base64.urlsafe_b64encode(text).rstrip(b"=").decode(),
        bytes.hex,
    )
)


def _characters(alphabet: str) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(32))


_WORDS = [word for word in FREQUENCY_LISTS["english_wikipedia"] if len(word) > 3][:7776]
_RANDOM: dict[str, Callable[[], str]] = {
    "openssl rand -base64 32": lambda: base64.b64encode(secrets.token_bytes(32)).decode(),
    "openssl rand -hex 32": lambda: secrets.token_hex(32),
    "openssl rand -hex 16": lambda: secrets.token_hex(16),
    "token_urlsafe": lambda: secrets.token_urlsafe(32),
    "UUID": lambda: str(uuid.uuid4()),
    "two UUIDs": lambda: f"{uuid.uuid4()}{uuid.uuid4()}",
    "letters and digits": lambda: _characters(string.ascii_letters + string.digits),
    "printable characters": lambda: _characters(string.ascii_letters + string.digits + string.punctuation),
    "ten words": lambda: "-".join(secrets.choice(_WORDS) for _ in range(10)),
}


@pytest.mark.parametrize("secret", [*_PUBLISHED, *_PATTERNS, *_ENCODED], ids=lambda secret: secret[:40])
def test_production_refuses_what_was_published(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("BETTER_AUTH_SECRET", secret)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert str(refused.value) == _SENTENCE
    monkeypatch.setenv("ENVIRONMENT", "development")
    assert load_settings().secret() == secret


@pytest.mark.parametrize("make", _RANDOM.values(), ids=_RANDOM)
def test_production_accepts_what_is_random(make: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    for secret in [make() for _ in range(20)]:
        assert Settings(_env_file=None, better_auth_secret=SecretStr(secret)).secret() == secret


def test_words_of_examples_count_for_nothing() -> None:
    """A random part is judged without them, wherever they are and however they are written."""
    random = secrets.token_hex(32)
    assert strength_bits(f"my-super-secret-key-{random}") > MIN_STRENGTH_BITS
    assert strength_bits(f"{random[:8]}-this-is-MY_SUPER_S3CR3T_K3Y") < MIN_STRENGTH_BITS


def test_a_long_secret_is_judged_by_its_beginning() -> None:
    """The check takes bounded time; the text beyond the limit can only make the secret stronger."""
    assert strength_bits(secrets.token_hex(20_000)) > MIN_STRENGTH_BITS
    assert strength_bits("ab" * 20_000) < MIN_STRENGTH_BITS
