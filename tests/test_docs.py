"""What the pages say of the tree is so."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "unitcircle"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ")]
PATH = re.compile(r"`((?:[\w.<>-]+/)+[\w.<>-]*|[\w<>-]+\.(?:py|css|md))`")


def is_there(path: str, folder: Path) -> bool:
    """Return whether a path of the page exists; ``<name>`` stands for any, and a bare file is beside the last one."""
    pattern = re.sub(r"<\w+>", "*", path).rstrip("/")
    return any(any(root.glob(pattern)) for root in (ROOT, PACKAGE, folder))


def test_every_path_of_the_table_of_tasks_exists():
    missing: list[str] = []
    count = 0
    for row in ROWS:
        folder = PACKAGE
        for path in PATH.findall(row):
            count += 1
            missing += [] if is_there(path, folder) else [path]
            folder = (PACKAGE / path).parent if "/" in path else folder
    assert count > 30
    assert missing == []


def test_a_missing_path_is_missed():
    assert is_there("diagnosis/rules/_uc2*.py", PACKAGE)
    assert is_there("_trial.py", PACKAGE / "diagnosis")
    assert is_there("experiments/tasks/_<name>.py", PACKAGE)
    assert not is_there("_trial.py", PACKAGE)
    assert not is_there("monitor/_alarms.py", PACKAGE)


def test_every_path_of_the_page_of_promises_exists():
    found = PATH.findall((ROOT / "docs" / "reliability.md").read_text(encoding="utf-8"))
    assert sum(path.startswith("tests/") for path in found) > 15
    assert [path for path in found if not is_there(path, PACKAGE)] == []
