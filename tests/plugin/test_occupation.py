from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sloproof.plugin.occupation import occupy

HOLD = """
import sys
from pathlib import Path
from sloproof.plugin.occupation import occupy
lock = occupy(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_only_one_has_it_and_the_next_when_it_is_released(tmp_path: Path) -> None:
    noted = tmp_path / "state" / "project.json"
    first = occupy(noted)
    with pytest.raises(pytest.UsageError, match=f"process {os.getpid()}:"):
        occupy(noted)
    first.release()
    occupy(noted).release()


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    noted = tmp_path / "project.json"
    command = [sys.executable, "-c", HOLD, str(noted)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(pytest.UsageError, match=f"process {holder.pid}:"):
            occupy(noted)
        holder.kill()
        holder.wait()
    occupy(noted).release()
