"""A program that answers as minikube does, from a file that says what there is and how the next calls go.

    fake_minikube.py WORLD.json [arguments of minikube]

It keeps profiles as minikube does, and lies where the file tells it to.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

WORLD = Path(sys.argv[1])
HOME = Path(os.environ["MINIKUBE_HOME"]) / ".minikube" / "profiles"
world: dict[str, Any] = json.loads(WORLD.read_text())


def save() -> None:
    part = WORLD.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps(world))
    part.replace(WORLD)


def emit(kind: str, **data: str) -> None:
    event = {"specversion": "1.0", "type": f"io.k8s.sigs.minikube.{kind}", "data": data}
    print(json.dumps(event), flush=True)


def flags(words: list[str]) -> list[tuple[str, str]]:
    return [(name.lstrip("-"), value) for name, _, value in (word.partition("=") for word in words if word[0] == "-")]


def config_from(given: dict[str, str], extra: list[str]) -> dict[str, Any]:
    options = []
    for text in extra:
        component, _, rest = text.partition(".")
        key, _, value = rest.partition("=")
        options.append({"Component": component, "Key": key, "Value": value})
    return {
        "Driver": given["driver"],
        "CPUs": int(given["cpus"]),
        "Memory": int(given["memory"].removesuffix("mb")),
        "KubernetesConfig": {
            "KubernetesVersion": given["kubernetes-version"],
            "ContainerRuntime": given["container-runtime"],
            "ExtraOptions": options,
        },
        "Nodes": [{"Name": "", "IP": "", "ControlPlane": True}],
    }


def start(profile: str, words: list[str]) -> int:
    plan = world["starts"].pop(0) if world["starts"] else {}
    save()
    given = dict(flags(words))
    extra = [value for name, value in flags(words) if name == "extra-config"]
    folder = HOME / profile
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "events.json").write_text("{}")
    emit("step", currentstep="0", totalsteps="19", name="Initial Minikube Setup", message=f"[{profile}] fake")
    while plan.get("hangs_early"):
        WORLD.with_name("half-made").touch()
        time.sleep(0.05)
    if plan.get("appears"):
        world["invalid"].append(profile)
        save()
    if plan.get("exit_early"):
        emit(
            "error",
            exitcode=str(plan["exit_early"]),
            name="FAKE_REASON",
            message="it went wrong",
            advice="do so",
            url="https://example.test/why",
        )
        return int(plan["exit_early"])
    there = world["profiles"].get(profile)
    config = config_from(given, extra)
    if there is None:
        world["profiles"][profile] = {"config": config, "status": "Stopped", "images": {}}
    elif there["config"]["Memory"] != config["Memory"] or there["config"]["CPUs"] != config["CPUs"]:
        emit("warning", message="You cannot change the memory size for an existing minikube cluster.")
    world["profiles"][profile]["config"].update(plan.get("keeps", {}))
    (folder / "config.json").write_text("{}")
    save()
    emit("error", message="an error that is not the end")
    emit("step", currentstep="8", totalsteps="19", name="Creating Container", message="Creating docker container ...")
    if plan.get("foreign"):
        world["profiles"][profile]["config"]["KubernetesConfig"]["ExtraOptions"] = []
        save()
    WORLD.with_name("half-made").touch()
    while plan.get("hangs"):
        time.sleep(0.05)
    if plan.get("exit"):
        emit(
            "error",
            exitcode=str(plan["exit"]),
            name="FAKE_REASON",
            message="it went wrong",
            advice="do so",
            url="https://example.test/why",
        )
        return int(plan["exit"])
    if plan.get("garbled"):
        print("a line that is no event", flush=True)
        print('{"specversion": "1.0", "type": 7}', flush=True)
        emit("step", currentstep="", totalsteps="", name="", message="")
    emit("step", currentstep="19", totalsteps="19", name="Done", message="Done!")
    made = world["profiles"][profile]
    made["status"] = plan.get("status", "Running")
    made["config"]["Nodes"][0]["IP"] = "192.0.2.7"
    save()
    Path(os.environ["KUBECONFIG"]).write_text(f"{profile}\n")
    return 0


def listing(_: str) -> int:
    valid = [
        {"Name": name, "Status": one["status"], "Config": one["config"]} for name, one in world["profiles"].items()
    ]
    traces = {folder.name for folder in HOME.iterdir()} - set(world["profiles"]) if HOME.exists() else set()
    invalid = [{"Name": name, "Status": "", "Config": None} for name in sorted({*world["invalid"], *traces})]
    print(json.dumps({"valid": valid, "invalid": invalid}), end="")
    return 0


def status(profile: str) -> int:
    if profile not in world["profiles"]:
        emit("info", message=f'Profile "{profile}" not found.')
        return 85
    state = world["profiles"][profile]["status"]
    reached = "Configured" if Path(os.environ["KUBECONFIG"]).exists() else "Misconfigured"
    print(json.dumps({"Name": profile, "Host": state, "Kubelet": state, "APIServer": state, "Kubeconfig": reached}))
    return 0 if state == "Running" else 7


def delete(profile: str) -> int:
    if world.get("delete_hangs"):
        WORLD.with_name("deleting").touch()
        while True:
            time.sleep(0.05)
    if world.get("delete_lies"):
        emit("error", message="could not")
        return 0
    world["profiles"].pop(profile, None)
    shutil.rmtree(HOME / profile, ignore_errors=True)
    world["invalid"] = [name for name in world["invalid"] if name != profile]
    save()
    return 0


def image(profile: str, words: list[str]) -> int:
    images = world["profiles"][profile]["images"]
    if words[0] == "ls":
        print(json.dumps([{"id": identity, "repoTags": [tag], "size": "1"} for tag, identity in images.items()]))
        return 0
    mode = world.get("load", "loads")
    if mode == "loads":
        images.update(world["archives"])
        save()
    return 1 if mode == "fails" else 0


def version(_: str) -> int:
    print(json.dumps({"commit": "fake", "minikubeVersion": world["version"]}))
    return 0


def stop(profile: str) -> int:
    world["profiles"][profile]["status"] = "Stopped"
    save()
    return int(world.get("stop_exit", 0))


def update_context(profile: str) -> int:
    Path(os.environ["KUBECONFIG"]).write_text(f"{profile}\n")
    return 0


def logs(words: list[str]) -> int:
    if world.get("logs_fail"):
        print("no logs to be had", file=sys.stderr)
        return 80
    Path(dict(flags(words))["file"]).write_text("what the node logged\n")
    return 0


def main() -> int:
    words = sys.argv[2:]
    profile = dict(flags(words)).get("profile", "minikube")
    world["calls"].append(words)
    save()
    by_name = {"version": version, "profile": listing, "status": status, "delete": delete, "stop": stop}
    by_name["update-context"] = update_context
    if words[0] in by_name:
        return by_name[words[0]](profile)
    if words[0] == "start":
        return start(profile, words)
    return image(profile, words[1:]) if words[0] == "image" else logs(words)


if __name__ == "__main__":
    sys.exit(main())
