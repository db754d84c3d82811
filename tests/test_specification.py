"""The text of a specification is read back as the same specification, whatever text a parameter holds."""

from dataclasses import dataclass, fields, replace
from typing import ClassVar, get_type_hints

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from unitcircle._specification import Specification
from unitcircle.errors import ArgumentError
from unitcircle.experiments.models import TrainableCell
from unitcircle.experiments.tasks import CharacterLanguageModel, Ett, Mnist, Multi30k, OwnModule, Task
from unitcircle.initializers import Initializer


@dataclass(frozen=True)
class Named(Specification):
    kind = "thing"
    registry: ClassVar[dict[str, type[Specification]]] = {}
    example = "named(text=word)"
    name = "named"

    text: str = ""
    other: str | None = None


def takes_text(cls):
    return [f.name for f in fields(cls) if f.repr and get_type_hints(cls)[f.name] in {str, str | None}]


KINDS = (Initializer, Task, TrainableCell, Named)
CLASSES = sorted({(k, cls) for k in KINDS for cls in k.registry.values()}, key=lambda pair: pair[1].name)
TEXTS = [(kind, cls) for kind, cls in CLASSES if takes_text(cls)]
# A digest keeps a task of a file from being looked for when it is made.
DIGEST = {
    CharacterLanguageModel: {"path": "x", "digest": "0" * 16},
    Ett: {"path": "x", "digest": "0" * 16},
    OwnModule: {"factory": "m:f", "digest": "0" * 16},
}
WORDS = ("in", "None", "none", "true", "FALSE", "lambda", "match", "nan")
HARD = (*WORDS, "ﬁ", "ª", "a b", "'", "\\", "\n", "\ud800", "", ")")

texts = st.one_of(st.sampled_from(HARD), st.text(), st.text("_abcdefinort", max_size=6))


@given(st.sampled_from(TEXTS), texts, st.data())
def test_a_text_is_read_back(pair, text, data):
    kind, cls = pair
    name = data.draw(st.sampled_from(takes_text(cls)))
    try:
        specification = cls(**DIGEST.get(cls, {}) | {name: text})
    except ArgumentError:
        # Not every text is a value of every parameter.
        assume(False)
    # As it is written: the function that a task may name is not there to be called.
    assert kind.unresolved(str(specification)) == specification
    if cls is not OwnModule:
        assert kind.parse(str(specification)) == specification
        assert kind.from_dict(specification.to_dict()) == specification


@pytest.mark.parametrize("text", HARD)
def test_a_text_that_could_be_read_as_something_else_is_quoted(text):
    specification = Named(text=text, other=text)
    assert Named.parse(str(specification)) == specification


@pytest.mark.parametrize("word", ["haar", "d2952ddbb5f94793", "soft_max", "é"])
def test_a_word_needs_no_quotes(word):
    # The text of a task or an initializer is a part of the key of a run: quotes where there were none lose its record.
    assert str(Named(text=word)) == f"named(text={word}, other=none)"


@pytest.mark.parametrize("task", [Mnist(), Multi30k()])
@pytest.mark.parametrize("folder", ["in", "none", "True", None])
def test_a_folder_may_have_any_name(task, folder):
    placed = replace(task, folder=folder)
    assert Task.parse(str(placed)) == placed


def test_a_canonical_text_is_kept_until_its_name_gets_another_class():
    def define(default):
        @dataclass(frozen=True)
        class Kept(Named):
            name = "kept"

            size: int = default

        return Kept

    define(1)
    assert Named.canonical(" kept( other = a )") == "kept(text='', other=a, size=1)"
    assert Named.canonical(" kept( other = a )") == str(Named.unresolved("kept(other=a)"))
    define(2)
    assert Named.canonical(" kept( other = a )") == "kept(text='', other=a, size=2)"
    assert Named.canonical(Named("b")) == str(Named("b"))
