"""An environment of its own, for a proof or a measurement; it ends with its use, whatever happens."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from sloproof.environment.backends import Wish, find_tools, make_local
from sloproof.environment.base import Environment
from sloproof.harness import Harness
from sloproof.load.child_process import CHILD_COMMAND
from sloproof.load.driver import Driver
from sloproof.servers import connect


@contextmanager
def standing(wish: Wish, console: Console) -> Iterator[Harness]:
    """Bring an environment up, and yield a harness on it.

    Raises:
        ToolError: A program of the environment cannot be had.
        EnvironmentStartError: A component did not become ready.
    """
    with standing_on(make_local(wish, find_tools(wish, console)), wish) as harness:
        yield harness


@contextmanager
def standing_on(environment: Environment, wish: Wish) -> Iterator[Harness]:
    """Bring an environment up that is not started yet, and yield a harness on it; see `standing`."""
    with tempfile.TemporaryDirectory(prefix="sloproof-proof-") as folder:
        ledger_dir = Path(folder)
        try:
            environment.start()
            driver = Driver(
                base_url=environment.addresses["service"],
                ledger_dir=ledger_dir,
                run_id=wish.run_id,
                request_id_header=wish.settings.service.request_id_header,
                commands=lambda process: environment.load_command(process) or CHILD_COMMAND,
            )
            driver.start()
            harness = Harness(
                settings=wish.settings,
                root=wish.root,
                environment=environment,
                clients=connect(environment, wish.settings, getattr(environment, "faults_token", "")),
                driver=driver,
                ledger_dir=ledger_dir,
                run_id=wish.run_id,
            )
            try:
                yield harness
            finally:
                harness.close()
        finally:
            environment.stop()
