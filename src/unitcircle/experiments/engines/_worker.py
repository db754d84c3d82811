"""A worker process: applies one function to the tasks that come through a pipe, until its driver ends.

It is run as a file, not as a module of the package, so that it starts quickly and the environment variables of its
driver are set before a numerical library is imported. Only the standard library is imported here.
"""

from __future__ import annotations

import faulthandler
import sys
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any


def serve(pipe: Connection[Any, Any], /) -> None:
    """Receive the import path and a function, report to be ready, then answer each task."""
    # An answer is (True, value) or (False, traceback).
    # The end of the pipe means that the driver has no more tasks, or was killed.
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
