"""The lab in a real browser: load every notebook, move every slider, watch the picture change: ``make lab``.

Prints the time from a key press to the new picture; writes a picture of every page, wide and as on a phone.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tests.browser import DESKTOP, PHONE, browser

from unitcircle import lab

PORT = 27180
OUT = Path("out") / "lab"
# marimo draws its elements in shadow trees.
DEEP = """
const deep = (selector, root = document) => [...root.querySelectorAll(selector),
  ...[...root.querySelectorAll("*")].filter((e) => e.shadowRoot).flatMap((e) => deep(selector, e.shadowRoot))];
const texts = (selector, get) => deep(selector).map(get).join();
const picture = () => texts("pre code", (e) => e.textContent) + texts("svg[role=img]", (e) => e.innerHTML);
const label = (slider) => {
  const text = JSON.parse(slider.getRootNode().host?.dataset.label ?? '""');
  return new DOMParser().parseFromString(text, "text/html").body.textContent;
};
"""
NO_EFFECT = {("ensembles", "std (gaussian), in 1/√n")}
"""Sliders that are of another ensemble than the first."""


def js(tab, expression):
    return tab.js(f"(() => {{ {DEEP}; return {expression} }})()")


def wait_for_server(address):
    for _ in range(600):
        try:
            urlopen(address, timeout=5).close()
        except (URLError, OSError):
            time.sleep(0.2)
        else:
            return
    raise TimeoutError(address)


def move_every_slider(tab, topic):
    count = js(tab, "deep('[role=slider]').length")
    failures = []
    for k in range(count):
        before = js(tab, "picture()")
        label = js(tab, f"label(deep('[role=slider]')[{k}])") or f"slider {k}"
        js(tab, f"deep('[role=slider]')[{k}].focus()")
        started = time.monotonic()
        tab.press("ArrowRight")
        changed = False
        patience = 2 if (topic, label) in NO_EFFECT else 60
        while not changed and time.monotonic() - started < patience:
            changed = js(tab, "picture()") not in {before, ""}
        milliseconds = 1e3 * (time.monotonic() - started)
        print(f"{topic:12} {label:45} {f'{milliseconds:6.0f} ms' if changed else 'unchanged'}", flush=True)
        if not changed and (topic, label) not in NO_EFFECT:
            failures.append(f"{topic}: {label} changes nothing")
    return failures if count else [f"{topic}: no slider"]


def main(topics):
    OUT.mkdir(parents=True, exist_ok=True)
    failures = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, browser(Path(folder)) as tab:
        for topic in topics:
            address = f"http://127.0.0.1:{PORT}/"
            options = ["--host", "127.0.0.1", "--port", str(PORT), "--headless"]
            command = [sys.executable, "-m", "marimo", "-q", "run", str(lab.notebook(topic)), *options]
            with subprocess.Popen(command) as server:
                try:
                    wait_for_server(address)
                    tab.console.clear()
                    tab.size(*DESKTOP)
                    tab.open(address)
                    drawn = (
                        "deep('pre code').length > 0"
                        if topic != "file"
                        else "document.body.innerText.includes('Drop a file')"
                    )
                    for _ in range(900):
                        if js(tab, drawn):
                            break
                        time.sleep(0.2)
                    tab.picture(OUT / f"{topic}-wide.png", whole=False)
                    failures += move_every_slider(tab, topic) if topic != "file" else []
                    tab.size(*PHONE)
                    time.sleep(0.5)
                    tab.picture(OUT / f"{topic}-phone.png", whole=False)
                    if tab.js("document.documentElement.scrollWidth > innerWidth"):
                        failures.append(f"{topic}: wider than a phone")
                    failures += [f"{topic}: console: {line}" for line in tab.console]
                    tab.leave()
                finally:
                    server.terminate()
    print("\n".join(failures) or "every slider of every notebook changes the picture; no error in the console")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or list(lab.NOTEBOOKS)))
