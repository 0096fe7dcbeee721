"""Runs in processes of their own, to be killed on the way."""

import os
import subprocess
import sys
import time
from pathlib import Path


def start(code: str, *arguments: object) -> subprocess.Popen[bytes]:
    """Start a Python program that can import what lies beside this file."""
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, env=environment)


def kill(process: subprocess.Popen[bytes], path: Path, size: float, pause: float = 0.0) -> None:
    """Kill a process some time after its file has become larger than so many bytes."""
    while process.poll() is None and (not path.exists() or path.stat().st_size <= size):
        time.sleep(0.001)
    time.sleep(pause)
    process.kill()
    process.wait()
