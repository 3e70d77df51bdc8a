"""`python -m service`: serves the users API, as the environment says."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from service.settings import Settings, SettingsError
from service.state_dir import StateDir, StateDirInUseError

_WRONG_SETTINGS, _CANNOT_START = 2, 1


def main() -> int:
    """Serve until told to stop; return the exit status if it does not come to that."""
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        return _refuse(str(error), _WRONG_SETTINGS)
    # Until the server takes signals over, an end by signal must not skip the clean-up below.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)
    try:
        state_dir = StateDir(Path(settings.state_dir) if settings.state_dir else None)
    except (StateDirInUseError, OSError) as error:
        return _refuse(f"SERVICE_STATE_DIR: expected a folder of this service alone, saw {error}", _CANNOT_START)
    with state_dir:
        # The metrics client decides on import whether it counts for one process or for several.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(state_dir.path)
        from service.listening import ListenError  # noqa: PLC0415 - see above
        from service.server import serve  # noqa: PLC0415 - see above

        try:
            serve(settings, state_dir)
        except ListenError as error:
            return _refuse(str(error), _CANNOT_START)
    return 0


def _refuse(problems: str, status: int) -> int:
    for line in problems.splitlines():
        sys.stderr.write(f"service: {line}\n")
    return status


def _exit(_signal: int, _frame: object) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
