"""`python -m tests.lies.lying_service --lie NAME [--lie NAME]`: the real service, telling lies.

The service itself knows nothing of them: each is patched in here, in this process, after the service has said where
its counters live and before it builds anything.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

import service.__main__ as program
from service.state_dir import StateDir
from tests.lies.service_lies import LIES


def main() -> int:
    """Serve, lying, until told to stop."""
    parser = argparse.ArgumentParser(description="The users API, telling lies.")
    parser.add_argument("--lie", dest="lies", action="append", required=True, choices=sorted(LIES))
    lies = [LIES[name] for name in parser.parse_args().lies]
    enter: Any = StateDir.__enter__

    def enter_and_lie(state_dir: StateDir) -> StateDir:
        entered: StateDir = enter(state_dir)
        # Patching imports the metrics client, which decides on import whether it counts for one process or several.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(state_dir.path)
        for lie in lies:
            lie()
        return entered

    setattr(StateDir, "__enter__", enter_and_lie)  # noqa: B010 - a method is replaced, which is what is meant
    return program.main()


if __name__ == "__main__":
    sys.exit(main())
