"""Settings: one validated object, and a start that stops with the name of what is wrong."""

from __future__ import annotations

import dataclasses

import pytest

from service.settings import Settings, SettingsError


def test_settings_have_the_documented_defaults() -> None:
    settings = Settings.from_environment({})
    assert (settings.host, settings.port, settings.workers, settings.threads) == ("127.0.0.1", 8000, 2, 8)
    assert settings.max_body_bytes == 1024 * 1024
    assert settings.users_error_ratio == 0.02
    assert (settings.users_latency_median_seconds, settings.users_latency_cap_seconds) == (0.03, 2.0)
    assert settings.faults_token == ""


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SERVICE_PORT", "65536"), ("SERVICE_PORT", "8_000"), ("SERVICE_PORT", "\uff18\uff10"), ("SERVICE_PORT", ""),
        ("SERVICE_WORKERS", "0"), ("SERVICE_WORKERS", "-1"), ("SERVICE_THREADS", "many"),
        ("SERVICE_USERS_ERROR_RATIO", "nan"), ("SERVICE_USERS_ERROR_RATIO", "1.01"),
        ("SERVICE_USERS_ERROR_RATIO", "2%"), ("SERVICE_DRAIN_SECONDS", "inf"), ("SERVICE_DRAIN_SECONDS", "-0.1"),
        ("SERVICE_LOG_FORMAT", "JSON"), ("SERVICE_LOG_LEVEL", "verbose"), ("SERVICE_SEED", "1.5"),
        ("SERVICE_HOST", "http://here"), ("SERVICE_LATENCY_THRESHOLDS_SECONDS", "0.3,,1"),
        ("SERVICE_LATENCY_THRESHOLDS_SECONDS", "0"), ("SERVICE_LATENCY_THRESHOLDS_SECONDS", "0.3 s"),
        ("SERVICE_LATENCY_THRESHOLDS_SECONDS", ",".join(["1"] * 17)),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_by_its_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({name: value})
    assert str(caught.value).startswith(f"{name}: expected ")
    assert str(caught.value).endswith(f"saw {value!r}")


def test_a_misspelt_setting_is_refused_with_a_suggestion() -> None:
    with pytest.raises(SettingsError, match="did you mean SERVICE_USERS_ERROR_RATIO"):
        Settings.from_environment({"SERVICE_USERS_ERROR_RATE": "0.1"})


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({"SERVICE_PORT": "x", "SERVICE_WORKERS": "x", "OTHER": "x", "SERVICE_NOPE": ""})
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == [
        "SERVICE_NOPE", "SERVICE_PORT", "SERVICE_WORKERS",
    ]  # fmt: skip


def test_a_secret_is_shown_nowhere() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({"SERVICE_FAULTS_TOKEN": "hush hush"})
    assert "hush" not in str(caught.value)
    assert "hush" not in repr(Settings(faults_token="hush"))


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(SettingsError, match="SERVICE_USERS_LATENCY_CAP_SECONDS"):
        Settings.from_environment({"SERVICE_USERS_LATENCY_MEDIAN_SECONDS": "3"})
