"""What is loaded into real programs with LD_PRELOAD, so that they take for the time what a test wants."""

from __future__ import annotations

import atexit
import functools
import shutil
import subprocess
from pathlib import Path
from tempfile import mkdtemp


@functools.cache
def folder() -> Path:
    """Where the tests of this process keep what is not of one test alone."""
    made = Path(mkdtemp(prefix="tim-tests-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


@functools.cache
def shim(name: str) -> Path:
    """`name.c`, compiled. Each process compiles its own, so that none loads what another is still writing."""
    compiled = folder() / f"{name}.so"
    source = Path(__file__).with_name(f"{name}.c")
    subprocess.run(["gcc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", compiled, source], check=True)
    return compiled
