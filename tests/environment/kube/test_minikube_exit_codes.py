"""Exit codes as sentences: every code that minikube documents has one."""

from __future__ import annotations

import re

import pytest

from sloproof.environment.kube.minikube_exit_codes import meaning

# Those of v1.36.0.
DOCUMENTED = """
1 2 10 11 14 15 16 18 20 23 26 27 29 30 31 32 34 35 36 37 38 40 41 42 45 48 49 50 51 52 54 55 56 57 58 59 60 61 62 63 65
66 67 68 69 70 71 72 75 77 78 79 80 81 82 83 85 86 87 88 89 90 93 95 99 100 101 102 103 105 106 108 109 110 111 112 113
115 116 117 118 119
"""
CODES = [int(code) for code in DOCUMENTED.split()]


@pytest.mark.parametrize("code", CODES)
def test_each_code_says_what_happened_and_what_to_do(code: int) -> None:
    means = meaning(code)
    for text in (means.says, means.next):
        assert text
        assert not text.endswith(".")
        assert text[0] == text[0].lower()
    assert "document" not in means.says


def test_only_what_may_pass_by_itself_is_tried_again() -> None:
    assert {code for code in CODES if meaning(code).then == "again"} == {40, 41, 42, 45, 48, 49, 82, 102, 112}


def test_only_a_broken_node_or_control_plane_is_made_afresh() -> None:
    assert {code for code in CODES if meaning(code).then == "afresh"} == {80, 81, 100, 101, 103, 105, 109}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (57, "not to be used by root"),
        (63, "does not run"),
        (79, "the local network is not available"),
        (115, "a service in the cluster was not found"),
        (-9, "killed by SIGKILL"),
        (-99, "killed by signal 99"),
        (200, "200, which it does not document"),
    ],
)
def test_a_status_is_said_in_words(status: int, words: str) -> None:
    assert re.search(words, meaning(status).says)
    assert meaning(status).then == "stop"
