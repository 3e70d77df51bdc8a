"""The images of an environment in a cluster: built or packed here where they are not published, and brought there."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from filelock import FileLock

from sloproof.environment.kube.image_archive import LocalImage, pack_program
from sloproof.environment.kube.load_pods import write_context
from sloproof.environment.kube.service_image import BUILD_COMMAND, build_image
from sloproof.environment.kube.wish import ClusterWish
from sloproof.errors import EnvironmentStartError, SettingsError
from sloproof.platform_files import platform_file
from sloproof.settings import KubeSettings

_LOAD_SECONDS = 600.0
_PUBLISHED = "helm/images.yaml"
# Brings an archive's image to the cluster's nodes, by its tag.
Loader = Callable[[Path, str], None]


def no_loader(archive: Path, tag: str) -> None:
    """Do nothing: the nodes pull what they run."""


def running(command: Sequence[str], environ: Mapping[str, str]) -> Loader:
    """Return what loads an image by a command; `{archive}` and `{tag}` in it are filled in."""

    def load(archive: Path, tag: str) -> None:
        words = [word.replace("{archive}", str(archive)).replace("{tag}", tag) for word in command]
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=_LOAD_SECONDS, env=dict(environ), check=False
        )
        if done.returncode:
            raise EnvironmentStartError(
                f"expected the image {tag} to be brought to the cluster, but that ended with status {done.returncode}",
                command=" ".join(words),
                said=(done.stdout + done.stderr).decode(errors="replace")[-1500:],
                hint="--image-load is the command",
            )

    return load


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSupply:
    """Where images come from, and how they get to the cluster's nodes.

    Attributes:
        root: The project's root.
        platform_dir: The project's platform folder; None for the one that comes with sloproof.
        settings: What is built, and how.
        cluster: What was asked for.
        tools: Programs that are packed; empty where published images are used.
        cache: Folder for archives.
        environ: Environment variables of the commands.
        load: Brings an archive to the nodes.
    """

    root: Path
    platform_dir: Path | None
    settings: KubeSettings
    cluster: ClusterWish
    tools: Mapping[str, Path]
    cache: Path
    environ: Mapping[str, str]
    load: Loader

    def service(self) -> str:
        """Return the image of the service: the published one that the settings name, else one built and brought there.

        Raises:
            EnvironmentStartError: It cannot be built, or does not get there.
        """
        if self.settings.image:
            return self.settings.image
        return self._brought("sloproof-service", self.root, self.root / self.settings.dockerfile)

    def load_worker(self) -> str:
        """Return the image of the load's workers."""
        with tempfile.TemporaryDirectory(prefix="sloproof-image-") as folder:
            dockerfile = write_context(Path(folder))
            return self._brought("sloproof-load", Path(folder), dockerfile)

    def programs(self) -> Mapping[str, str]:
        """Return the images of the monitoring's programs by name.

        Raises:
            SettingsError: The list of published ones is not valid.
            EnvironmentStartError: A packed one does not get there.
        """
        if not self.tools:
            return self._published()
        images = {}
        for name, program in self.tools.items():
            packed = pack_program(self.cache, f"sloproof/{name}", program)
            self.load(packed.archive, packed.reference)
            images[name] = packed.reference
        return images

    def _published(self) -> Mapping[str, str]:
        path = platform_file(self.platform_dir, _PUBLISHED)
        try:
            return msgspec.yaml.decode(path.read_bytes(), type=dict[str, str])
        except (OSError, msgspec.DecodeError) as error:
            raise SettingsError("expected the published images by program", where=path, seen=error) from error

    def _built(self, name: str, context: Path, dockerfile: Path) -> LocalImage:
        build_args = dict(self.settings.build_args)
        if self.cluster.base_image:
            build_args["BASE_IMAGE"] = self.cluster.base_image
        return build_image(
            name,
            context=context,
            dockerfile=dockerfile,
            build_args=build_args,
            command=self.cluster.image_build or BUILD_COMMAND,
            folder=self.cache,
            environ=self.environ,
        )

    def _brought(self, name: str, context: Path, dockerfile: Path) -> str:
        self.cache.mkdir(parents=True, exist_ok=True)
        # Workers of one run build the same image, into the same archive: not while another one reads it.
        with FileLock(self.cache / f"{name}.lock"):
            built = self._built(name, context, dockerfile)
            self.load(built.archive, built.reference)
        return built.reference
