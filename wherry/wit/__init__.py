"""WIT in Python: the names, the types and the model that calls, host imports and generated bindings share.

This is the one mapping between WIT and Python. It holds wherever a value crosses: arguments and results of
exported functions, arguments and results of host functions, and the signatures that ``wherry inspect`` shows.

=================== ========================= ======================== =======================================
WIT                 what Python gets          written as               what Python may give
=================== ========================= ======================== =======================================
bool                bool                      ``bool``                 bool
u8 ... u64          int                       ``int``                  int in the range of the type
s8 ... s64          int                       ``int``                  int in the range of the type
f32, f64            float                     ``float``                float or int
char                str of length 1           ``str``                  str of length 1, no surrogate
string              str                       ``str``                  str without surrogates
list<u8>            bytes                     ``bytes``                anything with the buffer protocol
list<T>             list                      ``list[T]``              any sequence
tuple<T, U>         tuple                     ``tuple[T, U]``          any sequence of that length
map<K, V>           dict                      ``dict[K, V]``           any mapping
record              an object of a class      the name of the class    the same, any object with the
                    named after the record,                            attributes, a dataclass, or a mapping
                    with ``==`` and ``repr``                           with the names as keys
variant             ``Variant(tag, value)``   ``Variant``              the same; ``value`` is None for a case
                                                                       without payload
enum                str                       ``str``                  str, the name of a case
flags               frozenset of str          ``frozenset[str]``       any iterable of names
option<T>           the value or None         ``T | None``             the same
option<T> where T   ``Some(value)`` or None   ``Some[T] | None``       the same
can itself be None
result<T, E>, the   the ok value; an err is   ``T``                    the ok value; ``raise ResultError(e)``
whole result of     raised: ``ResultError``                            for an err
a function          with ``.value``
result<T, E>        ``Ok(value)`` or          ``Ok[T] | Err[E]``       the same
elsewhere           ``Err(value)``
own, borrow of a    a ``Resource`` object     the name of the class    the same
guest's resource
own, borrow of a    the Python object that    the name of the class    any object that implements it
host's resource     was handed to the guest
stream<u8>          ``Stream`` of pieces of   ``Stream[bytes]``        bytes, or an iterable of pieces, with
                    bytes                                              ``for`` or with ``async for``
stream<T>           ``Stream``, an iterator   ``Stream[T]``            any iterable, with ``for`` or with
                    of both kinds                                      ``async for``
future<T>           ``Future``, awaitable     ``Future[T]``            any awaitable
error-context       no: it is gated in the    ``ErrorContext``         a function that needs one says so
                    component model itself
=================== ========================= ======================== =======================================

Names of functions, parameters and fields are those of WIT in snake_case and those of classes in PascalCase:
``wherry.wit.names``. The names of cases and flags are values, and stay as WIT has them: ``"not-found"``.

Start reading at ``model`` (what a component imports and exports) and ``python_types`` (how that is written in
Python). Nothing here is imported before it is needed.
"""
