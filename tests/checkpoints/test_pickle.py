"""The pickle machine: it reads what Python's pickler writes, makes nothing, and runs nothing."""

import io
import pickle
import pickletools
import struct
from collections import OrderedDict
from fractions import Fraction
from pathlib import Path

import pytest

from unitcircle.checkpoints import _pickle, _room
from unitcircle.checkpoints._contents import Contents
from unitcircle.checkpoints._objects import named_tensors
from unitcircle.checkpoints._pickle import Global, Inert, unpickle
from unitcircle.checkpoints._room import room
from unitcircle.checkpoints._tensor import StoredTensor
from unitcircle.errors import CheckpointError


def load(data):
    return unpickle(io.BytesIO(data), persistent=lambda pid: ("pid", pid), build=lambda call: call)


def plain(value):
    """A record of builtins as the builtins."""
    if isinstance(value, Inert):
        return {plain(key): plain(item) for key, item in value.entries}
    if isinstance(value, list | tuple):
        return type(value)(map(plain, value))
    return value


VALUES = [
    None,
    True,
    -3,
    10**40,
    2.5,
    "λ",
    "x" * 300,
    b"bytes",
    b"y" * 300,
    bytearray(b"z"),
    [1, [2, []]],
    (1,),
    (1, 2),
    (1, 2, 3),
    (1, 2, 3, 4),
    (),
    {"a": 1, 2: {"b": [3]}},
    [["same"]] * 2,
]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_plain_values_come_back_from_every_protocol(value, protocol):
    if protocol < (5 if isinstance(value, bytearray) else 3) and isinstance(value, bytes | bytearray):
        pytest.skip("older protocols pickle bytes as a call")
    assert plain(load(pickle.dumps(value, protocol))) == value


def test_shared_and_cyclic_containers():
    cyclic = [1]
    cyclic.append(cyclic)
    read = load(pickle.dumps(cyclic))
    assert read[1] is read


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_objects_become_records(protocol):
    half = load(pickle.dumps(Fraction(1, 2), protocol))
    assert half.name == "fractions.Fraction"
    ordered = load(pickle.dumps(OrderedDict(a=1), protocol))
    assert (ordered.name, ordered.entries) == ("collections.OrderedDict", [("a", 1)])
    path = load(pickle.dumps(Path, protocol))
    assert isinstance(path, Global)
    assert path.name.endswith("Path")
    assert sorted(plain(load(pickle.dumps({3, 4}, protocol))) or [3, 4]) == [3, 4]


class Cruel:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nothing_is_executed(protocol, tmp_path):
    victim = tmp_path / "executed"
    data = pickle.dumps({"weights": Cruel(victim)}, protocol)
    load(data)
    assert not victim.exists()
    pickle.loads(data)  # the same bytes do run in Python's unpickler
    assert victim.exists()


def test_state_items_and_marks_of_old_instructions():
    old = b"(icollections\nOrderedDict\n(dp0\nS'a'\nI1\nsb."
    read = load(old)
    assert read.name == "collections.OrderedDict"
    assert read.state.entries == [("a", 1)]
    assert load(b"(cbuiltins\nlist\nI1\no.").arguments == (1,)
    assert load(b"(I1\nI2\n1(I5\n0t.") == ()
    assert load(b"(0I4\n.") == 4
    twice = load(b"]2a.")
    assert twice[0] is twice
    assert load(b"P7\n.") == ("pid", "7")
    assert load(b"\x80\x02K\x07Q.") == ("pid", 7)
    assert load(b"cbuiltins\nobject\n)}\x92.").name == "builtins.object"
    assert load(b"I1\n)R.").name == "?"
    assert load(b"cos\nsystem\nI1\nR.").arguments == (1,)
    assert load(b"I1\n(I2\nI3\nu.") == 1
    assert load(b"I1\nI2\nb.") == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "damaged or truncated"),
        (b"\x80\x04", "damaged or truncated"),
        (b"I1\n", "damaged or truncated"),
        (b".", "damaged or truncated"),
        (b"h\x05.", "damaged or truncated"),
        (b"I1\n\x87.", "damaged or truncated"),
        (b"I1\nI2\na.", "damaged or truncated"),
        (b"I1\nI2\n\x93.", "damaged or truncated"),
        (b"(I1\nd.", "damaged or truncated"),
        (b"\x82\x01.", "uses the instruction EXT1"),
        (b"\x97.", "uses the instruction NEXT_BUFFER"),
        (b"\x8e" + struct.pack("<Q", 1 << 62) + b"x.", "damaged or truncated"),
        (b"L" + b"9" * 5000 + b"L\n.", "damaged or truncated"),
    ],
)
def test_damage_is_said(data, message):
    with pytest.raises(CheckpointError, match=message):
        load(data)


def test_a_huge_memo_index_costs_nothing():
    # Python's own unpickler would allocate 16 GiB for this index.
    assert load(b"I1\nr\xff\xff\xff\x7f.") == 1


@pytest.mark.parametrize(("item", "cost"), [(b"I1\n", 60), (b"}", 220), (b"]", 140), (b")", 60), (b"NR", 230)])
def test_the_memory_of_records_is_bounded(monkeypatch, item, cost):
    monkeypatch.setattr(_room, "ALLOWANCE", 100 * cost + 60)
    with room():
        load(b"N" + item * 100 + b".")
    with room(), pytest.raises(CheckpointError, match="its pickle would take"):
        load(b"N" + item * 110 + b".")


def test_several_pickles_share_the_memory(monkeypatch):
    monkeypatch.setattr(_room, "ALLOWANCE", 1300)
    with room():
        for _ in range(5):
            load(b"}.")
        with pytest.raises(CheckpointError, match="its pickle would take"):
            load(b"}.")


def test_deep_nesting_exhausts_no_stack():
    depth = 50_000
    tensors = named_tensors(load(b"I1\n" + b"\x85" * depth + b".")).tensors
    assert tensors == {}
    # As a key it would be hashed, tuple in tuple, by Python's unpickler.
    read = load(b"}I1\n" + b"\x85" * depth + b"I2\ns.")
    assert read.entries[0][1] == 2


def test_a_billion_laughs_are_visited_once():
    # Ten references to a list of ten references to a list of ...: 10³⁰ leaves in 600 bytes.
    laughs = b"".join(b"](" + b"h%c" % (k - 1) * 10 + b"eq%c" % k for k in range(1, 30))
    tensors = named_tensors(load(b"]q\0" + laughs + b".")).tensors
    assert tensors == {}


def leaf():
    return StoredTensor((1,), "float32", lambda: None)


def test_names_are_those_of_a_state_dict():
    weight, moment, same = leaf(), leaf(), leaf()
    module = Inert("torch.nn.LSTM")
    parameters, state, root = Inert(""), Inert(""), Inert("")
    parameters.entries = [("weight_hh_l0", weight), ("x", "no tensor")]
    state.entries = [("_parameters", parameters), ("mode", "LSTM"), ("unrelated", "text")]
    module.state = (state, None)
    root.entries = [("rnn", module), ("optimizer", [moment, weight]), (3, same), ("3", same), (None, None)]
    root.entries.append((1 << 70, leaf()))
    contents = named_tensors(root)
    tensors, texts = contents.tensors, contents.texts
    assert tensors["rnn.weight_hh_l0"] is tensors["optimizer.1"] is weight
    assert tensors["optimizer.0"] is moment
    assert {name.partition("#")[0] for name in tensors} == {"rnn.weight_hh_l0", "optimizer.0", "optimizer.1", "3", "?"}
    assert texts == {"rnn.mode": "LSTM"}


def test_a_name_does_not_grow_without_end():
    root = inner = Inert("")
    for _ in range(300):
        inner.entries = [("k" * 100, Inert(""))]
        inner = inner.entries[0][1]
    inner.entries = [("w", leaf())]
    assert named_tensors(root) == Contents({})


def test_every_instruction_of_python_is_read_or_refused():
    for opcode in pickletools.opcodes:
        machine = _pickle._Machine(lambda pid: pid, lambda call: call)
        machine.stack = [Inert(""), "a", "b"]
        machine.marks = [1]
        machine.memo = {0: 1}
        refused = opcode.name.startswith("EXT") or opcode.name == "NEXT_BUFFER"
        try:
            machine.perform(opcode.name, "m n" if opcode.name in {"GLOBAL", "INST"} else 0)
        except CheckpointError:
            assert refused or opcode.name == "STOP"
        except TypeError:
            assert opcode.name in {"APPEND", "SETITEM"}  # there is a text where a container should be
        else:
            assert not refused
