"""TLS to the database, as docs/deployment.md recommends it: PgBouncer is the server, and takes TLS only."""

import ctypes
import datetime as dt
import ipaddress
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import psycopg_binary
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from sqlalchemy import text

from persistence.errors import DatabaseUnavailable
from persistence.postgres.database import Database as Driver
from persistence.postgres.statement import compile_statement
from tests.support.servers.pgbouncer import pgbouncer
from tests.support.servers.postgres import Postgres
from tests.support.service import free_port, running_service
from tests.support.waiting import until

pytestmark = pytest.mark.slow

ONE: Final = compile_statement(text("SELECT 1"), "one")


class Authority:
    """A certificate authority, which issues certificates for 127.0.0.1."""

    def __init__(self, name: str) -> None:
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = generate_private_key(SECP256R1())
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        self._certificate = self._builder(self._name, self._key).add_extension(constraints, critical=True)

    def _builder(self, subject: x509.Name, key: EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
        )

    def root(self) -> bytes:
        """The certificate of the authority, as PEM."""
        return self._certificate.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def issue(self) -> tuple[bytes, bytes]:
        """A key and its certificate, as PEM."""
        key = generate_private_key(SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        builder = self._builder(x509.Name([]), key).add_extension(names, critical=True)
        certificate = builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), certificate


class Database(NamedTuple):
    """A database that takes TLS only, and the directory with `ca.pem` and `other.pem`."""

    url: str
    directory: Path


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    directory = tmp_path_factory.mktemp("tls")
    authority = Authority("The authority of the database")
    (directory / "ca.pem").write_bytes(authority.root())
    (directory / "other.pem").write_bytes(Authority("Another authority").root())
    key, certificate = authority.issue()
    postgres = Postgres(directory / "postgres", free_port())
    postgres.start()
    try:
        with pgbouncer(
            directory / "pgbouncer",
            postgres.url(),
            postgres.port,
            files={"server.key": key, "server.pem": certificate},
            client_tls_sslmode="require",
            client_tls_key_file="/proc/self/cwd/server.key",
            client_tls_cert_file="/proc/self/cwd/server.pem",
        ) as url:
            yield Database(url, directory)
    finally:
        postgres.stop()


CASES: Final = {
    "verified": ("sslmode=verify-full&sslrootcert={directory}/ca.pem", None),
    "preferred": ("sslmode=prefer", None),
    "encrypted": ("sslmode=require", None),
    "another authority": ("sslmode=verify-full&sslrootcert={directory}/other.pem", "certificate verify failed"),
    "another host": ("sslmode=verify-full&sslrootcert={directory}/ca.pem&host=localhost", "does not match host name"),
    "plain": ("sslmode=disable", "SSL required"),
}


async def connects(url: str) -> bool:
    """Return True if the service's driver reaches the database; its log has the reason otherwise."""
    driver = Driver(size=1, wait=1)
    await driver.open(url)
    try:
        await driver.fetch_one(ONE, {})
    except DatabaseUnavailable:
        return False
    finally:
        await driver.close()
    return True


@pytest.mark.parametrize(("options", "reason"), CASES.values(), ids=CASES)
async def test_the_driver_connects_as_sslmode_says(
    options: str, reason: str | None, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    # Other tests silence it, as the service does.
    caplog.set_level(logging.WARNING, logger="psycopg.pool")
    assert await connects(f"{database.url}?{options.format(directory=database.directory)}") is (reason is None)
    assert (reason or "") in caplog.text


@pytest.mark.parametrize("file", ["ca.pem", "other.pem"])
async def test_the_system_store_is_that_of_ssl_cert_file(
    file: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(database.directory / file))
    assert await connects(f"{database.url}?sslmode=verify-full&sslrootcert=system") is (file == "ca.pem")


def test_psycopg_looks_for_the_system_store_elsewhere() -> None:
    """Why docs/deployment.md does not recommend `sslrootcert=system` alone."""
    (library,) = (Path(psycopg_binary.__file__).parent.parent / "psycopg_binary.libs").glob("libcrypto-*")
    openssl = ctypes.CDLL(str(library))
    openssl.X509_get_default_cert_file.restype = ctypes.c_char_p
    assert openssl.X509_get_default_cert_file() == b"/usr/lib/psycopg-openssl/cert.pem"


@pytest.mark.parametrize("case", ["verified", "another authority"])
def test_a_service_is_ready_if_the_certificate_is_right(case: str, database: Database, tmp_path: Path) -> None:
    options, reason = CASES[case]
    url = f"{database.url}?{options.format(directory=database.directory)}"
    settings = {"DATABASE_URL": url, "DATABASE_WAIT_SECONDS": "0.5"}
    with running_service(tmp_path, ready=False, output=None, **settings) as service:
        client = service.client()
        if reason is None:
            until(lambda: client.get("/health/ready").status_code == 200)
        else:
            assert client.get("/health/ready").status_code == 503
            until(lambda: reason in service.read_log())
