"""A worker process: applies one function to what comes through a pipe, and lives as long as its driver.

It is run as a file, not as a module of the package: so it starts at once, and the environment that its driver has set
holds before any numerical library is imported. Nothing but the standard library is imported here.
"""

from __future__ import annotations

import faulthandler
import sys
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any


def serve(pipe: Connection[Any, Any], /) -> None:
    """Receive the import path and a function, announce to be ready, then answer task after task."""
    # An answer is (True, value) or (False, traceback).
    # A pipe that ends is the driver's way to say that there is no more to do, also when it was killed.
    with suppress(EOFError, OSError):
        sys.path[:] = pipe.recv()
        function = pipe.recv()
        pipe.send(None)
        while True:
            task = pipe.recv()
            try:
                answer = (True, function(task))
            except Exception:
                answer = (False, traceback.format_exc())
            pipe.send(answer)


if __name__ == "__main__":
    faulthandler.enable()
    serve(Connection(int(sys.argv[1])))
