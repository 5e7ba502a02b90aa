"""Have the cells of a run made by the workers of a Ray cluster. Who works where and when is Ray's business; here is
what may begin, what is tried again, and what is said.
"""

from __future__ import annotations

import os
import pickle
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

from baselines.contract import UserError
from benchmarks.planning.plan import Plan
from benchmarks.progress import Silent
from benchmarks.records import claims, store
from benchmarks.records.files import StoreError
from benchmarks.running import runner
from benchmarks.running.cell_status import CellStatus, ProgressReporter, label
from benchmarks.running.engines import cluster, parcels
from benchmarks.running.engines.logs import log_of
from benchmarks.running.engines.needs import Needs, Shares, needs
from benchmarks.running.engines.orders import TOKEN, VARIABLES, Answer, WorkOrder, this_version
from benchmarks.running.engines.work import MOST_TRIES, Work, WorkGraph
from cosmos.io.counting import counted
from cosmos.io.files import write_bytes

POLL_SECONDS = 0.5
SAY_SECONDS = 30.0  # between lines on what is at work
STOP_SECONDS = 15.0  # for workers to put down their work when interrupted
_SHOWN = 4  # pieces of work in such a line
_BACKLOG = 2000  # pieces of work that Ray is told of before it has ended others


def run(
    plan: Plan,
    voice: ProgressReporter,
    stages: Sequence[runner.Stage] = ("fit", "generate", "score"),
    *,
    fresh: bool = False,
    shares: Shares | None = None,
) -> CellStatus:
    """Carry out some stages of a plan on the cluster that this process has joined.

    Raises:
        UserError: as `benchmarks.running.runner.run`; or a node has another version of this project, none has what a
            cell needs, or none can write.
    """
    store.prepare(plan.folder)
    with claims.launch(plan.folder):
        token = plan.folder / claims.FOLDER / TOKEN
        write_bytes(token, secrets.token_hex().encode(), StoreError)
        try:
            known = cluster.nodes()
            in_seconds = any(
                p.contestant.budget is not None and p.contestant.budget.unit == "seconds" for p in plan.cells
            )
            taken = needs((n.machine for n in known), plan.cells[0].cell.device, shares or Shares(), in_seconds)
            shared = cluster.check_versions(known, token)
            runner.prepare(plan, voice, stages, fresh=fresh)
            voice.say(_about(known, taken, shared))
            launch = _Launch(plan, voice, stages, taken, shared, token.read_text())
            try:
                launch.run()
            finally:
                launch.stop()
            return launch.outcome
        finally:
            token.unlink(missing_ok=True)


def _about(known: Sequence[cluster.ClusterNode], taken: Needs, shared: bool) -> str:
    cpus, gpus = (sum(getattr(node.machine, part) for node in known) for part in ("cpus", "gpus"))
    said = "; ".join(
        f"{stage} takes {needed[0]:g} cores" + (f" and {needed[1]:g} GPU" if needed[1] else "")
        for stage, needed in taken.stages.items()
    )
    way = "write into the run folder" if shared else "send back what they make, for not all see the run folder"
    has = f"{counted(len(known), 'node')}, {counted(round(cpus), 'core')}, {counted(round(gpus), 'GPU')}"
    return f"Ray: {has}, which {way}; {said}"


class _Launch:
    """One command at work."""

    def __init__(
        self,
        plan: Plan,
        voice: ProgressReporter,
        stages: Sequence[runner.Stage],
        taken: Needs,
        shared: bool,
        token: str,
    ) -> None:
        self.plan, self.voice, self.needs, self.shared, self.token = plan, voice, taken, shared, token
        self.folder = plan.folder.absolute()
        self.outcome = CellStatus(plan.folder, voice)
        self.graph = WorkGraph(plan, stages)
        self.ready, self.running = deque(self.graph.first()), dict[Any, Work]()
        self.ended, self.whole = 0, self.graph.weight()
        self.tries, self.avoided = Counter[str](), dict[str, str]()  # by work; node id -> why
        self.lacking: str | None = None  # what no node has had at the last look
        self.board, self.said = _board(), time.monotonic()
        self.choices = pickle.dumps(plan.choices)
        self.task = {stage: _task(*needed) for stage, needed in taken.stages.items()}
        self.version = this_version()

    def run(self) -> None:
        import ray

        while self.ready or self.running:
            while self.ready and len(self.running) < _BACKLOG:
                self.give(self.ready.popleft())
            done, _ = ray.wait(list(self.running), num_returns=1, timeout=POLL_SECONDS)
            for ref in done:
                self.settle(self.running.pop(ref), ref)
            self.show(bool(done))
        self.voice.progress("cells", 1.0, None)

    def give(self, work: Work) -> None:
        """Have a piece of work done."""
        names = () if self.shared else parcels.names_for(work.stage, work.cells)
        order = WorkOrder(
            version=self.version,
            stage=work.stage,
            cells=work.cell_ids,
            choices=self.choices,
            device=work.cells[0].cell.device,
            run=str(self.folder),
            token=self.token,
            environment={name: os.environ.get(name) for name in VARIABLES},
            threads=None if self.needs.threads is None else self.needs.threads[work.stage],
            beside=self.needs.beside if work.stage == "generate" else None,
            parcel=None if self.shared else parcels.packed(self.folder, names),
            attempt=self.tries[work.key] + 1,
        )
        where = {"label_selector": {cluster.NODE_ID: f"!in({','.join(self.avoided)})"}} if self.avoided else {}
        self.running[self.task[work.stage].options(name=work.key, **where).remote(order, self.board, work.key)] = work

    def settle(self, work: Work, ref: Any) -> None:
        """See how a piece of work ended, and what follows."""
        import ray

        try:
            node_id, answer = ray.get(ref)
        except ray.exceptions.RayError as error:
            self.again(work, f"its worker was lost ({type(error).__name__})", "a worker that was lost")
            return
        if answer["parcel"] is not None:
            parcels.unpack(answer["parcel"], self.folder, work.cell_ids)
        ending, said = answer["ending"], answer["said"]
        if ending == "done":
            self.ended += 1
            self.ready.extend(self.graph.after(work))
            if work.stage != "score":
                self.voice.say(f"{work.said}: done on {answer['node']}")
        elif ending == "failed":
            self.again(work, said, answer["node"])
        elif ending == "refused":
            self.end(work, said, self.outcome.refused)
        elif ending == "apart":
            self.shared = False
            self.ready.appendleft(work)
        else:
            self.avoid(node_id, answer)
            self.ready.appendleft(work)

    def again(self, work: Work, said: str, where: str) -> None:
        """Try once more what failed, from what is on disk, or give it up."""
        self.tries[work.key] += 1
        tries = self.tries[work.key]
        log = log_of(self.plan.folder, work.cells[0].cell.id)
        if tries < MOST_TRIES:
            self.voice.say(f"{work.said}: try {tries} of {MOST_TRIES} failed on {where}, and is taken up again: {said}")
            self.ready.append(work)
            return
        for planned in work.cells:
            header = store.read_header(store.cell_folder(self.plan.folder, planned.cell.id))
            if work.stage != "score" and header is not None and header.status == "started":
                with CellStatus(self.plan.folder, Silent()).guarded([planned]):  # which no worker could write
                    raise RuntimeError(said)
        self.end(work, f"{said}; {MOST_TRIES} tries, log: {log}", self.outcome.failed)

    def end(self, work: Work, said: str, kind: list[str]) -> None:
        """Go on without a piece of work, and without what needs it."""
        self.ended += 1
        for planned in work.cells:
            name = label(planned.cell)
            kind.append(said if said.startswith(name) else f"{name}: {work.stage} ended: {said}")
        self.voice.say(kind[-1])

    def avoid(self, node_id: str, answer: Answer) -> None:
        """Have nothing more done by a node that cannot.

        Raises:
            UserError: it was the last one.
        """
        if node_id not in self.avoided:
            self.avoided[node_id] = answer["said"]
            self.voice.say(f"{answer['node']} gets no more work: {answer['said']}")
        of_all = answer["ending"] == "full" and self.shared and len(self.avoided) > 1  # the folder is one
        if of_all or all(node.id in self.avoided for node in cluster.nodes()):
            raise UserError(answer["said"])

    def show(self, changed: bool) -> None:
        """How far all is, and at times what is at work."""
        import ray

        now = time.monotonic()
        if changed and now - self.said < SAY_SECONDS:
            self.voice.progress("cells", self.ended / max(1, self.whole), None)
        if now - self.said < SAY_SECONDS:
            return
        self.said = now
        self.look()
        try:
            told = ray.get(self.board.read.remote(), timeout=POLL_SECONDS * 4)
        except (ray.exceptions.RayError, TimeoutError):
            told = {}
        there = [(stage, share, loss) for key, (stage, share, loss) in told.items() if self._runs(key)]
        parts = [
            f"{stage} {share:.0%}" + ("" if loss is None else f" (loss {loss:.3f})") for stage, share, loss in there
        ]
        more = f" and {len(parts) - _SHOWN} more" if len(parts) > _SHOWN else ""
        at_work = f"; at work: {', '.join(parts[:_SHOWN])}{more}" if parts else ""
        self.voice.say(f"{self.ended} of {self.whole} stages done, {len(self.running)} given to Ray{at_work}")

    def look(self) -> None:
        """See that what is given can ever be done: Ray itself waits without end for a node that has what is needed.

        Raises:
            UserError: none has had it, now and at the last look.
        """
        machines = [node.machine for node in cluster.nodes() if node.id not in self.avoided]
        lacking = None
        for stage in dict.fromkeys(work.stage for work in self.running.values()):
            cpus, gpus = self.needs.stages[stage]
            if not any(machine.cpus >= cpus and machine.gpus >= gpus for machine in machines):
                lacking = f"{cpus:g} cores" + (f" and {gpus:g} GPU" if gpus else "") + f" that {stage} takes"
        if lacking is not None and self.lacking is not None:
            raise UserError(
                f"No machine that is left of the cluster has the {lacking}; start one and give the same command again, "
                "nothing is lost."
            )
        self.lacking = lacking

    def _runs(self, key: str) -> bool:
        return any(work.key == key for work in self.running.values())

    def stop(self) -> None:
        """Take back what was given; workers put it down as after an interrupt."""
        import ray

        if not self.running:
            return
        left = list(self.running)
        for ref in left:
            ray.cancel(ref)
        _, left = ray.wait(left, num_returns=len(left), timeout=STOP_SECONDS)
        for ref in left:
            ray.cancel(ref, force=True)


def _board() -> Any:
    """Where workers say how far they are; it lives where this process does, so that no other node takes it along."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    class Board:
        def __init__(self) -> None:
            self.told: dict[str, tuple[str, float, float | None]] = {}

        def tell(self, key: str, stage: str, share: float, loss: float | None) -> None:
            self.told[key] = (stage, share, loss)

        def forget(self, key: str) -> None:
            self.told.pop(key, None)

        def read(self) -> dict[str, tuple[str, float, float | None]]:
            return self.told

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    return ray.remote(num_cpus=0, scheduling_strategy=here)(Board).remote()


def _task(cpus: float, gpus: float) -> Any:
    """The task of a stage: a worker that had a GPU ends with it, so that its memory is free again.

    It is defined here, so that it is sent as it is: a node that came later may have another version of this project.
    """
    import ray

    def obey(order: Any, board: Any, key: str) -> tuple[str, Any]:
        import os
        import platform

        import ray

        for name, value in order["environment"].items():  # before a library reads them; Ray has set one of its own
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        if order["threads"] is not None:
            os.environ["OMP_NUM_THREADS"] = str(order["threads"])
        context = ray.get_runtime_context()
        node = f"{platform.node()} (node {context.get_node_id()[:6]})"
        try:
            from benchmarks.running.engines import cluster, orders, worker

            ours = orders.this_version()
        except (ImportError, AttributeError):
            said = f"it does not have the version {order['version'][0]} of cosmos-bench"
            return context.get_node_id(), {"ending": "stranger", "said": said, "node": node, "parcel": None}
        if tuple(order["version"]) != tuple(ours):
            said = cluster.stranger(node, ours)
            return context.get_node_id(), {"ending": "stranger", "said": said, "node": node, "parcel": None}
        try:
            return context.get_node_id(), worker.obey(order, node, lambda *told: board.tell.remote(key, *told))
        finally:
            board.forget.remote(key)

    options: dict[str, Any] = {"num_cpus": cpus, "max_retries": 0} | (
        {"num_gpus": gpus, "max_calls": 1} if gpus else {}
    )
    task: Callable[..., Any] = ray.remote(**options)(obey)
    return task
