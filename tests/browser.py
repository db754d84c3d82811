"""A headless Chromium over its DevTools protocol: pages as wide as a phone, in the dark, on paper, with a keyboard."""

import base64
import json
import shutil
import subprocess
import time
from contextlib import contextmanager

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PHONE, DESKTOP = (390, 844), (1200, 900)
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
FLAGS += ("--disable-sync", "--disable-component-update", "--remote-debugging-port=0", "--remote-allow-origins=*")


class Tab:
    """One tab, which keeps what its console says."""

    def __init__(self, socket):
        self._socket, self._count, self.console = socket, 0, []
        self._session = None
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")

    def _call(self, method, **parameters):
        self._count += 1
        session = {"sessionId": self._session} if self._session else {}
        self._socket.send(json.dumps({"id": self._count, "method": method, "params": parameters} | session))
        while True:
            answer = json.loads(self._socket.recv(timeout=120))
            self._note(answer)
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def _note(self, event):
        method, parameters = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.console.append(str(parameters["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in {"error", "assert"}:
            self.console.append(str([argument.get("value") for argument in parameters["args"]]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.console.append(parameters["entry"]["text"] + " " + parameters["entry"].get("url", ""))

    def size(self, width, height):
        """Be a window of this size, which a real one cannot be below 500 pixels."""
        phone = width < 500
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)

    def look(self, *, dark=False, media=""):
        """Prefer light or dark, on the screen or on paper (``media="print"``)."""
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._call("Emulation.setEmulatedMedia", media=media, features=features)

    def open(self, address):
        """Load a page whole."""
        self._call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def leave(self):
        """Show nothing, so that no page misses a server that has ended."""
        self._call("Page.navigate", url="about:blank")

    def js(self, expression):
        """The value of an expression in the page; of a promise, when it is there."""
        result = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(str(result["exceptionDetails"]))
        return result["result"].get("value")

    def wait(self, condition, *, seconds=60):
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.js(condition):
            assert time.monotonic() < end, f"not true after {seconds} s: {condition}"
            time.sleep(0.05)

    def press(self, key):
        """Press and release a key, such as ``"Tab"``, ``"Enter"`` or ``"ArrowRight"``."""
        codes = {"Tab": 9, "Enter": 13, "ArrowLeft": 37, "ArrowRight": 39, "End": 35, "Home": 36, "Escape": 27}
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self._call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=codes[key],
                **(text if kind == "keyDown" else {}),
            )  # fmt: skip

    def choose(self, element, *paths):
        """Give files to a file input, an expression in the page."""
        found = self._call("Runtime.evaluate", expression=element)["result"]
        self._call("DOM.setFileInputFiles", objectId=found["objectId"], files=[str(path) for path in paths])

    def picture(self, path, *, whole=True):
        """Save the page, or what of it is on the screen, as PNG."""
        data = self._call("Page.captureScreenshot", captureBeyondViewport=whole, **self._clip(whole))["data"]
        path.write_bytes(base64.b64decode(data))

    def _clip(self, whole):
        if not whole:
            return {}
        box = self._call("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": box["width"], "height": min(box["height"], 12000), "scale": 1}}

    def pdf(self):
        """The page as it is printed."""
        return base64.b64decode(self._call("Page.printToPDF", printBackground=True)["data"])


@contextmanager
def browser(folder):
    """A tab of a browser whose profile is in a folder."""
    from websockets.sync.client import connect

    command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            address = next(line.split()[-1] for line in process.stderr if line.startswith("DevTools listening"))
            with connect(address, max_size=None, open_timeout=None, ping_interval=None) as socket:
                yield Tab(socket)
        finally:
            process.terminate()
