"""``unitcircle rule``: the rules, and the page of one."""

from __future__ import annotations

from typing import Annotated

from tyro.conf import Positional, arg


def rule(code: Positional[str] = "", /, *, as_json: Annotated[bool, arg(name="json")] = False) -> int:
    """Print what a finding means, why it matters and how to remedy it; without a code, list all rules.

    Args:
        code: A code such as UC101.
        as_json: Print JSON instead of text.
    """
    from unitcircle import diagnosis, monitor
    from unitcircle._json import to_json
    from unitcircle.cli._terminal import console

    rules = diagnosis.load_rules() | monitor.RULES
    page = diagnosis.explain(code, rules=rules) if code else ""
    chosen = [rules[code.upper()]] if code else [entry for _, entry in sorted(rules.items())]
    out = console()
    if as_json:
        keys = ("code", "name", "status", "kind", "fix", "on_request", "summary", "page")
        entries = [{key: getattr(entry, key) for key in keys} for entry in chosen]
        print(to_json(entries[0] if code else entries))
    elif not code:
        for entry in chosen:
            traits = [entry.status] if entry.status != "stable" else []
            traits += [entry.kind] if entry.kind != "defect" else []
            traits += ["on request"] if entry.on_request else []
            traits += [f"{entry.fix} fix"] if entry.fix else []
            name = f"{entry.name} ({', '.join(traits)})" if traits else entry.name
            out.print(f"{entry.code}  {name}\n       {entry.summary}", soft_wrap=False)
    elif out.is_terminal:
        from rich.markdown import Markdown

        out.print(Markdown(page))
    else:
        print(page, end="")
    return 0
