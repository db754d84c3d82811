"""A live model and its batch from the command line."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from inspect import signature
from pathlib import Path
from traceback import StackSummary, TracebackException
from typing import Any
from zipfile import BadZipFile

from unitcircle._printable import printable
from unitcircle.errors import ArgumentError, MissingExtraError


def model_from(place: str, /, *, seed: int) -> Any:
    """Import ``package.module:factory``, from the working directory too, and return the module that it makes.

    Parameters
    ----------
    place
        ``package.module:factory``: a function or class to call without arguments, or a ``torch.nn.Module``.
    seed
        Seed of torch's global generator, which is set before the factory is called.

    Returns
    -------
    torch.nn.Module
        The model.
    """
    # Recurrences multiply small matrices, one after the other: beside one other busy process, threads made this 12 to
    # 18 times slower. A value that the user has set stays.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("diagnosing a live model", "torch", "torch") from error
    module_name, _, name = place.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        factory = getattr(import_module(module_name), name)
    except (ImportError, AttributeError) as error:
        raise ArgumentError("path", "must be a file, or an importable module:factory", f"{place} ({error})") from error
    except (Exception, SystemExit) as error:  # the user's module may raise anything
        raise _users_error(error, place, "import") from None
    finally:
        sys.path.remove(str(Path.cwd()))
    torch.manual_seed(seed)
    model = factory if isinstance(factory, torch.nn.Module) else _called(factory, place)
    if not isinstance(model, torch.nn.Module):
        raise ArgumentError("path", "must name a factory that returns a torch.nn.Module", type(model).__name__)
    return model


def _called(factory: Any, place: str) -> Any:
    """Call the user's function."""
    if not callable(factory):
        raise ArgumentError("path", "must name a function, a class or a torch.nn.Module", type(factory).__name__)
    try:
        signature(factory).bind()
    except TypeError as error:
        remedy = "Name a function without arguments that makes the model."
        raise ArgumentError("path", "must name a factory without arguments", f"{place} ({error})", remedy) from None
    except ValueError:  # a function of C has no signature
        pass
    try:
        return factory()
    except (Exception, SystemExit) as error:
        raise _users_error(error, place, "run") from None


def _users_error(error: Exception | SystemExit, place: str, what: str) -> ArgumentError:
    """Print the user's part of a traceback, and return the error that ends the command."""
    report = TracebackException.from_exception(error)
    ours = str(Path(__file__).parent)
    frames = [frame for frame in report.stack if "importlib" not in frame.filename and ours not in frame.filename]
    report.stack = StackSummary.from_list(frames)
    print("\n".join(map(printable, "".join(report.format()).splitlines())), file=sys.stderr)
    return ArgumentError("path", f"must name a module:factory that can {what}", f"{place}: {type(error).__name__}")


def batch_from(path: Path, model: Any, /) -> Any:
    """Read the batch of a live model.

    Parameters
    ----------
    path
        ``.npy``: the inputs. ``.npz``: ``inputs`` and ``target``, a single array, or the model's arguments by name.
    model
        The module whose arguments these are.

    Returns
    -------
    Any
        A tensor, ``(inputs, target)``, or a dictionary.
    """
    import numpy as np
    import torch

    try:
        with path.open("rb") as file:
            content: Any = np.load(file, allow_pickle=False)
            arrays = {"inputs": content} if isinstance(content, np.ndarray) else dict(content)
        tensors = {name: torch.as_tensor(array) for name, array in arrays.items()}
    except (OSError, EOFError, ValueError, TypeError, BadZipFile) as error:
        raise ArgumentError("--data", "must be a readable .npy or .npz file of numbers", f"{path} ({error})") from error
    if set(tensors) == {"inputs", "target"}:
        return tensors["inputs"], tensors["target"]
    if len(tensors) == 1:
        return next(iter(tensors.values()))
    try:
        signature(model.forward).bind(**tensors)
    except TypeError as error:
        raise ArgumentError(
            "--data", "must hold inputs and target, or the model's arguments", str(error).removeprefix("got ")
        ) from error
    return tensors
