"""One sandbox as people use it: functions as attributes, interfaces by name, resources as classes."""

from __future__ import annotations

from wherry import _native
from wherry.errors import NoSuchExportError
from wherry.wit.names import pascal_case, snake_case

TYPE_CHECKING = False  # not from `typing`, which takes longer to import than the rest of this
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Protocol

    from wherry.runtime.component import Component
else:
    Protocol = object

__all__ = ["Functions", "Instance", "Interface", "ResourceClass", "find_interface", "left_behind"]


class _Owner(Protocol):
    """What the functions of a scope are found in."""

    def _find(self, interface: str | None, name: str) -> object:
        """What an attribute names; raises ``NoSuchExportError`` where there is nothing."""

    def _names(self, interface: str | None) -> list[str]:
        """The attributes of a scope."""


class Functions:
    """The functions of one scope, found by attribute and kept once found."""

    # A guest's own functions are attributes beside these, so all of ours begin with an underscore.
    _owner: _Owner
    _interface: str | None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = self._owner._find(self._interface, name)  # noqa: SLF001 - two halves of one class
        self.__dict__[name] = found
        return found

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._owner._names(self._interface)]  # noqa: SLF001 - as above


class Interface(Functions):
    """The functions of one exported interface, and its resources as classes."""

    def __init__(self, owner: _Owner, name: str) -> None:
        self._owner = owner
        self._interface = name

    def __repr__(self) -> str:
        return f"<interface {self._interface} of {self._owner!r}>"


class Instance(Functions):
    """One fresh sandbox of a component.

    Functions of the world are attributes, ``instance.add(2, 3)``; those of an interface are reached by its
    name, ``instance["ns:pkg/iface"].parse("...")``, the version left out if you like. Names are in snake
    case. It runs one call at a time: a second one meanwhile raises :class:`~wherry.errors.BusyError`. After a
    trap or a limit it is dead.

    A context manager: leaving it gives back memory, files and sockets at once.
    """

    def __init__(self, component: Component, native: _native.Instance) -> None:
        self._component = component
        self._native = native
        self._interface = None
        self._exports = component._exports  # noqa: SLF001 - one package

    @property
    def _owner(self) -> Instance:  # type: ignore[override]  # an attribute would be a circle: freed late
        return self

    def __getitem__(self, interface: str) -> Interface:
        """The functions of an exported interface; raises ``NoSuchExportError`` where there is none."""
        return Interface(self, find_interface(self._component, interface))

    def close(self) -> None:
        """End the sandbox. Doing so twice is no error; using it afterwards raises ``ClosedError``."""
        self._native.close()

    def cancel(self) -> None:
        """End the running call, from another thread; it raises ``InterruptedCallError``."""
        self._native.cancel()

    @property
    def memory(self) -> int:
        """Bytes of linear memory and tables in use."""
        return self._native.memory()

    def read_memory(self, address: int, length: int) -> bytes:
        """``length`` bytes at ``address`` of a core module's memory.

        For functions of core modules that take and return addresses; a component needs none of this. Raises
        ``NoSuchExportError`` where no memory is exported, and ``WitTypeError`` where it is smaller than that.
        """
        return self._native.read_memory(address, length)

    def write_memory(self, address: int, data: bytes) -> None:
        """Put ``data`` at ``address`` of a core module's memory; raises what :meth:`read_memory` raises."""
        self._native.write_memory(address, data)

    @property
    def fuel(self) -> int | None:
        """Fuel that is left, or ``None`` where none was given."""
        return self._native.fuel()

    def __enter__(self) -> Instance:  # noqa: PYI034 - Self costs an import at start-up and says no more
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<instance of {self._component.name}>"

    def _find(self, interface: str | None, name: str) -> object:
        """The function or resource class that an attribute names."""
        for index, (scope, wit) in enumerate(self._exports):
            if scope != interface:
                continue
            if name in (wit, snake_case(wit)):
                return self._native.function(index)
            if wit.startswith("["):
                resource = wit.partition("]")[2].partition(".")[0]
                if name in (resource, pascal_case(resource)):
                    return ResourceClass(self, interface, resource)
        where = self._component.name if interface is None else interface
        raise NoSuchExportError(f"`{where}` exports no function `{name}`", hint=self._hint(interface))

    def _hint(self, interface: str | None) -> str:
        names = self._names(interface)
        if names:
            return f"it exports {_listed(names)}"
        interfaces = dict.fromkeys(scope for scope, _ in self._exports if scope is not None)
        if interfaces:
            return f'its functions are in interfaces: `instance["{next(iter(interfaces))}"].name()`'
        return "it exports no functions"

    def _names(self, interface: str | None) -> list[str]:
        """The attributes of a scope."""
        names: dict[str, None] = {}
        for scope, wit in self._exports:
            if scope == interface:
                resource = wit.partition("]")[2].partition(".")[0]
                names[pascal_case(resource) if wit.startswith("[") else snake_case(wit)] = None
        return list(names)

    def _member(self, interface: str | None, kind: str, resource: str, name: str) -> object:
        """A method, static function or constructor of a resource."""
        for index, (scope, wit) in enumerate(self._exports):
            if scope != interface or not wit.startswith(f"[{kind}]"):
                continue
            owner, _, member = wit.partition("]")[2].partition(".")
            if owner == resource and name in (member, snake_case(member)):
                return self._native.function(index)
        return None


class ResourceClass:
    """A resource that a guest implements: a call runs its constructor, static functions are attributes."""

    def __init__(self, instance: Instance, interface: str | None, name: str) -> None:
        self._instance = instance
        self._interface = interface
        self._name = name

    def __call__(self, *arguments: object, **named: object) -> Any:
        """A new resource, or what a constructor that may fail returns; ``NoSuchExportError`` without one."""
        make = self._instance._member(self._interface, "constructor", self._name, "")  # noqa: SLF001 - see Instance
        if not callable(make):
            raise NoSuchExportError(
                f"the resource `{self._name}` has no constructor", hint="another function makes it"
            )
        return make(*arguments, **named)

    def __getattr__(self, name: str) -> Any:
        for kind in ("static", "method"):
            if not name.startswith("__") and (
                found := self._instance._member(self._interface, kind, self._name, name)  # noqa: SLF001 - see Instance
            ):
                return found
        raise AttributeError(f"the resource `{self._name}` has no function `{name}`")

    def __repr__(self) -> str:
        return f"<resource {self._name} of {self._interface or self._instance!r}>"


def find_interface(component: Component, interface: str) -> str:
    """The whole name of an exported interface; raises ``NoSuchExportError`` where there is none."""
    known = dict.fromkeys(name for name, _ in component._exports if name is not None)  # noqa: SLF001 - one package
    for name in known:
        if interface == name or ("@" not in interface and interface == name.partition("@")[0]):
            return name
    hint = f"it exports {_listed(known)}" if known else "its functions are attributes: `instance.name()`"
    raise NoSuchExportError(f"`{component.name}` exports no interface `{interface}`", hint=hint)


def left_behind() -> int:
    """How many calls were left behind and have not come back.

    A guest is ended at its time limit, but nothing can end a host function that it called, or a file system
    that does not answer. Who made the call gets :class:`~wherry.errors.TimeLimitError` in time all the same;
    the thread, and the sandbox with its memory, stay until that comes back, and are counted here.
    """
    return _native.left_behind()


def _listed(names: dict[str, None] | list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
