from __future__ import annotations

from pathlib import Path

from tests.lies.rounds import ROOT, Place, copy_of_platform


def test_a_second_try_has_a_copy_of_its_own_without_the_lies_of_the_first(tmp_path: Path) -> None:
    place = Place({}, tmp_path)
    first = copy_of_platform(place, "some lie")
    (first / "tools.lock").write_text("a lie")

    second = copy_of_platform(place, "some lie")

    assert second != first
    assert (second / "tools.lock").read_bytes() == (ROOT / "platform" / "tools.lock").read_bytes()
    assert {one.name for one in second.iterdir()} == {one.name for one in (ROOT / "platform").iterdir()}
