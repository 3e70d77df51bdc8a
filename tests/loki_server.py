"""A real Loki with the configuration of the local environment, for tests that ask one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from sloproof.clients.loki import LokiClient
from sloproof.environment.components import free_ports
from sloproof.environment.templates import fill
from sloproof.polling import wait_until

CONFIG = Path(__file__).parents[1] / "platform" / "local" / "loki.yml"


@contextmanager
def loki_server(program: Path, folder: Path) -> Iterator[str]:
    """Start it in a folder, yield its base URL once it is ready, and end it."""
    ports = free_ports(("loki", "loki_grpc"))
    rules = folder / "rules"
    rules.mkdir()
    values = {
        "LISTEN_ADDRESS": "127.0.0.1",
        "LOKI_PORT": str(ports["loki"]),
        "LOKI_GRPC_PORT": str(ports["loki_grpc"]),
        "LOKI_DIR": str(folder),
        "LOKI_RULES_DIR": str(rules),
        "EVALUATION_INTERVAL": "1s",
        "PROMETHEUS_ADDRESS": f"127.0.0.1:{ports['loki']}",  # nobody is told of what no rule counts
    }
    (folder / "loki.yml").write_text(fill(CONFIG, values))
    address = f"http://127.0.0.1:{ports['loki']}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "-config.file=loki.yml"], cwd=folder, stdout=log, stderr=log)
        try:
            wait_until(
                LokiClient(address).is_ready,
                bool,
                what="Loki ready",
                timeout=timedelta(seconds=20),
                interval=timedelta(milliseconds=20),
            )
            yield address
        finally:
            process.kill()
            process.wait()
