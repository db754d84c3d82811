"""The hostile files of ``../shared``: a refusal or a skip with a reason, within a budget, and nothing forged."""

from pathlib import Path

import pytest
from tests.checkpoints.cost import MB, STATUS, costs

from unitcircle.cli import main

HOSTILE = Path(__file__).parents[3] / "shared" / "cases" / "hostile"
CASES = sorted(HOSTILE.iterdir()) if HOSTILE.is_dir() else []
FILES = [path for path in CASES if path.suffix != ".jsonl"]
pytestmark = pytest.mark.skipif(not CASES, reason="the hostile files of ../shared are not here")
SECONDS = 2


@pytest.mark.skipif(not STATUS.exists(), reason="the peak is read from /proc")
def test_what_they_cost():
    found = dict(zip((path.name for path in CASES), costs(CASES), strict=True))
    assert {name: cost for name, cost in found.items() if not cost.kept or cost.seconds > SECONDS} == {}
    assert max((cost.peak for cost in found.values()), default=0) < 200 * MB


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_what_is_said_of_them(path, options, capsys):
    status = main(["diagnose", str(path), "--fail-on", "never", *options])
    said = capsys.readouterr()
    assert status in {0, 2, 3}
    assert status != 2 or len(said.err.splitlines()) == 1
    for text in (said.out, said.err):
        assert "Traceback" not in text
        assert all(char.isprintable() for line in text.split("\n") for char in line)
        text.encode("utf-8")


def test_one_bad_file_of_a_folder_is_named_and_skipped(capsys):
    assert main(["diagnose", str(HOSTILE / "badapple"), "--fail-on", "never"]) == 3
    assert "empty.bin was not read: it is empty" in capsys.readouterr().out
