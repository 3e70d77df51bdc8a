"""Which Minikube profiles are ours, and who is using one right now: files of our own, one folder a profile."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec
from filelock import FileLock, Timeout

from sloproof.environment.kube.minikube_profiles import Profile
from sloproof.environment.kube.minikube_wish import OWNER_LABEL
from sloproof.errors import EnvironmentStartError

_MARKER, _LOCK, _HOLDER, _LOADING = "owner.json", "lock", "holder.json", "loading.lock"
_LOCK_POLL_SECONDS = 0.1


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """That we have made a profile, or were about to.

    Attributes:
        profile: Its name.
        owner: The mark that the profile carries too; without it there, the profile is another of the same name.
        created: When it was begun.
        state: `starting` and `deleting` are what a killed run leaves: the profile is half there.
        arguments: What it was started with.
    """

    profile: str
    owner: str
    created: datetime
    state: Literal["starting", "ready", "deleting"]
    arguments: tuple[str, ...]

    def names(self, profile: Profile) -> bool:
        """Return whether this is the very profile, and not one that somebody else has made under its name."""
        config = profile.config
        return profile.name == self.profile and config is not None and config.node_label(OWNER_LABEL) == self.owner


class _Holder(msgspec.Struct, frozen=True):
    pid: int
    since: datetime
    command: str


class Ownership:
    """What we know of our profiles, in a folder that outlasts runs."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._locks: dict[str, FileLock] = {}

    def folder(self, profile: str) -> Path:
        """Return the folder of a profile, made if need be."""
        folder = self._state_dir / profile
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def kubeconfig(self, profile: str) -> Path:
        """Return the kubeconfig file of a profile, where there is one."""
        return self.folder(profile) / "kubeconfig"

    def marker(self, profile: str) -> Marker | None:
        """Return the marker of a profile; None where there is none that can be read."""
        try:
            return msgspec.json.decode((self._state_dir / profile / _MARKER).read_bytes(), type=Marker)
        except (OSError, msgspec.DecodeError):
            return None

    def begin(self, profile: str, arguments: tuple[str, ...], owner: str) -> Marker:
        """Return a new marker, written down before anything of the profile exists."""
        marker = Marker(profile=profile, owner=owner, created=datetime.now(UTC), state="starting", arguments=arguments)
        self.write(marker)
        return marker

    def set_state(self, marker: Marker, state: Literal["starting", "ready", "deleting"]) -> Marker:
        """Write down how far a profile is, and return its marker."""
        marker = msgspec.structs.replace(marker, state=state)
        self.write(marker)
        return marker

    def write(self, marker: Marker) -> None:
        """Write a marker, whole or not at all."""
        file = self.folder(marker.profile) / _MARKER
        part = file.with_suffix(".part")
        part.write_bytes(msgspec.json.format(msgspec.json.encode(marker)))
        part.replace(file)

    def forget(self, profile: str) -> None:
        """Drop the marker of a profile that is gone."""
        (self._state_dir / profile / _MARKER).unlink(missing_ok=True)

    @contextmanager
    def held(self, profile: str, wait: timedelta) -> Iterator[None]:
        """Keep a profile for this process while the block lasts; inside itself it is free.

        Args:
            profile: Its name.
            wait: How long at most for another run that has it.

        Raises:
            EnvironmentStartError: Another run still has it; carries who.
        """
        folder = self.folder(profile)
        lock = self._locks.setdefault(profile, FileLock(folder / _LOCK, thread_local=False))
        try:
            lock.acquire(timeout=wait.total_seconds(), poll_interval=_LOCK_POLL_SECONDS)
        except Timeout as error:
            raise EnvironmentStartError(
                f"expected the Minikube profile {profile} to be free, but another run is using it",
                run=_holder_text(folder / _HOLDER),
                waited=f"{wait.total_seconds():g} s",
                next="wait for it to end, or give this run a profile of its own",
            ) from error
        try:
            if lock.lock_counter == 1:
                holder = _Holder(os.getpid(), datetime.now(UTC), " ".join(sys.argv)[:200])
                (folder / _HOLDER).write_bytes(msgspec.json.encode(holder))
            yield
        finally:
            lock.release()

    def loading(self, profile: str) -> AbstractContextManager[object]:
        """Return what is held while images are brought to a profile: workers of one run bring the same ones."""
        return FileLock(self.folder(profile) / _LOADING)


def new_owner() -> str:
    """Return a mark that no other profile carries; a valid value of a Kubernetes label."""
    return secrets.token_hex(8)


def _holder_text(file: Path) -> str:
    try:
        holder = msgspec.json.decode(file.read_bytes(), type=_Holder)
    except (OSError, msgspec.DecodeError):
        return "one that has not said who it is"
    return f"process {holder.pid} since {holder.since:%Y-%m-%d %H:%M:%S} UTC: {holder.command}"
