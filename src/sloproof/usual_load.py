"""The load that a project calls usual: a mix of requests from its settings, or what users of its locustfile send."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from sloproof.load.profile import Locustfile, Profile

if TYPE_CHECKING:
    from pathlib import Path

    from sloproof.harness import Harness


def usual_load(harness: Harness, shape: Profile) -> Profile:
    """Return a load in the open model that sends what is usual, when a shape says.

    Args:
        harness: Knows the settings and the project's root.
        shape: Rate or stages, and how long; what it sends, its seed and its patience are those of the settings.

    Raises:
        SettingsError: The settings give neither a mix nor a locustfile.
    """
    load = harness.settings.load
    shape = msgspec.structs.replace(shape, seed=load.seed, timeout_seconds=load.timeout_seconds)
    if load.locustfile is not None:
        return msgspec.structs.replace(shape, locustfile=locustfile_of(harness, harness.root / load.locustfile))
    return msgspec.structs.replace(shape, mix=harness.usual_mix)


def locustfile_of(harness: Harness, path: Path) -> Locustfile:
    """Return a locustfile with the labels that its paths are counted under."""
    endpoints = tuple((one.path, one.endpoint) for one in harness.settings.endpoints)
    return Locustfile(path=str(path), endpoints=endpoints)
