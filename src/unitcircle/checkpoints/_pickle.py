"""A pickle machine that makes nothing: it notes what the file asks to be made, and calls no code at all.

Python's unpickler imports and calls what a pickle names. This one has no such instruction: a global is its name, a
call is an :class:`Inert` record of a name and its arguments, a dictionary is a list of pairs, so that not even a
hash is computed. What remains of the danger is size, which is counted instruction by instruction.
"""

from __future__ import annotations

import codecs
import pickletools
from collections.abc import Callable
from typing import Any, Protocol

from unitcircle.checkpoints._room import ask, take, work
from unitcircle.errors import CheckpointError

# Why not torch.load(weights_only=True): it needs torch, has let code through (CVE-2025-32434), and refuses a whole file
# for one class that it does not list, where the tensors beside it are wanted.

BATCH = 1 << 14
"""Bytes of memory that instructions may take before they are counted together."""
_WHAT = "its pickle"


class ByteSource(Protocol):
    """What a pickle is read from."""

    def read(self, count: int, /) -> bytes:
        """Return at most so many bytes."""
        ...

    def readline(self) -> bytes:
        """Return a line with its end."""
        ...


class Global:
    """The name of a class or function, which is never looked up."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class Inert:
    """An object that a pickle asks for, as a record: what should be called, with what, and what it should hold."""

    __slots__ = ("arguments", "entries", "name", "state")

    def __init__(self, name: str, arguments: tuple[Any, ...] = ()) -> None:
        self.name = name
        self.arguments = arguments
        self.state: Any = None
        self.entries: list[tuple[Any, Any]] = []


Build = Callable[[Inert], Any]
Persistent = Callable[[Any], Any]


def unpickle(file: ByteSource, /, *, persistent: Persistent, build: Build) -> Any:
    """Read one pickle from where a file stands, and leave the file just behind it."""
    machine = _Machine(persistent, build)
    spent = steps = 0
    try:
        while (code := file.read(1)) != b".":
            name, reader, cost = _OPCODES[code]
            argument = reader(file) if reader else None
            spent += cost + (len(argument) if isinstance(argument, str | bytes) else 0)
            steps += 1
            if spent >= BATCH or steps >= BATCH:
                take(spent, _WHAT)
                work(2 * steps, _WHAT)
                spent = steps = 0
            machine.perform(name, argument)
            if cost == _COSTS["REDUCE"] and _makes_tensor(machine.stack[-1]):
                spent += COST_OF_TENSOR
        take(spent, _WHAT)
        work(2 * steps, _WHAT)
        return machine.stack.pop()
    except (ValueError, TypeError, IndexError, KeyError, OverflowError) as error:
        message = f"its pickle is damaged or truncated ({error!s:.200})"
        raise CheckpointError(message) from error


def _makes_tensor(made: Any) -> bool:
    """Whether a record is no mere record, or is the call for an array."""
    return not isinstance(made, Inert) or made.name.startswith(("numpy", "jax"))


def _read_string(file: ByteSource) -> str:
    """Return the bytes of a quoted text of Python 2, one character each."""
    line = file.readline().strip()
    if len(line) < 2 or line[:1] not in {b"'", b'"'} or line[-1:] != line[:1]:
        raise ValueError("a text without quotes")
    return codecs.escape_decode(line[1:-1])[0].decode("latin-1")  # pyright: ignore[reportAttributeAccessIssue]  # has no stub; pickle calls it too


def _text(size: Callable[[Any], int]) -> Callable[[ByteSource], str]:
    """Return the reader of a text whose length is stored before it."""

    def read(file: ByteSource) -> str:
        data = file.read(length := size(file))
        if len(data) < length:
            raise ValueError("a text that is truncated")
        # One sign beyond 16 bits makes Python keep four bytes for each.
        ask(len(data) if data.isascii() else 4 * len(data), _WHAT)
        return data.decode("utf-8", "surrogatepass")

    return read


def _read_escaped(file: ByteSource) -> str:
    """Return the rest of a line, a text with escapes."""
    data = file.readline().removesuffix(b"\n")
    ask(4 * len(data) if b"\\" in data else len(data), _WHAT)
    return data.decode("raw-unicode-escape")


_READERS: dict[str, Callable[[Any], Any]] = {
    "STRING": _read_string,
    "UNICODE": _read_escaped,
    "SHORT_BINUNICODE": _text(pickletools.read_uint1),
    "BINUNICODE": _text(pickletools.read_uint4),
    "BINUNICODE8": _text(pickletools.read_uint8),
}
"""Readers of arguments that are not those of pickletools."""
_COSTS = {
    "EMPTY_DICT": 220,
    "EMPTY_LIST": 140,
    "EMPTY_SET": 140,
    "DICT": 220,
    "LIST": 140,
    "FROZENSET": 140,
    "TUPLE": 100,
    "TUPLE1": 80,
    "TUPLE2": 80,
    "TUPLE3": 80,
    "BINPUT": 100,
    "LONG_BINPUT": 100,
    "PUT": 100,
    "MEMOIZE": 100,
    "GLOBAL": 150,
    "STACK_GLOBAL": 150,
} | dict.fromkeys(("REDUCE", "NEWOBJ", "NEWOBJ_EX", "OBJ", "INST"), 220)
"""Bytes of memory that an instruction may take; 60 for all others."""
COST_OF_TENSOR = 600
"""Bytes that it takes in addition if a tensor or an array is made, until that has its name."""
_FREE = {"BINGET", "LONG_BINGET", "GET", "NONE", "NEWTRUE", "NEWFALSE", "BININT1", "MARK", "POP"}
_OPCODES: dict[bytes, tuple[str, Callable[[Any], Any] | None, int]] = {
    opcode.code.encode("latin-1"): (
        opcode.name,
        _READERS.get(opcode.name, opcode.arg.reader if opcode.arg else None),
        _COSTS.get(opcode.name, 10 if opcode.name in _FREE else 60),
    )
    for opcode in pickletools.opcodes
}


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_SILENT = {"PROTO", "FRAME", "READONLY_BUFFER"}
_EMPTY: dict[str, Callable[[], Any]] = {
    "EMPTY_LIST": list,
    "EMPTY_SET": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": lambda: Inert(""),
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_CONSTRUCTORS = {f"{module}.{name}" for module in ("copy_reg", "copyreg") for name in ("_reconstructor", "__newobj__")}
_LITERALS = frozenset(
    opcode.name
    for opcode in pickletools.opcodes
    if opcode.name.startswith(("INT", "BININT", "LONG", "FLOAT", "BINFLOAT", "STRING", "BINSTRING", "SHORT_BIN",
                               "UNICODE", "BINUNICODE", "BINBYTES", "BYTEARRAY"))
    and not opcode.name.endswith(("PUT", "GET"))
)  # fmt: skip


class _Machine:
    def __init__(self, persistent: Persistent, build: Build) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.persistent = persistent
        self.build = build

    def perform(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in _LITERALS:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in {"BINPUT", "LONG_BINPUT", "PUT"}:
            self.memo[argument] = stack[-1]
        elif name in {"BINGET", "LONG_BINGET", "GET"}:
            stack.append(self.memo[argument])
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = stack[-1]
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name in _TUPLES:
            items = tuple(stack[-_TUPLES[name] :])
            if len(items) < _TUPLES[name]:
                raise IndexError(name)
            stack[-_TUPLES[name] :] = [items]
        elif name not in _SILENT:
            special = getattr(self, f"_{name.lower()}", None)
            if special is None:
                message = f"its pickle uses the instruction {name}, which no checkpoint needs; save a state_dict"
                raise CheckpointError(message)
            special(argument)

    def _items_to_mark(self) -> list[Any]:
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        return items

    def _mark(self, _: Any) -> None:
        self.marks.append(len(self.stack))

    def _pop(self, _: Any) -> None:
        # The instruction also removes a mark that is on top.
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.stack.pop()

    def _pop_mark(self, _: Any) -> None:
        self._items_to_mark()

    def _dup(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    def _tuple(self, _: Any) -> None:
        self.stack.append(tuple(self._items_to_mark()))

    def _list(self, _: Any) -> None:
        self.stack.append(self._items_to_mark())

    _frozenset = _list

    def _dict(self, _: Any) -> None:
        items = self._items_to_mark()
        dictionary = Inert("")
        dictionary.entries = list(zip(items[::2], items[1::2], strict=True))
        self.stack.append(dictionary)

    def _append(self, _: Any) -> None:
        item = self.stack.pop()
        self._extend([item])

    def _appends(self, _: Any) -> None:
        self._extend(self._items_to_mark())

    _additems = _appends

    def _extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif isinstance(target, Inert):
            target.entries.extend((None, item) for item in items)
        else:
            raise TypeError("items for what holds none")

    def _setitem(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set([(key, value)])

    def _setitems(self, _: Any) -> None:
        items = self._items_to_mark()
        self._set(list(zip(items[::2], items[1::2], strict=True)))

    def _set(self, pairs: list[tuple[Any, Any]]) -> None:
        if isinstance(self.stack[-1], Inert):
            self.stack[-1].entries.extend(pairs)

    def _global(self, argument: str) -> None:
        self.stack.append(Global(argument.replace(" ", ".", 1)))

    def _stack_global(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise TypeError("a global without a name")
        self.stack.append(Global(f"{module}.{name}"))

    def _call(self, function: Any, arguments: Any) -> None:
        name = function.name if isinstance(function, Global) else "?"
        # The first protocols make an object by a call with its class.
        if name in _CONSTRUCTORS and isinstance(arguments, tuple) and isinstance(arguments[0], Global):
            name, arguments = arguments[0].name, ()
        self.stack.append(self.build(Inert(name, arguments if isinstance(arguments, tuple) else (arguments,))))

    def _reduce(self, _: Any) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        self._call(function, arguments)

    _newobj = _reduce

    def _newobj_ex(self, _: Any) -> None:
        self.stack.pop()
        self._reduce(_)

    def _inst(self, argument: str) -> None:
        self._call(Global(argument.replace(" ", ".", 1)), tuple(self._items_to_mark()))

    def _obj(self, _: Any) -> None:
        function, *arguments = self._items_to_mark()
        self._call(function, tuple(arguments))

    def _build(self, _: Any) -> None:
        state = self.stack.pop()
        if isinstance(self.stack[-1], Inert):
            self.stack[-1].state = state

    def _binpersid(self, _: Any) -> None:
        self.stack.append(self.persistent(self.stack.pop()))

    def _persid(self, argument: str) -> None:
        self.stack.append(self.persistent(argument))
