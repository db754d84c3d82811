"""Copies of frozen records, by pickle and by ``copy``: their read-only mappings can be neither pickled nor copied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any


def remade(record: Any, /) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Return what ``__reduce__`` does: the record is made again from its fields, and checked as the first was."""
    return _make, (type(record), {item.name: _plain(getattr(record, item.name)) for item in fields(record)})


def _make(kind: type, values: Mapping[str, Any]) -> Any:
    return kind(**values)


def _plain(value: Any) -> Any:
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, dict | MappingProxyType) else value
