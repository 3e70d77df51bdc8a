"""What minikube's exit codes mean, whether to try again, and what to do next.

Codes from 10 on are a layer times ten and a class: 63 is "provider" and "not running".
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Literal

Then = Literal["stop", "again", "afresh"]

_LAYERS = {
    1: "minikube itself",
    2: "this machine's resources",
    3: "this machine",
    4: "the internet",
    5: "minikube's driver",
    6: "what the driver runs on (Docker, Podman, a hypervisor)",
    7: "the local network",
    8: "the node",
    9: "the node's container runtime",
    10: "the control plane",
    11: "a service in the cluster",
}
_CLASSES = {
    0: "failed",
    1: "is in conflict with what is there already",
    2: "took too long",
    3: "is not running",
    4: "was asked for something that it does not take",
    5: "was not found",
    6: "does not support this",
    7: "denied permission",
    8: "is not set up right",
    9: "is not available",
}
_LOOK = "read what it said, and its log"
# Layer by layer, where the code itself has no row of its own.
_LAYER_NEXT = {
    1: "compare the arguments with `minikube start --help`",
    2: "free memory, disk or processors, or lower the profile's cpus and memory",
    3: "see that this machine meets the driver's needs: `minikube start --dry-run`",
    4: "see that the machine reaches the internet (proxy, rate limit), or fill minikube's cache beforehand",
    5: "see that the driver is installed and serves this user, or name another driver",
    6: "start the driver's provider (`docker info` must answer), then run again",
    7: "see that no VPN, proxy or firewall keeps this machine from its own containers",
    8: _LOOK,
    9: _LOOK,
    10: "read its log: mostly too little CPU or disk; end other work on this machine, then run again",
    11: _LOOK,
}


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an exit code means.

    Attributes:
        says: What happened, in a few words after "minikube ended because".
        next: What to do about it.
        then: `again` for the same start once more, `afresh` for a deleted profile and a new start, else `stop`.
    """

    says: str
    next: str
    then: Then = "stop"


_ROWS: dict[int, Meaning] = {
    1: Meaning("it failed without saying why", _LOOK),
    2: Meaning("it was interrupted", "run again"),
    14: Meaning(
        "it was given an argument that it does not take",
        "compare the profile's arguments with `minikube start --help` of this version",
    ),
    23: Meaning("there is too little memory for the profile", "free memory, or lower memory_mb (1800 at least)"),
    26: Meaning(
        "the disk of the driver is full", "free disk space (`docker system df` tells what takes it), then run again"
    ),
    29: Meaning("there are too few processors for the profile", "lower cpus (2 at least), or use a larger machine"),
    42: Meaning("a download took too long", "see that the internet is reached, then run again", "again"),
    56: Meaning("the driver does not work on this operating system", "name another driver"),
    57: Meaning(
        "the driver is not to be used by root",
        "run as an ordinary user in the docker group; where only root is there, add --force to the arguments",
    ),
    63: Meaning("what the driver runs on does not run", "start it (`docker info` must answer), then run again"),
    65: Meaning("what the driver runs on is not installed", "install it (Docker, Podman), or name another driver"),
    80: Meaning("the node could not be set up", _LOOK, "afresh"),
    81: Meaning("the node is in conflict with what is there already", _LOOK, "afresh"),
    82: Meaning("the node took too long", "end other work on this machine, then run again", "again"),
    85: Meaning("there is no such profile", "`minikube profile list` shows those that there are"),
    102: Meaning(
        "the control plane took too long",
        "end other work on this machine or give it more cpus, then run again",
        "again",
    ),
    106: Meaning(
        "this minikube cannot run that version of Kubernetes, or not over a newer one",
        "pin a Kubernetes version that this minikube knows: `minikube config defaults kubernetes-version`",
    ),
    108: Meaning("the control plane is not set up right", "look at the --extra-config arguments"),
    112: Meaning("a service in the cluster took too long", "run again", "again"),
    126: Meaning("the program cannot be executed", "see that it is a minikube for this machine"),
    127: Meaning("the program was not found", "install minikube, or name where it is"),
}


def meaning(exit_status: int) -> Meaning:
    """Return what an exit status of minikube means; a negative one is a signal's number."""
    if exit_status < 0:
        return Meaning(f"it was killed by {_signal_name(-exit_status)}", "see who did (out of memory?), then run again")
    if exit_status in _ROWS:
        return _ROWS[exit_status]
    layer, kind = divmod(exit_status, 10)
    if layer not in _LAYERS:
        return Meaning(f"of status {exit_status}, which it does not document", _LOOK)
    then: Then = {4: "again", 10: "afresh"}.get(layer, "stop")  # type: ignore[assignment]
    return Meaning(f"{_LAYERS[layer]} {_CLASSES[kind]}", _LAYER_NEXT[layer], then)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
