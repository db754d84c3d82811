"""What the command line does before any command."""

import runpy
import sys
from importlib.metadata import version

import pytest

from unitcircle import cli


@pytest.mark.parametrize("word", ["--version", "-V"])
def test_the_version_is_that_of_the_package(word, capsys):
    assert cli.main([word]) == 0
    assert capsys.readouterr().out == f"unitcircle {version('unitcircle')}\n"


@pytest.mark.parametrize(("words", "status"), [(["--version"], 0), (["explain", "UC999"], 2)])
def test_the_package_can_be_run_as_a_module(words, status, monkeypatch, capsys):
    # It may have been imported, as any module is by the test of the house.
    monkeypatch.delitem(sys.modules, "unitcircle.__main__", raising=False)
    monkeypatch.setattr(sys, "argv", ["unitcircle", *words])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("unitcircle", run_name="__main__")
    assert end.value.code == status
