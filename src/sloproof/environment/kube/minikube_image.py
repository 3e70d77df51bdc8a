"""An image from an archive onto a Minikube node, held to what the node lists afterwards."""

from __future__ import annotations

import tarfile
from collections.abc import Set as AbstractSet
from pathlib import Path

import msgspec

from sloproof.environment.kube.minikube_calls import MinikubeCalls
from sloproof.environment.kube.minikube_profiles import full_tag
from sloproof.errors import EnvironmentStartError

_LOAD_SECONDS = 600.0


class _Entry(msgspec.Struct, frozen=True, rename="pascal"):
    config: str
    repo_tags: list[str] | None = None


class _Descriptor(msgspec.Struct, frozen=True):
    digest: str = ""


class _Index(msgspec.Struct, frozen=True):
    manifests: list[_Descriptor] = []


def archived_ids(archive: Path, tag: str) -> AbstractSet[str]:
    """Return the ids, such as `sha256:...`, under any of which a runtime may list a tag of an archive.

    Raises:
        EnvironmentStartError: The archive cannot be read, or does not hold that tag.
    """
    try:
        with tarfile.open(archive) as tar:
            manifest = tar.extractfile("manifest.json")
            assert manifest is not None
            entries = msgspec.json.decode(manifest.read(), type=list[_Entry])
            has_index = "index.json" in tar.getnames()
            index_file = tar.extractfile("index.json") if has_index else None
            index = msgspec.json.decode(index_file.read(), type=_Index) if index_file else _Index()
    except (OSError, KeyError, tarfile.TarError, msgspec.DecodeError) as error:
        raise EnvironmentStartError(
            "expected an archive of images as `docker save` makes it, but it cannot be read",
            archive=archive,
            seen=error,
        ) from error
    held = {full_tag(each): entry.config for entry in entries for each in entry.repo_tags or ()}
    if full_tag(tag) not in held:
        raise EnvironmentStartError(
            f"expected the image {tag} in the archive, but it is not there",
            archive=archive,
            has="\n".join(sorted(held)) or "no tag at all",
            next="build the image again, or name one of those",
        )
    # <hex>.json in archives of the old layout, blobs/sha256/<hex> in those of the new.
    config = held[full_tag(tag)].rpartition("/")[2].removesuffix(".json")
    return {f"sha256:{config}", *(one.digest for one in index.manifests if len(entries) == 1)}


def load(calls: MinikubeCalls, profile: str, archive: Path, tag: str) -> str:
    """Put an image of an archive onto a profile's node unless it is there, and return its id there.

    Minikube may report success and have loaded nothing, or have kept another image of that tag that a container uses.

    Raises:
        EnvironmentStartError: The archive does not hold it, or the node does not have it afterwards.
    """
    wanted, name = archived_ids(archive, tag), full_tag(tag)
    before = calls.images(profile).get(name, "")
    if before in wanted:
        return before
    ended = calls.run(profile, "image", "load", str(archive.resolve()), seconds=_LOAD_SECONDS)
    images = calls.images(profile)
    found = images.get(name, "")
    # A runtime that counts ids in its own way shows at least that something new came.
    if found in wanted or (found and found != before and not ended.status):
        return found
    raise EnvironmentStartError(
        f"expected the image {tag} in the Minikube profile {profile}, but "
        + (f"the node has another under that tag: {found}" if found else "the node does not list it"),
        wanted=", ".join(sorted(wanted)),
        archive=archive,
        minikube=f"image load ended with status {ended.status}",
        said=ended.errors,
        has="\n".join(sorted(images)),
        next="give each build a tag of its own: one that a container uses is not replaced"
        if found
        else "load it again; `minikube logs` tells what the node's container runtime says",
    )
