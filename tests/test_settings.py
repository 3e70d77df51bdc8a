from __future__ import annotations

from pathlib import Path

import pytest

from sloproof.errors import SettingsError
from sloproof.settings import find_root, has_table, load_settings

GOOD = r"""
[tool.sloproof.service]
name = "api"
command = ["api"]
[tool.sloproof.metrics.requests]
name = "requests_total"
[tool.sloproof.logs]
pattern = '(?P<level>\w+) (?P<message>.*) (?P<request_id>\S+)'
request = '(?P<method>\S+) (?P<endpoint>\S+) (?P<status>\d+) (?P<duration_seconds>\S+)'
"""


def project(folder: Path, text: str) -> Path:
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return folder


def test_settings_have_what_is_given_and_the_rest_by_default(tmp_path: Path) -> None:
    settings = load_settings(project(tmp_path, GOOD))
    assert (settings.service.name, settings.service.readiness) == ("api", "/health/readiness")
    assert (settings.metrics.in_flight, settings.metrics.latency) == (None, None)


def test_own_table_of_this_project_is_valid() -> None:
    assert load_settings(Path(__file__).parents[1]).service.name == "users-api"


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('name = "api"', 'name = "api"\nport = 1', "port"),
        ('name = "api"', "name = 3", "service.name"),
        ('command = ["api"]', 'command = "api"', "service.command"),
        ('command = ["api"]', "", "command"),
        ('name = "requests_total"', "", "name"),
        ("[tool.sloproof.logs]", '[tool.sloproof.logs]\nformat = "xml"', "logs.format"),
        (r"(?P<level>\w+)", r"\w+", "logs.pattern"),
        (r"(?P<status>\d+)", r"\d+", "logs.request"),
        (r"(?P<status>\d+)", r"(?P<status>\d+", "logs.request"),
        ("[tool.sloproof.logs]", "[tool.sloproof.scrape]\ninterval = '5'\n[tool.sloproof.logs]", "scrape.interval"),
        ("[tool.sloproof.logs]", "[tool.sloproof.scrape]\nevaluation = ''\n[tool.sloproof.logs]", "scrape.evaluation"),
        (
            "[tool.sloproof.logs]",
            "[[tool.sloproof.endpoints]]\npath = '('\nendpoint = 'x'\n[tool.sloproof.logs]",
            "endpoints.path",
        ),
    ],
)
def test_wrong_setting_is_refused_by_the_name_of_its_key(tmp_path: Path, old: str, new: str, key: str) -> None:
    assert GOOD.count(old) == 1
    with pytest.raises(SettingsError) as caught:
        load_settings(project(tmp_path, GOOD.replace(old, new)))
    assert key in caught.value.headline
    assert caught.value.details["where"].endswith("pyproject.toml")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[tool.sloproof.scrape]\ninterval = '0s'", "scrape.interval"),
        ("[tool.sloproof.scrape]\nevaluation = '0ms'", "scrape.evaluation"),
        (
            "[[tool.sloproof.load.mix]]\npath = '/'\n[[tool.sloproof.load.mix]]\npath = '/a'\nweight = -8",
            "mix[1].weight",
        ),
        ("[[tool.sloproof.load.mix]]\npath = '/'\nweight = 0", "load.mix[0].weight"),
        ("[tool.sloproof.load]\ntimeout_seconds = -1", "load.timeout_seconds"),
        ("[tool.sloproof.load]\ntimeout_seconds = nan", "load.timeout_seconds"),
        ("[tool.sloproof.load]\ntimeout_seconds = inf", "load.timeout_seconds"),
        ("[tool.sloproof.slo]\ncompress = 0", "slo.compress"),
        ('[tool.sloproof.slo]\nevaluation = "0s"', "slo.evaluation"),
        ("[tool.sloproof.slo]\nrate = -1.5", "slo.rate"),
    ],
)
def test_number_that_no_run_could_use_is_refused_by_the_name_of_its_key(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(project(tmp_path, f"{GOOD}{text}\n"))
    assert f"{key} to be" in caught.value.headline
    assert caught.value.details["where"].endswith("pyproject.toml")


@pytest.mark.parametrize(
    ("table", "text", "key"),
    [
        ("logs", "ship_seconds = -0.5", "logs.ship_seconds"),
        ("service", "start_seconds = 0", "service.start_seconds"),
        ("service", "stop_seconds = -1", "service.stop_seconds"),
    ],
)
def test_number_of_a_table_is_refused_by_the_name_of_its_key(tmp_path: Path, table: str, text: str, key: str) -> None:
    head = f"[tool.sloproof.{table}]\n"
    with pytest.raises(SettingsError, match=key):
        load_settings(project(tmp_path, GOOD.replace(head, head + text + "\n")))


def test_logs_may_be_expected_at_once(tmp_path: Path) -> None:
    settings = load_settings(project(tmp_path, GOOD + "ship_seconds = 0\n"))
    assert settings.logs.ship_seconds == 0


def test_worker_in_a_cluster_has_a_namespace_of_its_own(tmp_path: Path) -> None:
    settings = load_settings(project(tmp_path, GOOD))
    there = settings.service.namespace
    assert settings.in_cluster().service.namespace == there
    assert settings.in_cluster("gw1").service.namespace == f"{there}-gw1"


def test_json_log_needs_its_fields(tmp_path: Path) -> None:
    text = GOOD.split("[tool.sloproof.logs]", maxsplit=1)[0]
    text += '[tool.sloproof.logs]\nformat = "json"\nfields = { method = "m", endpoint = "e" }\n'
    with pytest.raises(SettingsError, match=r"logs.fields to name request_id, status"):
        load_settings(project(tmp_path, text))


def test_no_file_no_table_and_no_toml_are_told_apart(tmp_path: Path) -> None:
    assert not has_table(tmp_path)
    with pytest.raises(SettingsError, match="no such file"):
        load_settings(tmp_path)
    assert not has_table(project(tmp_path, "[tool.other]\n"))
    with pytest.raises(SettingsError, match="found none"):
        load_settings(tmp_path)
    assert has_table(project(tmp_path, "[tool.sloproof"))
    with pytest.raises(SettingsError, match="expected TOML"):
        load_settings(tmp_path)


def test_root_of_a_project_is_the_nearest_folder_upwards_with_a_table(tmp_path: Path) -> None:
    inner = tmp_path / "features" / "deep"
    inner.mkdir(parents=True)
    assert find_root(inner) == inner
    project(tmp_path, GOOD)
    project(tmp_path / "features", "[tool.other]\n")
    assert find_root(inner) == tmp_path
    assert find_root(tmp_path) == tmp_path
    project(inner, GOOD)
    assert find_root(inner) == inner


def test_endpoint_of_a_path_is_the_first_rule_that_fits_it_whole(tmp_path: Path) -> None:
    text = GOOD + (
        "[[tool.sloproof.endpoints]]\npath = '/users/\\d+'\nendpoint = '/users/<id>'\n"
        "[[tool.sloproof.endpoints]]\npath = '/users/.*'\nendpoint = 'other'\n"
    )
    settings = load_settings(project(tmp_path, text))
    paths = ("/users/7?a=1", "/users/7/x", "/users", "/a#b")
    assert [settings.endpoint_of(path) for path in paths] == ["/users/<id>", "other", "/users", "/a"]


USERS = (
    "from locust import HttpUser, task\nclass Shopper(HttpUser):\n    @task\n    def go(self): self.client.get('/')\n"
)
OWN_FILE = '[tool.sloproof.load]\nlocustfile = "load/users.py"\n'


def with_locustfile(folder: Path, text: str | None, more: str = "") -> Path:
    if text is not None:
        (folder / "load").mkdir()
        (folder / "load" / "users.py").write_text(text, encoding="utf-8")
    return project(folder, f"{GOOD}{OWN_FILE}{more}")


@pytest.mark.parametrize(
    "text",
    [
        USERS, "from shop.load import Shopper\n", "from .load import *\n",
        "from locust import HttpUser\nfor name in 'ab':\n    globals()[name] = type(name, (HttpUser,), {})\n",
    ],
    ids=["a class", "imported", "from its package", "made"],
)  # fmt: skip
def test_locustfile_that_may_have_users_is_taken(tmp_path: Path, text: str) -> None:
    assert load_settings(with_locustfile(tmp_path, text)).load.locustfile == "load/users.py"


@pytest.mark.parametrize(
    ("text", "more", "headline", "where"),
    [
        (None, "", "expected a locustfile, but No such file or directory", "load/users.py"),
        ("def broken(:\n", "", "expected a locustfile, but it is no Python", "load/users.py:1"),
        ("import os\n\0", "", "expected a locustfile, but it is no Python", "load/users.py:1"),
        ("", "", "expected a locustfile with a user class, found none", "load/users.py"),
        ("from locust import HttpUser, task\nfrom math import pi\nclass Helper: pass\n", "",
         "expected a locustfile with a user class, found none", "load/users.py"),
        (USERS, '[[tool.sloproof.load.mix]]\npath = "/"\n',
         "expected tool.sloproof.load.mix or tool.sloproof.load.locustfile, got both", "pyproject.toml"),
    ],
    ids=["missing", "no Python", "a null byte", "empty", "no users", "a mix as well"],
)  # fmt: skip
def test_locustfile_that_cannot_be_one_is_refused_with_its_place(
    tmp_path: Path, text: str | None, more: str, headline: str, where: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(with_locustfile(tmp_path, text, more))
    assert caught.value.headline.startswith(headline)
    assert caught.value.details["where"] == str(tmp_path / where)


def test_a_folder_is_no_locustfile(tmp_path: Path) -> None:
    (tmp_path / "load" / "users.py").mkdir(parents=True)
    with pytest.raises(SettingsError, match="expected a locustfile, but Is a directory"):
        load_settings(project(tmp_path, f"{GOOD}{OWN_FILE}"))
