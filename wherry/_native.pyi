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
    "componentize",
    "debug_wanted",
    "end_on_closed_pipe",
    "error_kinds",
    "explain_policy",
    "explain_settings",
    "flags",
    "generate_bindings",
    "go_module",
    "inspect",
    "left_behind",
    "make_record",
    "modes",
    "parse_duration",
    "parse_size",
    "policy_beyond",
    "precompile_file",
    "run_command",
    "run_file_index",
    "run_has_flag",
    "run_noted",
    "setting",
    "settings_files",
    "targets",
    "verify_run",
    "wasi_interfaces",
    "wit_model",
    "wit_text",
    "without_other_exports",
    "world_name",
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
        cls,
        source: _Bytes | _Path,
        name: str,
        limits: Limits,
        *,
        precompiled: bool = False,
        target: str | None = None,
    ) -> Self: ...
    def instantiate(
        self,
        policy: Policy,
        limits: Limits,
        streams: Streams | None,
        functions: Sequence[Callable[..., object]],
        *,
        whole: bool = False,
    ) -> Instance: ...
    def prepare(self, policy: Policy, limits: Limits) -> None: ...
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

# door.rs

def left_behind() -> list[int]: ...

# errors.rs

def error_kinds() -> dict[str, type[WherryError]]: ...

# making.rs

def componentize(data: _Bytes, wit: _Path | None = None, world: str | None = None) -> _Bytes: ...
def generate_bindings(wit: _Path, language: str, world: str | None = None) -> dict[str, _Bytes]: ...
def go_module() -> dict[str, str]: ...
def wasi_interfaces() -> dict[str, str]: ...
def without_other_exports(data: _Bytes, wit: _Path, world: str | None = None) -> _Bytes: ...
def world_name(wit: _Path, world: str | None = None) -> str: ...

# inspect.rs

def inspect(data: bytes, name: str) -> str: ...
def explain_policy(file: str) -> str: ...
def policy_beyond(file: str, other: str) -> str: ...
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
    def burnt(self) -> int | None: ...
    def denials(self) -> list[_Denial]: ...
    def hint(self) -> str | None: ...
    def held(self) -> int: ...

@final
class Function:
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    @property
    def name(self) -> str: ...

# limits.rs

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
        connections: int | str = ...,
        write: int | str | None = ...,
        transfer: int | str | None = ...,
        connect_timeout: float | str = ...,
        first_byte_timeout: float | str = ...,
        between_bytes_timeout: float | str = ...,
        instances: int | str = ...,
        tables: int | str = ...,
        functions: int | str = ...,
        body: int | str = ...,
        nesting: int | str = ...,
        size: int | str = ...,
        compile_timeout: float | str | None = ...,
        compile_memory: int | str | None = ...,
    ) -> Self: ...
    def replace(
        self,
        *,
        memory: int | str = ...,
        timeout: float | str | None = ...,
        fuel: int | str | None = ...,
        output: int | str | None = ...,
        stack: int | str = ...,
        handles: int | str = ...,
        connections: int | str = ...,
        write: int | str | None = ...,
        transfer: int | str | None = ...,
        connect_timeout: float | str = ...,
        first_byte_timeout: float | str = ...,
        between_bytes_timeout: float | str = ...,
        instances: int | str = ...,
        tables: int | str = ...,
        functions: int | str = ...,
        body: int | str = ...,
        nesting: int | str = ...,
        size: int | str = ...,
        compile_timeout: float | str | None = ...,
        compile_memory: int | str | None = ...,
    ) -> Self: ...
    __replace__ = replace
    @staticmethod
    def from_toml(path: _Path) -> Limits: ...
    @property
    def memory(self) -> int: ...
    @property
    def timeout(self) -> float | None: ...
    @property
    def fuel(self) -> int | None: ...
    @property
    def output(self) -> int | None: ...
    @property
    def stack(self) -> int: ...
    @property
    def handles(self) -> int: ...
    @property
    def connections(self) -> int: ...
    @property
    def write(self) -> int | None: ...
    @property
    def transfer(self) -> int | None: ...
    @property
    def connect_timeout(self) -> float: ...
    @property
    def first_byte_timeout(self) -> float: ...
    @property
    def between_bytes_timeout(self) -> float: ...
    @property
    def instances(self) -> int: ...
    @property
    def tables(self) -> int: ...
    @property
    def functions(self) -> int: ...
    @property
    def body(self) -> int: ...
    @property
    def nesting(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def compile_timeout(self) -> float | None: ...
    @property
    def compile_memory(self) -> int | None: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __getnewargs_ex__(self) -> tuple[tuple[()], dict[str, Any]]: ...

# loading.rs

def compile_worker() -> None: ...

# policy.rs

@final
class Policy:
    def __new__(
        cls,
        *,
        dirs: Mapping[_Path, _Path] | Iterable[_Dir] | None = None,
        env: Mapping[str, str] | Iterable[str] | None = None,
        env_file: _Path | None = None,
        workdir: str | None = None,
        net: Iterable[str] | None = None,
        http: Iterable[str] | None = None,
        listen: Iterable[str] | None = None,
        dns: bool | None = False,
        resolver: str | None = None,
        config: Mapping[str, str] | Iterable[str] | None = None,
        secrets: Mapping[str, str] | Iterable[str | tuple[str, str]] | None = None,
        kv: _Path | None = None,
        clock: str | None = None,
        random: int | str | None = None,
        deterministic: bool | None = False,
    ) -> Self: ...
    def replace(
        self,
        *,
        dirs: Mapping[_Path, _Path] | Iterable[_Dir] | None = ...,
        env: Mapping[str, str] | Iterable[str] | None = ...,
        env_file: _Path | None = ...,
        workdir: str | None = ...,
        net: Iterable[str] | None = ...,
        http: Iterable[str] | None = ...,
        listen: Iterable[str] | None = ...,
        dns: bool | None = ...,
        resolver: str | None = ...,
        config: Mapping[str, str] | Iterable[str] | None = ...,
        secrets: Mapping[str, str] | Iterable[str | tuple[str, str]] | None = ...,
        kv: _Path | None = ...,
        clock: str | None = ...,
        random: int | str | None = ...,
        deterministic: bool | None = ...,
    ) -> Self: ...
    __replace__ = replace
    @staticmethod
    def from_toml(path: _Path) -> Policy: ...
    def __or__(self, other: Policy, /) -> Policy: ...
    def __ror__(self, other: Policy, /) -> Policy: ...
    @property
    def dirs(self) -> tuple[str, ...]: ...
    @property
    def env(self) -> Mapping[str, str]: ...
    @property
    def workdir(self) -> str | None: ...
    @property
    def net(self) -> tuple[str, ...]: ...
    @property
    def http(self) -> tuple[str, ...]: ...
    @property
    def listen(self) -> tuple[str, ...]: ...
    @property
    def dns(self) -> bool: ...
    @property
    def resolver(self) -> str | None: ...
    @property
    def config(self) -> Mapping[str, str]: ...
    @property
    def secrets(self) -> tuple[str, ...]: ...
    @property
    def kv(self) -> str | None: ...
    @property
    def clock(self) -> str: ...
    @property
    def random(self) -> int | str: ...
    @property
    def deterministic(self) -> bool: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __getnewargs_ex__(self) -> tuple[tuple[()], dict[str, Any]]: ...

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
    words: list[str],
    warn: Callable[[str], object],
    progress: Callable[[float | None], object],
    say: Callable[[str], object],
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
def run_file_index(words: list[str]) -> int | None: ...
def run_has_flag(words: list[str], name: str) -> bool: ...
def run_noted(store: _Path, name: str) -> list[str] | None: ...
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

# verify_run.rs

def verify_run(
    receipt: _Path,
    *,
    file: _Path | None,
    dirs: list[str],
    env: list[str],
    config: list[str],
    secrets: list[str],
    timeout: str | None,
) -> list[tuple[str, str, str, list[str]]]: ...
