"""Who uses another word for an argument is told ours."""

import ast

import pytest
from tests.test_examples_of_names import NODES
from tests.test_public_names import PUBLIC

from unitcircle import dynamics, initializers
from unitcircle._keywords import SYNONYMS, right_keywords
from unitcircle.errors import ArgumentError


def functions():
    """Yield the names of public functions and methods with a word that has others, and what decorates them."""
    for place, node in NODES.items():
        if place in PUBLIC and place[0].startswith("unitcircle."):
            for part in ast.walk(node) if isinstance(node, ast.ClassDef) else [node]:
                if isinstance(part, ast.FunctionDef) and not part.name.startswith("_"):
                    words = {argument.arg for argument in part.args.kwonlyargs}
                    if any(words & set(group) for group in SYNONYMS):
                        yield f"{place[0]}.{part.name}", {ast.unparse(decorator) for decorator in part.decorator_list}


def test_every_public_function_with_such_a_word_tells():
    found = dict(functions())
    assert len(found) > 20
    assert {name for name, decorators in found.items() if "right_keywords" not in decorators} == set()


def test_the_right_word_is_named():
    with pytest.raises(ArgumentError, match="seed is called rng in sample; got seed=0"):
        initializers.parse("orthogonal").sample(4, seed=0)


@pytest.mark.parametrize(
    "name", ["gradient_flow", "lyapunov_exponents", "token_memory", "driven_layers", "as_recurrence"]
)
@pytest.mark.parametrize("word", ["seed", "generator", "key", "initial_state"])
def test_a_word_that_a_measurement_has_no_argument_for_is_explained(name, word):
    with pytest.raises(ArgumentError, match=rf"^{word} is (called \w+ in|no argument of) {name}\b"):
        getattr(dynamics, name)(None, None, **{word: 0})


def test_another_start_of_a_gradient_is_said():
    with pytest.raises(ArgumentError, match=r"starts where the model does.*as_recurrence\(step, state=...\)"):
        dynamics.gradient_flow(None, None, state=0)


def test_what_has_no_other_word_is_as_before():
    @right_keywords
    def doubled(x, *, rng=0):
        return 2 * x + rng

    assert doubled(2, rng=1) == 5
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        doubled(2, colour=1)
