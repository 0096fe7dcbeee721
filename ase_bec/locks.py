"""Locks on outputs: only one run at a time writes to a file."""

from __future__ import annotations

import errno
import json
import os
import shlex
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

__all__ = ["OutputInUse", "locked"]

_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


class OutputInUse(ValueError):
    """Another run is writing to an output."""


_held: dict[Path, tuple[int, int]] = {}  # process and thread that hold it
_handles: set[int] = set()


@contextmanager
def locked(*paths: str | os.PathLike[str], again: bool = False) -> Iterator[None]:
    """Hold outputs, existing or not, so that no other run can; refuse where one does.

    The lock of ``md.traj`` is that of the operating system on a file ``.md.traj.lock`` beside it,
    which says who holds it. It ends with the process, also with a killed one; a file that is left
    behind then is in nobody's way. On file systems without locks, the process that the file names
    holds the lock as long as it runs.

    Parameters
    ----------
    *paths
        Files or folders that will be written.
    again
        Pass over those that this thread holds already, where a run is part of another.

    Raises
    ------
    OutputInUse
        If another run holds one of them, with its process.
    FileNotFoundError
        If the folder does not exist.
    """
    targets = sorted({Path(os.path.realpath(path)) for path in paths})
    mine = (os.getpid(), threading.get_ident())
    with ExitStack() as stack:
        for target in targets:
            if not (again and _held.get(target) == mine):
                stack.enter_context(_one(target, mine))
        yield


@contextmanager
def _one(target: Path, mine: tuple[int, int]) -> Iterator[None]:
    if not target.parent.is_dir():
        raise FileNotFoundError(f"`{target}`: there is no folder `{target.parent}`")
    file = target.with_name(f".{target.name}.lock")
    handle = _acquired(target, file)
    _held[target] = mine
    _handles.add(handle)
    try:
        yield
    finally:
        if os.getpid() == mine[0]:  # not in a process forked meanwhile
            del _held[target]
            _handles.discard(handle)
            with suppress(OSError):
                os.unlink(file)
            os.close(handle)


def _acquired(target: Path, file: Path) -> int:
    """Open the lock file and lock it; another that is put in its place meanwhile counts."""
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _claim(handle)
            with suppress(FileNotFoundError):  # its holder has just removed it
                if os.path.samestat(os.fstat(handle), os.stat(file)):
                    os.ftruncate(handle, 0)
                    os.pwrite(handle, json.dumps(_self_description()).encode(), 0)
                    return handle
            os.close(handle)
        except BlockingIOError:
            holder = _described(_read(handle))
            os.close(handle)
            raise OutputInUse(
                f"`{target.name}` must be free to write, got another run writing to it: {holder}; "
                "wait until it ends, or name another output"
            ) from None
        except BaseException:
            os.close(handle)
            raise


def _claim(handle: int) -> None:
    """Lock a file, or raise BlockingIOError."""
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except (ImportError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _WITHOUT_LOCKS:
            raise
        if _runs(_read(handle)):
            raise BlockingIOError from None


def _self_description() -> dict[str, Any]:
    command = [Path(sys.argv[0]).name, *sys.argv[1:]]
    return {
        "process": os.getpid(),
        "host": socket.gethostname(),
        "command": shlex.join(command)[:200],
        "since": datetime.now().isoformat(" ", "seconds"),
    }


def _read(handle: int) -> dict[str, Any]:
    try:
        found = json.loads(os.pread(handle, 4096, 0))
    except ValueError:  # not written yet
        return {}
    return found if isinstance(found, dict) else {}


def _described(holder: dict[str, Any]) -> str:
    if "process" not in holder:
        return "a process that does not say which"
    here = " (this one)" if holder["process"] == os.getpid() else ""
    return "process {process}{here} on {host} since {since}, `{command}`".format(
        here=here, **{"host": "?", "since": "?", "command": "?", **holder}
    )


def _runs(holder: dict[str, Any]) -> bool:
    """Whether a process is there; on another machine it is taken to be."""
    if "process" not in holder:
        return False
    if holder.get("host") != socket.gethostname() or os.name != "posix":
        return True
    try:
        os.kill(int(holder["process"]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _let_go() -> None:
    """A forked process holds none of its parent's locks."""
    _held.clear()
    for handle in _handles:
        os.close(handle)
    _handles.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
