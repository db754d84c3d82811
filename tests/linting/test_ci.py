"""At home in CI: a repository with a hook, the action's script, completion, what the examples say."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from unitcircle.linting import Settings

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "ci"
COMMAND = f"{sys.executable} -m unitcircle"


def environment(**more):
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    return kept | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"} | more


@pytest.fixture
def repository(models, tmp_path):
    """A git repository with the settings of the example, the hook of this repository, and three models."""
    pytest.importorskip("pre_commit")
    if shutil.which("git") is None:
        pytest.skip("git is not here")
    home = tmp_path / "home"
    repository = tmp_path / "repository"
    (repository / "models").mkdir(parents=True)
    shutil.copy(EXAMPLE / "pyproject.toml", repository)
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    # As pre-commit runs it, but without the network: the command of this tree instead of an installed release.
    hook |= {"entry": hook["entry"].replace("unitcircle", COMMAND, 1), "language": "system"}
    config = {"repos": [{"repo": "local", "hooks": [hook]}]}
    (repository / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    env = environment(
        HOME=str(home), PRE_COMMIT_HOME=str(home / "pre-commit"), GIT_CONFIG_NOSYSTEM="1", GIT_AUTHOR_NAME="a",
        GIT_AUTHOR_EMAIL="a@b.c", GIT_COMMITTER_NAME="a", GIT_COMMITTER_EMAIL="a@b.c",
    )  # fmt: skip

    def run(*words):
        return subprocess.run(words, cwd=repository, env=env, capture_output=True, text=True, check=False)

    run("git", "init", "-q")
    run(sys.executable, "-m", "pre_commit", "install")
    run("git", "add", "pyproject.toml", ".pre-commit-config.yaml")
    return repository, run, models


@pytest.mark.slow
def test_the_hook_blocks_a_bad_model_and_passes_a_good_and_a_known_one(repository):
    folder, run, models = repository
    baseline = folder / "unitcircle-known.json"
    baseline.write_text('{"schema": 1, "findings": []}')
    run("git", "add", "unitcircle-known.json")
    shutil.copy(models / "good.npz", folder / "models")
    run("git", "add", "models/good.npz")
    passed = run("git", "commit", "-m", "a good model")
    assert passed.returncode == 0, passed.stdout + passed.stderr
    shutil.copy(models / "bad.npz", folder / "models")
    run("git", "add", "models/bad.npz")
    blocked = run("git", "commit", "-m", "a bad model")
    assert blocked.returncode == 1
    assert "models/bad.npz: lstm[o]: UC102 error" in blocked.stdout + blocked.stderr
    written = run(sys.executable, "-m", "unitcircle", "diagnose", "models/*", "--write-baseline")
    assert written.returncode == 0, written.stderr
    run("git", "add", "unitcircle-known.json")
    known = run("git", "commit", "-m", "a known finding")
    assert known.returncode == 0, known.stdout + known.stderr


def test_pre_commit_accepts_the_manifest():
    clientlib = pytest.importorskip("pre_commit.clientlib")
    (hook,) = clientlib.load_manifest(str(ROOT / ".pre-commit-hooks.yaml"))
    assert hook["id"] == "unitcircle"
    clientlib.load_config(str(EXAMPLE / ".pre-commit-config.yaml"))


def test_the_settings_of_the_example_are_settings():
    settings = Settings.load(EXAMPLE / "pyproject.toml")
    assert settings.baseline == EXAMPLE / "unitcircle-known.json"
    assert "UC101" not in settings.codes_for(str(EXAMPLE / "experiments" / "x.pt"))


@pytest.mark.parametrize(("paths", "status"), [("good.npz", 0), ("good.npz\n\nb*d.npz", 1), ("broken.npz", 2)])
@pytest.mark.parametrize("sarif", ["", "log.sarif"])
def test_the_script_of_the_action(paths, status, sarif, models):
    steps = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"]
    shim = models / "bin"
    shim.mkdir()
    (shim / "unitcircle").write_text(f'#!/bin/sh\nexec {COMMAND} "$@"\n')
    (shim / "unitcircle").chmod(0o755)
    search = os.pathsep.join([str(shim), os.environ["PATH"]])
    env = environment(PATHS=paths, ARGUMENTS="--fail-on error", SARIF=sarif, PATH=search)
    script = ["bash", "-eo", "pipefail", "-c", steps[1]["run"]]
    done = subprocess.run(script, cwd=models, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    assert (models / "log.sarif").exists() == bool(sarif)
    env["ARGUMENTS"] = "--fail-on never\n--steps 7\n"
    every = subprocess.run(script, cwd=models, env=env, capture_output=True, text=True, check=False)
    assert every.returncode == (2 if status == 2 else 0), every.stderr  # arguments on lines of their own count too
    if status == 1 and not sarif:
        assert done.stdout.startswith("::error file=bad.npz,title=UC102")


def test_the_action_hands_inputs_over_by_the_environment_only():
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    assert all("${{" not in step["run"] for step in action["runs"]["steps"])


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_is_printed(shell, capsys):
    from unitcircle.cli import main

    with pytest.raises(SystemExit) as end:
        main(["--tyro-print-completion", shell])
    assert end.value.code in {0, None}
    script = capsys.readouterr().out
    assert "diagnose" in script
    assert "--output-format" in script


def test_the_conda_recipe_asks_for_what_the_package_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    recipe = yaml.safe_load((ROOT / "conda" / "recipe.yaml").read_text(encoding="utf-8"))
    wanted = {text.replace(">=", " >=") for text in project["dependencies"]}
    asked = {text.replace("matplotlib-base", "matplotlib") for text in recipe["requirements"]["run"]}
    assert asked - wanted == {"python >=${{ python_min }}"}
    assert wanted <= asked
    assert recipe["context"]["version"] == project["version"]
    assert f">={recipe['context']['python_min']}" == project["requires-python"]


def test_the_conda_recipe_renders():
    rattler_build = pytest.importorskip("rattler_build")
    (variant,) = rattler_build.Stage0Recipe.from_file(ROOT / "conda" / "recipe.yaml").render()
    assert "unitcircle" in repr(variant)
