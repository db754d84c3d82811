"""The registry of rules, and how findings are selected."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from unitcircle.diagnosis._examination import Examination
from unitcircle.diagnosis._finding import Finding
from unitcircle.errors import UnknownNameError

Check = Callable[[Examination], Iterator[Finding]]

RULES: dict[str, Rule] = {}
"""Every rule by its code, in the order of the codes."""


@dataclass(frozen=True)
class Rule:
    """A rule over measurements.

    Attributes
    ----------
    code
        Stable code.
    name
        Short name.
    check
        Function of an examination that yields findings. Its docstring is the page of the code.
    """

    code: str
    name: str
    check: Check

    def findings(self, exam: Examination, /) -> Iterator[Finding]:
        """Yield what the rule finds, marked with its code and name."""
        for found in self.check(exam):
            yield replace(found, code=self.code, name=self.name)

    @property
    def summary(self) -> str:
        """The first line of the page."""
        return self.page.partition("\n")[0]

    @property
    def page(self) -> str:
        """The page of the code, in Markdown."""
        return inspect.getdoc(self.check) or ""


def rule(code: str, name: str, /) -> Callable[[Check], Check]:
    """Register a check under a code and a name."""

    def register(check: Check) -> Check:
        RULES[code] = Rule(code, name, check)
        return check

    return register


def selected(select: Sequence[str] = (), ignore: Sequence[str] = ()) -> Iterator[Rule]:
    """Yield the rules to run; a code may be given by its beginning, as linters have it: ``UC1``."""
    select, ignore = _codes(select), _codes(ignore)
    for prefix in (*select, *ignore):
        if not any(code.startswith(prefix.upper()) for code in RULES):
            raise UnknownNameError("code", prefix, RULES)
    for code in sorted(RULES):
        if (not select or _matches(code, select)) and not _matches(code, ignore):
            yield RULES[code]


def _codes(given: Sequence[str]) -> list[str]:
    return [code.strip() for text in given for code in text.split(",") if code.strip()]


def _matches(code: str, prefixes: Iterable[str]) -> bool:
    return any(code.startswith(prefix.upper()) for prefix in prefixes)


def explain(code: str, /, *, rules: Mapping[str, Rule] = RULES) -> str:
    """Return the page of a code, in Markdown.

    Parameters
    ----------
    code
        ``"UC101"``.
    rules
        Where to look it up; :data:`unitcircle.monitor.RULES` holds those of a training that goes on.

    Returns
    -------
    str
        What the finding says, why it matters, and what to do.

    Raises
    ------
    UnknownNameError
        No such code; the message lists those that exist.
    """
    if code.upper() not in rules:
        raise UnknownNameError("code", code, rules)
    found = rules[code.upper()]
    return f"# {found.code} {found.name}\n\n{found.page}\n"
