"""Registries that installed packages add to, by entry points (docs/interfaces.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from .errors import ConfigError

T = TypeVar("T")


class Registry(Mapping[str, T]):
    """What there is by name: cimlab's own, then what plug-ins announce in an entry-point group.

    A plug-in is imported when it is asked for, not before; a name of cimlab's own stays its own.

    Args:
        group: Of the entry points.
        own: What cimlab brings along.
        kind: What a plug-in has to be an instance of.
    """

    def __init__(self, group: str, own: Mapping[str, T], kind: type) -> None:
        self._group = group
        self._found = dict(own)
        self._kind = kind

    def __getitem__(self, name: str) -> T:
        if name not in self._found:
            self._found[name] = self._loaded(self._plugins[name])
        return self._found[name]

    def __contains__(self, name: object) -> bool:
        return name in self._found or name in self._plugins

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self._found, *self._plugins)))

    def __len__(self) -> int:
        return len(self._found.keys() | self._plugins.keys())

    @cached_property
    def _plugins(self) -> Mapping[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=self._group)}

    def _loaded(self, point: EntryPoint) -> T:
        whose = f"plug-in {point.name!r} ({self._group}: {point.value})"
        try:
            found: T = point.load()
        except Exception as error:  # anything may happen while a module is run
            raise ConfigError(f"{whose} cannot be loaded: {error}") from error
        if not isinstance(found, self._kind):
            raise ConfigError(f"{whose} is no {self._kind.__name__} but {found!r}")
        return found
