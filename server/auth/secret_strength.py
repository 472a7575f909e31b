"""The strength of a shared secret against an attacker who knows documentation, templates and tutorials.

The estimate is that of zxcvbn, the password strength estimator (USENIX Security 2016): it finds words, keyboard runs,
sequences, dates and repetitions. No list of published secrets can be complete; a secret that looks random and was
published passes unless it is one of the few that are listed here.
"""

import binascii
import functools
import math
import re
from base64 import b64decode
from typing import Final

MIN_STRENGTH_BITS: Final = 64
"""The least number of guesses, as a power of two. zxcvbn takes 10 guesses for a character that is part of no pattern.
So 32 random hexadecimal digits have about 100 bits, what `openssl rand -base64 32` prints about 140, and eight random
words about 95. Examples that consist of words have 60 at most."""

# The time that zxcvbn takes grows faster than the length.
_LONGEST: Final = 100
_LONGEST_WITH_WORDS: Final = 1000

# What published examples consist of, in English, in other languages, and in sentences that everybody knows. A word of
# two letters is in most random texts, so none is here.
_TELLING_WORDS: Final = """
    access admin aes algorithm among and any anyone api app application auth authentication authorization aws
    backend base64 been before better bit bits build but byte bytes can case change changed changeit changeme
    changethis char character characters chars clear client code company config cookie custom days default demo
    deploy dev develop development docker documentation does dont dummy each easy encrypt encrypted encryption
    enough env environment ever example examples fake fallback for from frontend generate generated generation good
    guess hard has have here hidden hmac hs256 hs384 hs512 https insecure instead issuer its json just jwk jws jwt
    key keys least length local localhost long longer make master max min minimum more must mysql need never new
    next nextauth not nothing one only openssl our override pass passphrase passwd password phase phrase placeholder
    please postgres private prod product production project public put rand random real refresh replace replaced
    replacethis reset safe sample secret secrets secure security server service session set sha256 sha512 share
    shared should sign signature signed signing site size some something staging string strong super supersecret
    sure task tasks temp template temporary test testing tests than that the then this todo token tokens top
    tutorial unsafe until use used user using value values very was web website will with word write you your
    yourself

    aleatoria aleatorio amet anahtar battery brown caracteres chave clave consectetur contrasena contraseña correct
    deadbeef dolor fox geheim geheime geheimnis gizli horse ipsum jumps kunci lazy lorem menos motdepasse over
    passwort privada quick rahasia schluessel schlüssel secreta secreto secrète segredo senha sit staple
""".split()  # noqa: SIM905  a list of two hundred literals is no easier to read
_SUBSTITUTES: Final = {"a": "a4@", "e": "e3", "i": "i1!", "l": "l1", "o": "o0", "s": "s5$", "t": "t7"}

# What a template engine, a shell or a reader was to replace.
_PLACEHOLDER: Final = re.compile(r"<<.*>>|\{\{.*\}\}|\$\{.*\}|<[\w\s.,+-]+>", re.DOTALL)

# Published secrets that look random: FastAPI's tutorial, jwt.io and PyJWT's documentation, RFC 7515 (A.1), and
# tutorials of Spring Boot and ASP.NET Core.
_PUBLISHED: Final = frozenset(
    {
        "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
        "404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970",
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
        "GQDstcKsx0NHjPOuXOYg5MbeJ1XT0uFiwDVvVBrk",
        "db3OIsj+BXE9NZDy0t8W3TcNekrF+2d/1sFnWG4HnV8TZY30iTOdtVWJG8abWvB1GlOgJuQZdcF2Luqm/hccMw==",
    }
)


def _word_pattern(word: str) -> str:
    """The word, also with digits for letters; then with a letter that hexadecimal digits do not have ("k3y")."""
    substituted = "".join(f"[{re.escape(_SUBSTITUTES.get(letter, letter))}]" for letter in word)
    return f"{word}|(?=.{{0,{len(word) - 1}}}[g-z]){substituted}"


@functools.cache
def _telling() -> re.Pattern[str]:
    """The words. Takes 60 ms to compile, which only production needs."""
    words = sorted(_TELLING_WORDS, key=len, reverse=True)
    return re.compile("|".join(map(_word_pattern, words)), re.IGNORECASE)


_SEPARATORS: Final = re.compile(r"[\s_.=-]+")


def strength_bits(secret: str) -> float:
    """The estimated number of guesses, as a power of two; of the text that the secret encodes, if that has less."""
    if secret in _PUBLISHED or _PLACEHOLDER.fullmatch(secret.strip()):
        return 0.0
    return min(map(_estimate, (secret, *_decoded(secret))))


def _estimate(text: str) -> float:
    # Takes 40 ms to import, which only production needs.
    from zxcvbn import zxcvbn  # noqa: PLC0415

    rest = _SEPARATORS.sub("", _telling().sub(" ", text[:_LONGEST_WITH_WORDS]))[:_LONGEST]
    return math.log2(zxcvbn(rest, max_length=_LONGEST)["guesses"]) if rest else 0.0


def _decoded(secret: str) -> list[str]:
    """The printable text of which the secret is the base64 or hexadecimal encoding. Random bytes are not printable."""
    texts = []
    for decode in (bytes.fromhex, _from_base64):
        try:
            text = decode(secret).decode("ascii")
        except (ValueError, binascii.Error):
            continue
        if text.isprintable():
            texts.append(text)
    return texts


def _from_base64(text: str) -> bytes:
    return b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
