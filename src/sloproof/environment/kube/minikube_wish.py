"""Which Minikube profile is wanted, the arguments that make it, and how one that is there differs from it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import yaml

from sloproof.environment.kube.minikube_profiles import ProfileConfig
from sloproof.errors import SettingsError

# What tells a profile of ours from any other: minikube keeps it in the profile, and the kubelet puts it on the node.
OWNER_LABEL = "sloproof/owner"
_NODE_LABELS = "kubelet.node-labels="
_ALIASES = {"n": "nodes", "p": "profile", "o": "output", "vm-driver": "driver"}
# How a start goes about it, not what it makes: another value is no reason to make a profile anew.
_MANNER = frozenset(
    {"wait", "wait-timeout", "force", "interactive", "keep-context", "delete-on-failure", "alsologtostderr", "v"}
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]+")
_MEMORY = re.compile(r"(\d+) ?([kmgt]?)(?:i?b)?", re.IGNORECASE)
_MEGABYTES = {"k": 1 / 1024, "": 1, "m": 1, "g": 1024, "t": 1024 * 1024}
_SAME = {"crio": "cri-o", "kvm": "kvm2"}
# Minikube finds these out by itself, so there is nothing to compare.
_OPEN = frozenset({"", "auto", "max", "no-limit"})


class _Pins(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    profile: str
    minikube: str
    kubernetes_version: str
    container_runtime: str
    driver: str
    cpus: int
    memory_mb: int
    arguments: list[str]


@dataclass(frozen=True, slots=True)
class MinikubeWish:
    """The profile that is wanted.

    Attributes:
        profile: Its name.
        kubernetes_version: Such as `v1.33.1`.
        container_runtime: `containerd`, `docker` or `cri-o`.
        cpus: How many.
        memory_mb: In MiB, as minikube counts it.
        driver: Such as `docker`.
        arguments: More arguments of `minikube start`.
        extra_args: Yet more, from the user; each of them takes the place of what else sets the same flag.
        minikube: Versions of minikube that serve, as comparisons; empty for any.
    """

    profile: str
    kubernetes_version: str
    container_runtime: str
    cpus: int
    memory_mb: int
    driver: str
    arguments: tuple[str, ...] = ()
    extra_args: tuple[str, ...] = ()
    minikube: str = ""

    def start_arguments(self, owner: str) -> tuple[str, ...]:
        """Return the arguments that make this profile, each flag once; `owner` is the mark that it is to carry.

        Raises:
            SettingsError: The extra arguments name a profile or an output format, which are not theirs to choose.
        """
        given = list(_flags(self.extra_args))
        for flag, value in given:
            if flag in {"profile", "output"}:
                raise SettingsError(
                    f"expected minikube's extra arguments to leave --{flag} alone, seen --{flag}={value or ''}",
                    arguments=" ".join(self.extra_args),
                    next="name the profile by its own setting" if flag == "profile" else "leave it out",
                )
        theirs = {flag for flag, _ in given}
        own = [*self._own_flags(), *(each for each in _flags(self.arguments))]
        words = [_word(flag, value) for flag, value in own if flag not in theirs]
        # Minikube takes one list of labels, so that ours joins theirs.
        labels = [f"{OWNER_LABEL}={owner}"]
        for flag, value in given:
            if flag == "extra-config" and (value or "").startswith(_NODE_LABELS):
                labels.append((value or "").removeprefix(_NODE_LABELS))
            else:
                words.append(_word(flag, value))
        return (*words, f"--extra-config={_NODE_LABELS}{','.join(labels)}")

    def check(self) -> None:
        """Return if it can be carried out.

        Raises:
            SettingsError: A value cannot be read, names no fixed version, or is not for extra arguments to choose.
        """
        if not _NAME.fullmatch(self.profile):
            raise SettingsError(
                f"expected a name of letters, digits and dashes for the Minikube profile, seen {self.profile!r}"
            )
        self.start_arguments("check")
        self.differences(ProfileConfig())

    def differences(self, config: ProfileConfig) -> tuple[str, ...]:
        """Return in which ways a profile is not as wished, one a row; empty where it is.

        Raises:
            SettingsError: A value of the wish cannot be read, or names no fixed version.
        """
        wished = {flag: value or "" for flag, value in (*self._own_flags(), *_flags(self.arguments))}
        wished |= {flag: value or "" for flag, value in _flags(self.extra_args)}
        pairs = [
            ("driver", _SAME.get(wished["driver"], wished["driver"]), config.driver),
            ("cpus", wished["cpus"], str(config.cpus)),
            ("memory in MiB", _megabytes(wished["memory"]), str(config.memory)),
            ("Kubernetes", _version(wished["kubernetes-version"]), config.kubernetes.version),
            ("container runtime", *(_SAME.get(name, name) for name in (wished["container-runtime"], config.runtime))),
            ("nodes", wished.get("nodes", "1"), str(len(config.nodes))),
        ]
        return tuple(f"{name}: wished {wish}, is {seen}" for name, wish, seen in pairs if wish not in {*_OPEN, seen})

    def _own_flags(self) -> list[tuple[str, str]]:
        return [
            ("driver", self.driver),
            ("container-runtime", self.container_runtime),
            ("kubernetes-version", self.kubernetes_version),
            ("cpus", str(self.cpus)),
            ("memory", f"{self.memory_mb}mb"),
            ("embed-certs", "true"),
            ("keep-context", "true"),
            ("interactive", "false"),
        ]


def load_wish(
    file: Path,
    *,
    profile: str | None = None,
    cpus: int | None = None,
    memory_mb: int | None = None,
    extra_args: Sequence[str] = (),
) -> MinikubeWish:
    """Return the wish that the platform's `minikube.yaml` pins, with what is given in place of what it says.

    Raises:
        SettingsError: The file cannot be read.
    """
    try:
        pins = msgspec.convert(yaml.safe_load(file.read_bytes()), _Pins)
    except (OSError, yaml.YAMLError, msgspec.ValidationError) as error:
        raise SettingsError("expected the pins of the Minikube profile", where=file, seen=error) from error
    wish = MinikubeWish(
        profile=pins.profile,
        kubernetes_version=pins.kubernetes_version,
        container_runtime=pins.container_runtime,
        cpus=pins.cpus,
        memory_mb=pins.memory_mb,
        driver=pins.driver,
        arguments=tuple(pins.arguments),
        extra_args=tuple(extra_args),
        minikube=pins.minikube,
    )
    given = {"profile": profile, "cpus": cpus, "memory_mb": memory_mb}
    return replace(wish, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]


def lasting(arguments: Sequence[str]) -> frozenset[str]:
    """Return those arguments that say what is made, without our mark and without how the start goes about it."""
    return frozenset(
        _word(flag, value)
        for flag, value in _flags(arguments)
        if flag not in _MANNER and not (flag == "extra-config" and OWNER_LABEL in (value or ""))
    )


def _flags(arguments: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Yield each flag by its long name, with its value; None for one that has none."""
    words = list(arguments)
    while words:
        word = words.pop(0)
        flag, _, value = word.lstrip("-").partition("=")
        if not word.startswith("-") or not flag:
            raise SettingsError(
                f"expected only flags among minikube's arguments, seen {word!r}",
                arguments=" ".join(arguments),
                next="write them as --flag=value",
            )
        if "=" in word:
            yield _ALIASES.get(flag, flag), value
        elif words and not words[0].startswith("-"):
            yield _ALIASES.get(flag, flag), words.pop(0)
        else:
            yield _ALIASES.get(flag, flag), None


def _word(flag: str, value: str | None) -> str:
    dashes = "-" if len(flag) == 1 else "--"
    return f"{dashes}{flag}" if value is None else f"{dashes}{flag}={value}"


def _megabytes(text: str) -> str:
    if text in _OPEN:
        return text
    found = _MEMORY.fullmatch(text)
    if not found:
        raise SettingsError(f"expected an amount of memory such as 4g or 4096mb, seen {text!r}")
    return str(int(int(found[1]) * _MEGABYTES[found[2].lower()]))


def _version(text: str) -> str:
    if not re.match(r"v?\d", text):
        raise SettingsError(
            f"expected a fixed version of Kubernetes, seen {text or 'none'}",
            next="name one, such as v1.33.1: what `stable` means changes overnight",
        )
    return text if text.startswith("v") else f"v{text}"
