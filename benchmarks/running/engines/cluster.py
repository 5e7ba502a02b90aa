"""A Ray cluster: reached or refused within seconds, and its nodes, each asked for its version of this project."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baselines.contract import UserError
from benchmarks.running.engines.needs import Machine
from benchmarks.running.engines.orders import named, this_version
from cosmos.io import interrupts

INSTALL = "pip install -c constraints.txt -e '.[cluster]'"
REACH_SECONDS = 3.0  # for a connection, and for each answer of what is at its other end
_SETTINGS = 4  # the type of a frame
_HURRIED = {  # read by Ray when it is imported; where something else answers it would try for most of a minute
    "RAY_NUM_REDIS_GET_RETRIES": "1",
    "RAY_gcs_rpc_server_connect_timeout_s": "2",
    "RAY_py_gcs_connect_timeout_s": "3",
}
NODE_SECONDS = 60.0  # for a node to start a process that says its version
NODE_ID = "ray.io/node-id"


@dataclass(frozen=True)
class ClusterNode:
    """A node that is alive."""

    id: str
    name: str
    machine: Machine


def connect(address: str | None) -> None:
    """Join the cluster at an address, or the one that Ray finds by itself, or begin one on this machine.

    Raises:
        UserError: Ray is not installed, nobody answers there, or who answers is no cluster or has another version.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing here tells anybody anything
    there = address or os.environ.get("RAY_ADDRESS")
    known = None if there is None or there in ("auto", "local") else there
    for name, value in () if known is None else _HURRIED.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise UserError(f"--engine ray needs the package ray; add it with: {INSTALL}.") from error
    if ray.is_initialized():
        return
    if known is not None:
        check_answers(known)
    try:
        ray.init(address=there, log_to_driver=False, logging_level="error")
    except ConnectionError as error:
        raise UserError(_nobody(there or "this machine")) from error
    except (RuntimeError, ValueError) as error:
        raise UserError(f"The cluster at {there} cannot be used: {str(error).splitlines()[0].rstrip('.')}.") from error
    interrupts.listen()  # which Ray does in its own way


def check_answers(address: str) -> None:
    """See within seconds that a cluster answers at an address; Ray itself would try for more than a minute.

    Raises:
        UserError: none does, or the address is none.
    """
    host, colon, port = address.rpartition(":")
    if "://" in address or not colon or not port.isdigit():
        raise UserError(
            f"--address takes HOST:PORT of a cluster's head, not '{address}'; the command itself is to run on one of "
            "its nodes (`ray job submit` takes it there)."
        )
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_SECONDS) as talk:
            answers = _speaks_grpc(talk)
    except (OSError, OverflowError):
        answers = False
    if not answers:
        raise UserError(_nobody(address))


def _speaks_grpc(talk: socket.socket) -> bool:
    """Whether who is at the other end answers as a head of Ray does: with settings of HTTP/2 (RFC 9113, 3.4 and 6.5).

    Where Ray encrypts all it says there is nothing to be seen of that.
    """
    if os.environ.get("RAY_USE_TLS") == "1":
        return True
    talk.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, _SETTINGS, 0, 0, 0, 0, 0)))
    heard = b""
    while len(heard) < 4 and (more := talk.recv(9)):
        heard += more
    return len(heard) >= 4 and heard[3] == _SETTINGS


def _nobody(address: str) -> str:
    return f"No Ray cluster answers at {address}; start one with `ray start --head`, or see what --address should be."


def nodes() -> list[ClusterNode]:
    """The nodes that are alive, in a fixed order."""
    import ray

    alive = [node for node in ray.nodes() if node["Alive"]]
    found = [ClusterNode(node["NodeID"], _name(node), _machine(node["Resources"])) for node in alive]
    return sorted(found, key=lambda node: (node.name, node.id))


def _name(node: dict[str, Any]) -> str:
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']}, node {node['NodeID'][:6]})"


def _machine(resources: dict[str, float]) -> Machine:
    return Machine(resources.get("CPU", 0.0), resources.get("GPU", 0.0))


def check_versions(known: Sequence[ClusterNode], token_file: Path) -> bool:
    """See that every node has this version of the project; returns whether all of them see the folder of a run.

    Args:
        token_file: what the launch left in that folder.

    Raises:
        UserError: a node has another version, or none, or does not answer; it is named.
    """
    import ray

    ours, token, started = this_version(), token_file.read_text(), time.monotonic()
    asked = {node: _ask(node).remote(str(token_file)) for node in known}
    shared = True
    for node, ref in asked.items():
        try:
            theirs, seen = ray.get(ref, timeout=max(1.0, NODE_SECONDS - (time.monotonic() - started)))
        except ray.exceptions.GetTimeoutError as error:
            raise UserError(f"The node {node.name} does not answer; stop it, or start Ray there again.") from error
        except ray.exceptions.RayError as error:
            raise UserError(f"The node {node.name} cannot work ({str(error).splitlines()[0]}).") from error
        if theirs is None or tuple(theirs) != ours:
            raise UserError(stranger(node.name, theirs))
        shared = shared and seen == token
    return shared


def stranger(node: str, theirs: Sequence[Any] | None) -> str:
    """The sentence on a node with another version."""
    has = "no cosmos-bench" if theirs is None else named((theirs[0], theirs[1]))
    return f"The node {node} has {has}, and this command is of {named(this_version())}; install the same on both."


def _ask(node: ClusterNode) -> Any:
    """A task of one node. What it does is defined here, so that it is sent as it is: the node may have none of ours."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    def version_and_token(path: str) -> tuple[tuple[str, str | None] | None, str | None]:
        try:
            from benchmarks.running.engines import orders

            version = orders.this_version()
        except (ImportError, AttributeError):
            version = None
        try:
            with open(path) as file:
                return version, file.read()
        except OSError:
            return version, None

    task: Callable[..., Any] = ray.remote(num_cpus=0, max_retries=0)(version_and_token)
    return task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False))  # type: ignore[attr-defined]
