from __future__ import annotations

from pathlib import Path

import pytest


def test_committed_dashboard_is_what_the_code_generates(tmp_path: Path) -> None:
    """Else the code is edited and the dashboard that is provisioned is not, or the other way round."""
    pytest.importorskip("grafana_foundation_sdk", reason="needs the `dashboards` dependency group")
    from service import dashboards  # noqa: PLC0415 - cannot be imported without that group

    dashboards.main(tmp_path)
    committed = Path(__file__).parents[2] / "platform" / "dashboards"
    (made,) = tmp_path.iterdir()
    assert [path.name for path in committed.iterdir()] == [made.name]
    assert made.read_text(encoding="utf-8") == (committed / made.name).read_text(encoding="utf-8")
