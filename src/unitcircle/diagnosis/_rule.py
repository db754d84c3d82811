"""The registry of rules, and how findings are selected."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, Literal, TypeVar, get_args

from unitcircle._json import to_json
from unitcircle.diagnosis._examination import Examination
from unitcircle.diagnosis._finding import Finding, Kind, Severity
from unitcircle.errors import ArgumentError, UnknownNameError

MeasurementsT = TypeVar("MeasurementsT")
"""The input of a rule: an examination here, the history of a run in :mod:`unitcircle.monitor`."""
Check = Callable[[MeasurementsT], Iterator[Finding]]

Status = Literal["stable", "preview", "deprecated"]
Safety = Literal["safe", "unsafe"]

RULES: dict[str, Rule[Examination]] = {}
"""Every rule of :func:`diagnose` by its code; those of other distributions join at their first use."""
GROUP = "unitcircle.rules"
"""Entry points of other distributions, each a :class:`Rule` or a sequence of rules."""
RESERVED = "UC"
"""How the codes of this package begin, and those of no other."""


@dataclass(frozen=True)
class Rule(Generic[MeasurementsT]):
    """A rule over measurements.

    Attributes
    ----------
    code
        Stable code.
    name
        Short name.
    check
        Function of the measurements that yields findings. Its docstring is the page of the code.
    on_request
        Whether it only runs where its code is selected: it states a property, not a defect.
    status
        ``"stable"``; ``"preview"``: its severity and its limits may change in the next release; ``"deprecated"``: it
        will be taken out.
    fix
        Whether ``diagnose --fix`` can repair its findings in weights that were not trained: ``"safe"``, what the author
        of the weights meant is known; ``"unsafe"``, the repair is a choice; None where it cannot.
    kind
        ``"defect"``, or ``"expressivity"``: its findings say what no weights of such a layer can compute.
    """

    code: str
    name: str
    check: Check[MeasurementsT]
    on_request: bool = False
    status: Status = "stable"
    fix: Safety | None = None
    kind: Kind = "defect"

    def findings(self, measurements: MeasurementsT, /) -> Iterator[Finding]:
        """Yield the findings of the rule, with its code and name."""
        if self.code.startswith(RESERVED):
            for finding in self.check(measurements):
                yield replace(finding, code=self.code, name=self.name, kind=self.kind)
            return
        try:
            for finding in self.check(measurements):
                yield replace(_checked(finding), code=self.code, name=self.name, kind=self.kind)
        except Exception as error:
            # The rule of another distribution may do anything.
            arrived = f"{type(error).__name__}: {error}"
            raise ArgumentError(f"the rule {self.code}", "must yield findings", arrived, _REMEDY) from error

    @property
    def summary(self) -> str:
        """The first line of the page."""
        return self.page.partition("\n")[0]

    @property
    def page(self) -> str:
        """The page of the code, in Markdown."""
        return inspect.getdoc(self.check) or ""


def _checked(finding: Any) -> Finding:
    """Return a finding of another distribution, if it is one."""
    if not isinstance(finding, Finding):
        message = f"it yields {type(finding).__name__}"
        raise TypeError(message)
    texts = (finding.message, finding.why, finding.remedy, *vars(finding.place).values())
    if not (isinstance(finding.severity, Severity) and all(isinstance(text, str) for text in texts)):  # pyright: ignore[reportUnnecessaryIsInstance]
        message = f"severity, place or a text of its finding is of another type: {finding!r:.200}"
        raise TypeError(message)
    to_json(dict(finding.evidence))
    return finding


def rule_of(
    rules: dict[str, Rule[MeasurementsT]],
    code: str,
    name: str,
    /,
    *,
    on_request: bool = False,
    status: Status = "stable",
    fix: Safety | None = None,
    kind: Kind = "defect",
) -> Callable[[Check[MeasurementsT]], Check[MeasurementsT]]:
    """Return a decorator that adds a check to a registry.

    Parameters
    ----------
    rules
        The registry.
    code, name
        Code and short name of the rule.
    on_request, status, fix, kind
        See :class:`Rule`.

    Returns
    -------
    Callable
        The decorator; it returns the check unchanged.

    Examples
    --------
    A registry of your own with one rule, which reports nothing:

    >>> rules = {}
    >>> @rule_of(rules, "LAB001", "no-biases")
    ... def no_biases(layers):
    ...     yield from ()
    >>> rules["LAB001"].name
    'no-biases'
    """

    def register(check: Check[MeasurementsT]) -> Check[MeasurementsT]:
        rules[code] = Rule(code, name, check, on_request, status, fix, kind)
        return check

    return register


def rule(
    code: str,
    name: str,
    /,
    *,
    on_request: bool = False,
    status: Status = "stable",
    fix: Safety | None = None,
    kind: Kind = "defect",
) -> Callable[[Check[Examination]], Check[Examination]]:
    """Register a check of an examination under a code and a name."""
    return rule_of(RULES, code, name, on_request=on_request, status=status, fix=fix, kind=kind)


def load_rules() -> dict[str, Rule[Examination]]:
    """Return every rule, those of other distributions included.

    Returns
    -------
    dict
        :data:`RULES`, to which the rules of the entry points ``unitcircle.rules`` are added once.

    Raises
    ------
    ArgumentError
        An entry point cannot be imported or holds no rule, or one of its codes is taken.

    Examples
    --------
    >>> from unitcircle.diagnosis import load_rules
    >>> sorted(load_rules())[0]
    'UC101'
    """
    for entry in _entries(entry_points, tuple(sys.path)):
        for added in _rules_of(entry):
            if RULES.get(added.code) is added:
                continue
            if added.code in RULES or added.code.startswith(RESERVED):
                rule = f"must have codes of its own, which do not begin with {RESERVED}"
                raise ArgumentError(_argument(entry), rule, added.code, _REMEDY)
            RULES[added.code] = added
    return RULES


@lru_cache(maxsize=1)
def _entries(installed: Callable[..., Iterable[EntryPoint]], _path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Return the entry points of rules: on the same path the same, since to read them takes some training steps."""
    return tuple(installed(group=GROUP))


_CODE = re.compile(r"[A-Z]+[0-9]+")
_REMEDY = "Repair or uninstall the distribution that brings it."


def _rules_of(entry: EntryPoint) -> Sequence[Rule[Examination]]:
    """Return the rules of an entry point of another distribution."""
    try:
        value = entry.load()
    except Exception as error:
        # A foreign module may raise anything.
        arrived = f"{type(error).__name__}: {error}"
        raise ArgumentError(_argument(entry), "must be importable", arrived, _REMEDY) from error
    rules = value if isinstance(value, Sequence) else [value]
    if not all(isinstance(rule, Rule) for rule in rules):
        raise ArgumentError(_argument(entry), "must be a Rule or a sequence of rules", repr(value), _REMEDY)
    for rule in rules:
        if not (_CODE.fullmatch(str(rule.code)) and callable(rule.check) and rule.page):
            must = "must have rules with a code of capitals and digits, such as ACME001, and a docstring as their page"
            raise ArgumentError(_argument(entry), must, repr(rule), _REMEDY)
        if rule.status not in get_args(Status) or rule.fix not in {None, *get_args(Safety)}:
            must = f"must have rules with a status of {get_args(Status)} and a fix of {get_args(Safety)} or None"
            raise ArgumentError(_argument(entry), must, repr(rule), _REMEDY)
    return rules


def _argument(entry: EntryPoint) -> str:
    return f"the entry point {entry.name!r} of {GROUP}"


def select_rules(select: Sequence[str] = (), ignore: Sequence[str] = ()) -> Iterator[Rule[Examination]]:
    """Yield the rules to run; a prefix such as ``UC1`` selects all codes that start with it."""
    for code in selected_codes(select, ignore):
        yield RULES[code]


def selected_codes(select: Sequence[str] = (), ignore: Sequence[str] = (), *, extend: Sequence[str] = ()) -> list[str]:
    """Return the codes of the rules to run.

    Parameters
    ----------
    select
        Codes, or beginnings of codes; all that do not run only on request where it is empty.
    ignore
        Codes to leave out of what ``select`` and ``extend`` give.
    extend
        Codes to run besides.

    Returns
    -------
    list of str
        The codes, sorted.

    Raises
    ------
    UnknownNameError
        A code matches no rule.

    Examples
    --------
    >>> selected_codes(["UC101", "UC20"], ["UC205", "UC206", "UC207", "UC208", "UC209"])
    ['UC101', 'UC201', 'UC202', 'UC203', 'UC204']
    """
    select, ignore, extend = _codes(select), _codes(ignore), _codes(extend)
    rules = load_rules()
    check_codes([*select, *ignore, *extend])
    return [
        code
        for code in sorted(rules)
        if (_matches(code, extend) or (_matches(code, select) if select else not rules[code].on_request))
        and not _matches(code, ignore)
    ]


def check_codes(codes: Iterable[str], /) -> None:
    """Refuse a code, or beginning of codes, that matches no rule.

    Raises
    ------
    UnknownNameError
        A code matches no rule; the message lists the codes.

    Examples
    --------
    >>> check_codes(["UC1", "UC201"])
    >>> check_codes(["UC9"])
    Traceback (most recent call last):
    unitcircle.errors.UnknownNameError: ...
    """
    rules = load_rules()
    for prefix in _codes(codes):
        if not any(code.startswith(prefix.upper()) for code in rules):
            raise UnknownNameError("code", prefix, rules)


def _codes(texts: Iterable[str]) -> list[str]:
    return [code.strip() for text in texts for code in text.split(",") if code.strip()]


def _matches(code: str, prefixes: Iterable[str]) -> bool:
    return any(code.startswith(prefix.upper()) for prefix in prefixes)


def explain(code: str, /, *, rules: Mapping[str, Rule[Any]] | None = None) -> str:
    """Return the page of a code, in Markdown.

    Parameters
    ----------
    code
        ``"UC101"``.
    rules
        The registry, by default that of :func:`load_rules`; the rules of a run in training are in
        :data:`unitcircle.monitor.RULES`.

    Returns
    -------
    str
        The meaning of the finding, why it matters and what to do.

    Raises
    ------
    UnknownNameError
        No rule has this code; the message lists the codes.

    Examples
    --------
    >>> from unitcircle.diagnosis import explain
    >>> print(explain("UC101").splitlines()[0])
    # UC101 stacked-orthogonal
    """
    rules = load_rules() if rules is None else rules
    if code.upper() not in rules:
        raise UnknownNameError("code", code, rules)
    entry = rules[code.upper()]
    return f"# {entry.code} {entry.name}\n\n{entry.page}\n"
