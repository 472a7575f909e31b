"""The notation of rates, and settings that are refused."""

from pathlib import Path

import pytest

from server.rate_limit.policies import read_rate
from server.settings import SettingsError, load_settings

WRONG = {
    "no number": ("RATE_LIMIT", "many/minute", "must be `off`, or"),
    "no unit": ("RATE_LIMIT", "1000", "must be `off`, or"),
    "an unknown unit": ("RATE_LIMIT", "5/fortnight", "must be `off`, or"),
    "two limits": ("RATE_LIMIT", "5/second;1000/minute", "must be `off`, or"),
    "no time": ("RATE_LIMIT_ANONYMOUS", "5/0 second", "must be `off`, or"),
    "nothing": ("RATE_LIMIT_REFUSED_TOKENS", "0/minute", "must be a number of requests from 1 to 1000000"),
    "too many": ("RATE_LIMIT", "1000001/minute", "must be a number of requests from 1 to 1000000"),
    "too long": ("RATE_LIMIT", "5/month", "must be a time of one day at most"),
    "another database": ("REDIS_URL", "https://cache.example", "URL scheme should be 'redis' or 'rediss'"),
    "no host": ("REDIS_URL", "redis://", "Input should be a valid URL, empty host"),
    "a bad port": (
        "REDIS_URL",
        "redis://:hunter2@cache.example:port",
        "Input should be a valid URL, invalid port number",
    ),
    "a name": ("FORWARDED_ALLOW_IPS", "10.0.0.1,proxy.example", "'proxy.example' is not a valid IPv4 or IPv6 network"),
    "half a network": ("FORWARDED_ALLOW_IPS", "10.0.0.1/8", "'10.0.0.1/8' is not a valid IPv4 or IPv6 network"),
    "everybody and more": ("FORWARDED_ALLOW_IPS", "*,10.0.0.1", "'*' is not a valid IPv4 or IPv6 network"),
}


@pytest.mark.parametrize(("name", "value", "sentence"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_stops_the_start_with_one_sentence(
    name: str, value: str, sentence: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert str(raised.value).startswith(f"{name}: {sentence}")
    assert "\n" not in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("text", ["20/2 second", "20 per 2 seconds", " 20 / 2 SECOND "])
def test_a_rate_is_read_in_the_notation_of_the_library(text: str) -> None:
    rate = read_rate(text)
    assert rate is not None
    assert (rate.amount, rate.get_expiry()) == (20, 2)
