"""Whether this process is one of several that a launcher has started for one training, and how they end together.

`torchrun` and `accelerate launch` start the same command in every process and say in the environment who is who. Of
such a launch one process writes and talks, and why it ends is said once, by whoever meets it first. Standard library
only, until something is to be said: command lines import this before anything heavy.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from cosmos.io.errors import UserError

_STORE_SECONDS = 5.0  # the longest that the launcher's store is waited for by a process that is about to end
_LOOK_SECONDS = 0.05  # between looks for a word that is not there yet
_HEED_SECONDS = 10.0  # after a signal, until a process that waits for others in foreign code is ended all the same
_LOST = ("Connection closed by peer", "Connection reset by peer", "gloo", "NCCL", "TCPStore", "Broken pipe")
LOST = "Another process of this launch has ended; the same command goes on where this one stopped."


@dataclass(frozen=True)
class Launch:
    """Which process of how many this is, and which of those on this machine."""

    rank: int
    count: int
    local_rank: int


def launch() -> Launch | None:
    """The launch that this process is part of; None where it works alone."""
    try:
        rank, count, local = (int(os.environ.get(key, "0")) for key in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    except ValueError:
        return None
    return Launch(rank, count, local) if count > 1 else None


def is_first() -> bool:
    """Whether this process is the one that writes and talks."""
    found = launch()
    return found is None or found.rank == 0


def own_device(device: str) -> str:
    """The device of this process, where a command has named one for all of a launch.

    Raises:
        UserError: one GPU was named for all of them.
    """
    found = launch()
    if found is None or not device.startswith("cuda"):
        return device
    if device != "cuda":
        raise UserError(
            f"Each of {found.count} launched processes has a GPU of its own; name --device cuda or leave it out, "
            f"not {device}."
        )
    return f"cuda:{found.local_rank}"


def _store() -> Any:
    """What the launcher keeps for its processes, as a client of it."""
    from torch.distributed import TCPStore

    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return TCPStore(address, port, is_master=False, timeout=timedelta(seconds=_STORE_SECONDS))


def _key(name: str) -> str:
    return f"cosmos-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}-{name}"


def tell_others(name: str, text: str) -> None:
    """Leave a word for the other processes of the launch."""
    _store().set(_key(name), text)


def heard(name: str) -> str:
    """The word of that name, once it is left; an interrupt ends the wait."""
    store, key = _store(), _key(name)
    while not store.check([key]):
        time.sleep(_LOOK_SECONDS)
    return str(store.get(key).decode())


def first_to_say() -> bool:
    """Whether nobody of this launch has said yet why it ends; from now on somebody has."""
    found = launch()
    if found is None:
        return True
    try:
        return int(_store().add(_key("ended"), 1)) == 1
    except Exception:  # the launcher has gone, whose store it was
        return found.rank == 0


def lost_another(error: BaseException) -> bool:
    """Whether an error says no more than that another process of the launch is not there any more."""
    return launch() is not None and isinstance(error, RuntimeError) and any(sign in str(error) for sign in _LOST)


def end_when_asked(said: str) -> None:
    """See that SIGTERM and SIGINT end this process of a launch, also while it waits for others where no Python runs,
    and that what torch would say besides, in every process, is an error at least."""
    if launch() is None or threading.current_thread() is not threading.main_thread():
        return
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def watch() -> None:
        while (number := os.read(reader, 1)[0]) not in (signal.SIGINT, signal.SIGTERM):
            pass
        time.sleep(_HEED_SECONDS)
        if first_to_say():
            os.write(2, f"{said}\n".encode())
        os._exit(128 + number)

    threading.Thread(target=watch, name="signals", daemon=True).start()


def end(code: int) -> int:
    """How a command ends: a process of a launch that went wrong at once, as others may be waited for in vain where an
    interpreter takes down what they share."""
    if code and launch() is not None:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        os._exit(code)
    return code
