from __future__ import annotations

import json

import pytest

from sloproof.errors import SettingsError
from sloproof.prove.faults import read_fault, rounds_of
from sloproof.slo.model import Objective
from tests.slo.objectives import objective


def of(fault: dict[str, object], slo: str = "a") -> Objective:
    return objective(slo=slo, fault=json.dumps(fault))


def test_faults_that_do_not_contradict_each_other_are_set_at_once() -> None:
    first, second, third = of({"error_ratio": 1}), of({"added_latency_seconds": 1}, "b"), of({"error_ratio": 0.5}, "c")

    ((one, together), (other, alone)) = rounds_of([first, second, third])

    assert (one.switch, together) == ({"error_ratio": 1, "added_latency_seconds": 1}, [first, second])
    assert (other.switch, alone) == ({"error_ratio": 0.5}, [third])


def test_what_stops_a_component_comes_first_and_alone() -> None:
    switched, stopped = of({"error_ratio": 1}), of({"stop": "service"}, "b")

    ((first, _), (second, _)) = rounds_of([switched, stopped])

    assert (first.stopped, first.switch) == ("service", {})
    assert (second.stopped, second.switch) == ("", {"error_ratio": 1})
    assert str(first) == "service is stopped"


@pytest.mark.parametrize("fault", [{"stop": "service", "error_ratio": 1}, {"stop": 1}])
def test_a_fault_that_stops_a_component_is_nothing_else(fault: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match="nothing else"):
        read_fault(of(fault))
