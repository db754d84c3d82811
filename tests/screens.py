"""A screen that tests read: a terminal, or a pipe."""

import io


class Screen(io.StringIO):
    """What is written to a terminal, or to a pipe."""

    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal

    @classmethod
    def of_stderr(cls, monkeypatch, terminal):
        """Make one the standard error, on which progress is shown without the wait for something slow."""
        screen = cls(terminal)
        monkeypatch.setattr("unitcircle._progress.DELAY", -1.0)
        monkeypatch.setattr("sys.stderr", screen)
        monkeypatch.setenv("TERM", "xterm")
        return screen
