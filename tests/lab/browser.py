"""The lab in a real browser: load every notebook, move every slider, watch the picture change: ``make lab``.

Prints the time from a key press to the new picture, the median and the largest of eight presses at n = 128, as the page
itself measures it; writes a picture of every page, wide and as on a phone.
"""

import math
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median
from urllib.error import URLError
from urllib.request import urlopen

from tests.browser import DESKTOP, PHONE, browser

from unitcircle import lab

PORT = 27180
OUT = Path("out") / "lab"
EXAMPLE = Path(__file__).parents[2] / "examples" / "popular-lstm.safetensors"
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
const choose = (text) => {
  const option = deep("option").find((e) => e.textContent === text), select = option.closest("select");
  select.value = option.value;
  select.dispatchEvent(new Event("change", { bubbles: true }));
};
"""
PRESSES = 8
SIZE = 128
"""Units at which times are taken; the sliders of depth and gates end there."""
CHOSEN = {
    ("ensembles", "std (gaussian), in 1/√n"): "gaussian",
    ("ensembles", "modulus or gain"): "eigen",
    ("file", "steps"): "powers",
}
"""Slider → the option without which it changes nothing."""


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


def upload(tab, path):
    """Give the notebook of files a file, and wait for the eigenvalues of its first gate."""
    tab.choose(f"(() => {{ {DEEP}; return deep('input[type=file]')[0] }})()", path)
    for _ in range(300):
        if js(tab, "texts('pre code', (e) => e.textContent)"):
            return []
        time.sleep(0.2)
    return [f"file: {path.name} was not drawn"]


NEXT = """new Promise((done) => {
  const before = picture(), end = performance.now() + 60000;
  let pressed = null;
  addEventListener("keydown", (event) => { pressed ??= event.timeStamp; }, { capture: true, once: true });
  const look = () => {
    const now = picture();
    if (now !== before && now !== "") done([performance.now() - (pressed ?? NaN)]);
    else if (performance.now() > end) done(null);
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})"""
"""Milliseconds from the next key press to the frame with another picture, as the page itself measures them."""


def another_picture(tab, act):
    """Do something, and return the milliseconds until another picture is there, or None; NaN without a key press."""
    js(tab, f"(window.nextPicture = {NEXT}, 0)")
    act()
    answer = tab.js("window.nextPicture")
    return answer and (math.nan if answer[0] is None else answer[0])


def move_every_slider(tab, topic):
    count = js(tab, "deep('[role=slider]').length")
    failures = []
    for k in range(count):
        if js(
            tab, f"label(deep('[role=slider]')[{k}]) === 'units n' && deep('[role=slider]')[{k}].ariaValueMax == {SIZE}"
        ):
            js(tab, f"deep('[role=slider]')[{k}].focus()")
            another_picture(tab, partial(tab.press, "End"))
    for k in range(count):
        label = js(tab, f"label(deep('[role=slider]')[{k}])") or f"slider {k}"
        if option := CHOSEN.get((topic, label)):
            another_picture(tab, partial(js, tab, f"choose('{option}')"))
        js(tab, f"deep('[role=slider]')[{k}].focus()")
        at_end = js(tab, f"((e) => e.ariaValueNow === e.ariaValueMax)(deep('[role=slider]')[{k}])")
        keys = ("ArrowLeft", "ArrowRight") if at_end else ("ArrowRight", "ArrowLeft")
        times = [another_picture(tab, partial(tab.press, key)) for key in keys]
        if None not in times:
            times += [another_picture(tab, partial(tab.press, key)) for key in keys * (PRESSES // 2 - 1)]
        taken = [milliseconds for milliseconds in times if milliseconds is not None]
        said = f"{median(taken):6.0f} ms, at most {max(taken):4.0f}" if taken else "unchanged"
        print(f"{topic:12} {label:45} {said}", flush=True)
        if not taken:
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
                    if topic == "file":
                        failures += upload(tab, EXAMPLE)
                    tab.picture(OUT / f"{topic}-wide.png", whole=False)
                    failures += move_every_slider(tab, topic)
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
