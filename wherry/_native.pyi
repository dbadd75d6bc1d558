# The compiled core. Private: what people use is re-exported by `wherry` and `wherry.runtime`.

from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from typing import Any, Literal, Self, TypeAlias, final

from wherry.errors import WherryError

__all__ = [
    "Component",
    "Flag",
    "Function",
    "Instance",
    "Limits",
    "Policy",
    "Record",
    "Resource",
    "Setting",
    "Streams",
    "about",
    "cache_clear",
    "cache_ls",
    "cache_path",
    "cache_prune",
    "cache_verify",
    "compile_worker",
    "debug_wanted",
    "end_on_closed_pipe",
    "error_kinds",
    "explain_settings",
    "flags",
    "inspect",
    "make_record",
    "modes",
    "parse_duration",
    "parse_size",
    "precompile_file",
    "run_command",
    "run_has_flag",
    "setting",
    "settings_files",
    "targets",
    "wit_model",
    "wit_text",
]

_Path: TypeAlias = str | PathLike[str]
_Bytes: TypeAlias = bytes  # in `Component`, `bytes` is the method
_Function: TypeAlias = tuple[str | None, str, list[str]]  # interface, name in WIT, parameters
_Dir: TypeAlias = _Path | tuple[_Path, _Path] | tuple[_Path, _Path, Literal["ro", "rw"]]
# subject, operation, target, why, flag and value that would allow it, count
_Denial: TypeAlias = tuple[str, str, str, str, str | None, str | None, int]

# cache.rs

def cache_clear() -> tuple[int, int]: ...
def cache_ls() -> str: ...
def cache_path() -> str | None: ...
def cache_prune(cap: int | None = None) -> tuple[int, int]: ...
def cache_verify() -> str: ...
def modes() -> list[str]: ...
def precompile_file(
    path: _Path,
    *,
    target: str | None = None,
    mode: str = "plain",
    limits: Limits | None = None,
    progress: Callable[[float], object] | None = None,
    apart: bool = True,
) -> bytes: ...
def targets() -> list[str]: ...

# component.rs

@final
class Component:
    def __new__(
        cls, source: _Bytes | _Path, name: str, *, precompiled: bool = False, target: str | None = None
    ) -> Self: ...
    def instantiate(
        self,
        policy: Policy,
        limits: Limits,
        streams: Streams | None,
        functions: Sequence[Callable[..., object]],
    ) -> Instance: ...
    def exports(self) -> list[_Function]: ...
    def imports(self) -> list[_Function]: ...
    def entry_point(self) -> int: ...
    def bytes(self) -> _Bytes: ...
    @property
    def digest(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def is_component(self) -> bool: ...

# configuration.rs

@final
class Limits:
    # What is not named comes from a variable such as `WHERRY_MEMORY`, from a settings file or from the
    # table of flags. Texts are as on the command line: `256MiB`, `1m30s`, `10M`.
    def __new__(
        cls,
        *,
        memory: int | str = ...,
        timeout: float | str | None = ...,
        fuel: int | str | None = ...,
        output: int | str | None = ...,
        stack: int | str = ...,
        handles: int | str = ...,
        instances: int | str = ...,
        tables: int | str = ...,
        functions: int | str = ...,
        body: int | str = ...,
        nesting: int | str = ...,
        size: int | str = ...,
    ) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    __hash__: None  # type: ignore[assignment]  # equal by value, and without a hash

@final
class Policy:
    def __new__(
        cls,
        *,
        dirs: Iterable[_Dir] | None = None,
        env: Mapping[str, str] | Iterable[str] | None = None,
        workdir: str | None = None,
    ) -> Self: ...

# errors.rs

def error_kinds() -> dict[str, type[WherryError]]: ...

# inspect.rs

def inspect(data: bytes, name: str) -> str: ...
def wit_model(data: bytes, name: str) -> str: ...
def wit_text(data: bytes, name: str) -> str: ...

# instance.rs

@final
class Instance:
    def function(self, index: int) -> Function: ...
    def run(self, index: int) -> int: ...
    def close(self) -> None: ...
    def cancel(self) -> None: ...
    def memory(self) -> int: ...
    def read_memory(self, address: int, length: int) -> bytes: ...
    def write_memory(self, address: int, data: bytes) -> None: ...
    def fuel(self) -> int | None: ...
    def denials(self) -> list[_Denial]: ...
    def hint(self) -> str | None: ...
    def held(self) -> int: ...

@final
class Function:
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    @property
    def name(self) -> str: ...

# loading.rs

def compile_worker() -> None: ...

# record.rs

@final
class Record:
    def __getattribute__(self, name: str, /) -> Any: ...
    def __getitem__(self, name: str, /) -> Any: ...
    def keys(self) -> tuple[str, ...]: ...
    def __dir__(self) -> tuple[str, ...]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Callable[..., Record], tuple[str, list[str], dict[str, Any]]]: ...

def make_record(type_name: str, names: Sequence[str], values: dict[str, Any]) -> Record: ...

# resource.rs

@final
class Resource:
    def __getattribute__(self, name: str, /) -> Any: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_exception: object) -> None: ...

# run_command.rs

def run_command(
    words: list[str], warn: Callable[[str], object], progress: Callable[[float | None], object]
) -> tuple[int, str | None, list[str]]: ...

# settings.rs

@final
class Flag:
    @property
    def name(self) -> str: ...
    @property
    def short(self) -> str | None: ...
    @property
    def value(self) -> str | None: ...
    @property
    def choices(self) -> list[str]: ...
    @property
    def help(self) -> str: ...
    @property
    def variable(self) -> str | None: ...
    @property
    def default(self) -> str | None: ...
    @property
    def group(self) -> str: ...
    @property
    def repeatable(self) -> bool: ...

@final
class Setting:
    @property
    def name(self) -> str: ...
    @property
    def value(self) -> str | None: ...
    @property
    def origin(self) -> str: ...
    @property
    def variable(self) -> str | None: ...

def about() -> tuple[str, str, str, list[str]]: ...
def debug_wanted() -> bool: ...
def end_on_closed_pipe() -> None: ...
def explain_settings() -> list[Setting]: ...
def flags() -> list[Flag]: ...
def parse_duration(text: str) -> float: ...
def parse_size(text: str) -> int: ...
def run_has_flag(words: list[str], name: str) -> bool: ...
def setting(name: str) -> str | None: ...
def settings_files() -> tuple[str, str | None]: ...

# stdio.rs

@final
class Streams:
    def __new__(
        cls,
        arguments: Sequence[str],
        stdin: bytes | int | Literal["inherit"] | None = None,
        stdout: int | Literal["inherit", "capture"] | None = None,
        stderr: int | Literal["inherit", "capture"] | None = None,
    ) -> Self: ...
    def captured(self) -> tuple[bytes | None, bytes | None]: ...
