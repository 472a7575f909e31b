"""A Space in a frame of huggingface.co, in a real browser: there and nowhere else.

Chromium finds all sites at this machine, where haproxy is the proxy of the Space, and shows the parents.
"""

import datetime as dt
from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from server.contract.document import load_document
from tests.pages.browser import complaints, find, until
from tests.pages.conftest import running_chromium
from tests.support.servers.haproxy import DEFAULTS, haproxy
from tests.support.service import Service, free_port, running_service

SPACE = "ada-tasks.hf.space"
OTHER = "tasks.example.com"
TITLE = load_document()["info"]["title"]
PROXY = (
    DEFAULTS
    + """
frontend sites
    bind 127.0.0.1:{port} ssl crt {directory}/site.pem
    http-request set-header X-Forwarded-Proto https
    use_backend space if {{ hdr(host) -i {space} }}
    use_backend other if {{ hdr(host) -i {other} }}
    default_backend parent
backend space
    server space {space_address}
backend other
    server other {other_address}
backend parent
    http-request return status 200 content-type text/html file {directory}/space.html if {{ path /space }}
    http-request return status 200 content-type text/html file {directory}/docs.html if {{ path /docs }}
    http-request return status 200 content-type text/html file {directory}/other.html if {{ path /other }}
    http-request return status 404
"""
)


def certificate() -> bytes:
    """A key and a certificate that nobody trusts; Chromium is told to take it."""
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SPACE)])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + signed.public_bytes(Encoding.PEM)


@pytest.fixture(scope="module")
def sites(service: Service, database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of all the sites: a Space, a service that is none, and every other host with frames of these."""
    directory = tmp_path_factory.mktemp("sites")
    (directory / "site.pem").write_bytes(certificate())
    frames = {"space": f"https://{SPACE}/", "docs": f"https://{SPACE}/docs", "other": f"https://{OTHER}/"}
    for name, address in frames.items():
        (directory / f"{name}.html").write_text(
            f'<!doctype html><title>A parent</title><link rel="icon" href="data:,"><iframe src="{address}"></iframe>'
        )
    port = free_port()
    settings = {"SPACE_HOST": SPACE, "ENVIRONMENT": "production", "DATABASE_URL": database_url}
    with running_service(tmp_path_factory.mktemp("space"), ready=True, output=None, **settings) as space:
        addresses = {
            "space_address": space.url.removeprefix("http://"),
            "other_address": service.url.removeprefix("http://"),
        }
        configuration = PROXY.format(port=port, directory=directory, space=SPACE, other=OTHER, **addresses)
        with haproxy(directory, port, configuration):
            yield port


@pytest.fixture(scope="module")
def browser(sites: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A browser that finds every host at this machine, and takes its certificate."""
    flags = (f"--host-resolver-rules=MAP * 127.0.0.1:{sites}", "--ignore-certificate-errors")
    with running_chromium(tmp_path_factory.mktemp("profile"), *flags) as running:
        yield running


def open_frame(browser: Chrome, parent: str) -> None:
    """Open a page with a frame, and go into the frame."""
    complaints(browser)
    browser.get(parent)
    browser.switch_to.frame(browser.find_element(By.TAG_NAME, "iframe"))


def test_hugging_face_shows_the_space_in_its_frame(browser: Chrome) -> None:
    open_frame(browser, "https://huggingface.co/space")
    assert find(browser, "h1").text == TITLE
    assert browser.execute_script("return location.href") == f"https://{SPACE}/"
    assert complaints(browser) == []


def test_the_reference_works_in_the_frame(browser: Chrome) -> None:
    """Swagger UI, with its scripts and styles, and the document that it fetches."""
    open_frame(browser, "https://huggingface.co/docs")
    find(browser, ".opblock")
    assert complaints(browser) == []


@pytest.mark.parametrize(
    "parent",
    [
        "https://example.com/space",
        "https://huggingface.co.example.com/space",
        "https://huggingface.co/other",
        "https://ada-tasks.hf.space.example.com/other",
    ],
    ids=["another site", "a similar name", "another deployment", "both"],
)
def test_no_other_frame_shows_a_page(parent: str, browser: Chrome) -> None:
    """Neither other sites a Space, nor Hugging Face a service that is no Space."""
    open_frame(browser, parent)
    until(browser, lambda _: browser.execute_script("return location.href").startswith("chrome-error:"))
    assert TITLE not in find(browser, "body").text
    until(browser, lambda _: any("frame-ancestors" in reason for reason in complaints(browser)))
