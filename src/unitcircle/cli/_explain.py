"""``unitcircle explain``: the description of a finding."""

from __future__ import annotations

from tyro.conf import Positional


def explain(code: Positional[str] = "", /) -> int:
    """Print what a finding means, why it matters and how to fix it.

    Args:
        code: A code such as UC101. Without a code, all codes are listed.
    """
    from unitcircle import diagnosis, monitor
    from unitcircle.cli._terminal import console

    out = console()
    rules = diagnosis.RULES | monitor.RULES
    if not code:
        for _, rule in sorted(rules.items()):
            out.print(f"{rule.code}  {rule.name}\n       {rule.summary}", soft_wrap=False)
        return 0
    page = diagnosis.explain(code, rules=rules)
    if out.is_terminal:
        from rich.markdown import Markdown

        out.print(Markdown(page))
    else:
        print(page, end="")
    return 0
