"""As much of Ray as a launch uses, in this process: each task runs when it is given, on a node that it may be on."""

from __future__ import annotations

import itertools
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any


class RayError(Exception):
    pass


class GetTimeoutError(RayError, TimeoutError):
    pass


class WorkerCrashedError(RayError):
    pass


class StandIn(types.ModuleType):
    """A module `ray` with some nodes.

    Args:
        nodes: id -> cores and GPUs.
        at: called with a node's id and the name of a task before it runs there, and may raise.
    """

    def __init__(
        self, nodes: dict[str, tuple[int, int]], at: Callable[[str, str], None] = lambda node, task: None
    ) -> None:
        super().__init__("ray")
        self.known, self.at, self.here = nodes, at, next(iter(nodes))
        self.exceptions = types.SimpleNamespace(RayError=RayError, GetTimeoutError=GetTimeoutError)
        self.results: dict[int, Any] = {}
        self.given: list[tuple[str, str, dict[str, Any]]] = []  # task, node, options
        self._turns, self._refs = itertools.count(), itertools.count()

    def nodes(self) -> list[dict[str, Any]]:
        return [
            {"NodeID": node, "Alive": True, "NodeManagerHostname": f"host-{node}", "NodeManagerAddress": node,
             "Resources": {"CPU": float(cpus), "GPU": float(gpus)}}
            for node, (cpus, gpus) in self.known.items()
        ]  # fmt: skip

    def get_runtime_context(self) -> Any:
        return types.SimpleNamespace(get_node_id=lambda: self.here)

    def remote(self, **options: Any) -> Callable[[Any], Any]:
        return lambda what: _Actor(self, what) if isinstance(what, type) else _Task(self, what, options)

    def get(self, ref: int, timeout: float | None = None) -> Any:
        result = self.results[ref]
        if isinstance(result, BaseException):
            raise result
        return result

    def wait(self, refs: Sequence[int], num_returns: int, timeout: float) -> tuple[list[int], list[int]]:
        return list(refs[:num_returns]), list(refs[num_returns:])

    def cancel(self, ref: int, force: bool = False) -> None:
        self.results[ref] = RayError("cancelled")

    def put(self, result: Any) -> int:
        ref = next(self._refs)
        self.results[ref] = result
        return ref

    def run(self, function: Any, options: dict[str, Any], values: Sequence[Any]) -> int:
        fixed = getattr(options.get("scheduling_strategy"), "node_id", None)
        shunned = options.get("label_selector", {}).get("ray.io/node-id", "")
        free = [node for node in self.known if node not in shunned]
        node = fixed or free[next(self._turns) % len(free)]
        name = options.get("name", function.__name__)
        self.given.append((name, node, options))
        self.here = node
        try:
            self.at(node, name)
            return self.put(function(*values))
        except RayError as error:
            return self.put(error)


class _Task:
    def __init__(self, ray: StandIn, function: Any, options: dict[str, Any]) -> None:
        self._ray, self._function, self._options = ray, function, options

    def options(self, **more: Any) -> _Task:
        return _Task(self._ray, self._function, {**self._options, **more})

    def remote(self, *values: Any) -> int:
        return self._ray.run(self._function, self._options, values)


class _Actor:
    def __init__(self, ray: StandIn, kind: type) -> None:
        self._ray, self._kind, self._object = ray, kind, None

    def remote(self) -> _Actor:
        self._object = self._kind()
        return self

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._object, name)
        return types.SimpleNamespace(remote=lambda *values: self._ray.put(method(*values)))


@contextmanager
def installed(stand_in: StandIn, modules: dict[str, Any]) -> Iterator[StandIn]:
    """Have `import ray` find the stand-in."""
    strategies = types.ModuleType("ray.util.scheduling_strategies")
    strategies.NodeAffinitySchedulingStrategy = lambda node_id, soft: types.SimpleNamespace(node_id=node_id)  # type: ignore[attr-defined]
    util = types.ModuleType("ray.util")
    ours = {"ray": stand_in, "ray.util": util, "ray.util.scheduling_strategies": strategies}
    before = {name: modules.get(name) for name in ours}
    modules.update(ours)
    try:
        yield stand_in
    finally:
        for name, module in before.items():
            if module is None:
                del modules[name]
            else:
                modules[name] = module
