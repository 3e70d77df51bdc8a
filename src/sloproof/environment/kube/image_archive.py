"""Images of single programs: static binaries packed as `docker save` would, with no builder and no registry."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from sloproof.errors import SettingsError

_TAG_CHARACTERS = 16
_EPOCH = "1970-01-01T00:00:00Z"
# Nobody in particular, and not root.
NOBODY = "65532:65532"


@dataclass(frozen=True, slots=True)
class LocalImage:
    """An image on this machine.

    Attributes:
        reference: Its name and its tag, which stands for one content.
        archive: The file that clusters load it from.
    """

    reference: str
    archive: Path


def pack_program(folder: Path, name: str, program: Path, *, architecture: str = "amd64") -> LocalImage:
    """Return the image of one static program, packed unless the folder has it already.

    Args:
        folder: Where archives are kept.
        name: The image's name, without a tag.
        program: The program; it becomes the image's entry point, `/usr/bin/<its name>`.
        architecture: The processor that it is for, in Go's words.

    Raises:
        SettingsError: The program cannot be read.
    """
    # Where the projects' own images have it; at `/alertmanager` the community's chart puts the data.
    inside = f"/usr/bin/{program.name}"
    tag = _content_of(program, inside, architecture)
    archive = folder / f"{name.replace('/', '_')}_{tag}.tar"
    image = LocalImage(f"{name}:{tag}", archive)
    if not archive.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_image(archive, image.reference, entrypoint=(inside,), files={inside: program}, architecture=architecture)
    return image


def write_image(
    archive: Path,
    name: str,
    *,
    entrypoint: Sequence[str],
    files: Mapping[str, Path],
    folders: Iterable[str] = ("/tmp",),  # noqa: S108 - a folder of the image
    user: str = NOBODY,
    architecture: str = "amd64",
) -> None:
    """Write an image of one layer as an archive that `docker load` takes, and so do containerd and Minikube.

    The same files make the same bytes, whatever their times and owners are. The archive appears whole or not at all.

    Args:
        archive: The file to write.
        name: Name and tag, such as `sloproof/loki:0123abcd`.
        entrypoint: Program and first arguments, as seen inside.
        files: Absolute path inside to the file it is a copy of; all become readable and executable by everyone.
        folders: Empty folders that everyone may write to.
        user: User and group that it runs as.
        architecture: The processor that the programs are for, in Go's words.

    Raises:
        SettingsError: A file cannot be read, a path inside is not absolute, or the name has no tag.
    """
    _check(name, [*files, *folders])
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=f".{archive.name}-") as scratch:
        layer = Path(scratch) / "layer.tar"
        with layer.open("wb") as file:
            _write_layer(file, files, folders)
        layer_sum = _sha256(layer)
        config = _json(
            {
                "architecture": architecture,
                "os": "linux",
                "created": _EPOCH,
                "config": {"Entrypoint": list(entrypoint), "User": user, "WorkingDir": "/"},
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_sum}"]},
                "history": [{"created": _EPOCH, "created_by": "sloproof"}],
            }
        )
        config_name = f"{hashlib.sha256(config).hexdigest()}.json"
        layer_name = f"{layer_sum}/layer.tar"
        manifest = _json([{"Config": config_name, "RepoTags": [full_name(name)], "Layers": [layer_name]}])
        whole = Path(scratch) / "image.tar"
        with tarfile.open(whole, "w", format=tarfile.USTAR_FORMAT) as tar:
            for member, data in (("manifest.json", manifest), (config_name, config)):
                tar.addfile(_entry(member, size=len(data), mode=0o644), io.BytesIO(data))
            with layer.open("rb") as file:
                tar.addfile(_entry(layer_name, size=layer.stat().st_size, mode=0o644), file)
        whole.replace(archive)


def full_name(name: str) -> str:
    """Return an image's name with the registry and the folder that a short one stands for.

    Clusters look for the full name, and what loads an archive does not always complete a short one.
    """
    first, slash, _ = name.partition("/")
    if not slash:
        return f"docker.io/library/{name}"
    return name if first == "localhost" or "." in first or ":" in first else f"docker.io/{name}"


def _check(name: str, paths: Sequence[str]) -> None:
    if ":" not in name.rpartition("/")[2]:
        raise SettingsError("expected an image's name with a tag", seen=name)
    for path in paths:
        parts = PurePosixPath(path)
        if not parts.is_absolute() or ".." in parts.parts or parts == PurePosixPath("/"):
            raise SettingsError("expected an absolute path inside of the image", seen=path, image=name)


def _write_layer(file: IO[bytes], files: Mapping[str, Path], folders: Iterable[str]) -> None:
    open_to_all = {PurePosixPath(folder) for folder in folders}
    parents = {parent for path in (*map(PurePosixPath, files), *open_to_all) for parent in path.parents}
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted((parents | open_to_all) - {PurePosixPath("/")}):
            mode = 0o1777 if path in open_to_all else 0o755
            tar.addfile(_entry(str(path).lstrip("/"), kind=tarfile.DIRTYPE, mode=mode))
        for inside, source in sorted(files.items()):
            try:
                with source.open("rb") as content:
                    size = source.stat().st_size
                    tar.addfile(_entry(inside.lstrip("/"), size=size, mode=0o755), content)
            except OSError as error:
                raise _unreadable(source, error) from error


def _entry(name: str, *, kind: bytes = tarfile.REGTYPE, size: int = 0, mode: int) -> tarfile.TarInfo:
    """Return a header that tells of root and of no time."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.size, entry.mode = kind, size, mode
    return entry


def _content_of(program: Path, *facts: str) -> str:
    """Return a tag for all that decides what the image is."""
    try:
        whole = hashlib.sha256("\0".join((*facts, NOBODY, _sha256(program))).encode())
    except OSError as error:
        raise _unreadable(program, error) from error
    return whole.hexdigest()[:_TAG_CHARACTERS]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


def _unreadable(path: Path, error: OSError) -> SettingsError:
    return SettingsError(f"expected a program to pack into an image, but {error.strerror}", where=path)
