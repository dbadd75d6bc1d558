"""Words that generated C may not use for names of its own, in C and in C++, and names of the system's.

Names that are given out have only small letters, or only capitals; keywords of either kind are here, and the
macros of standard headers that would be expanded where a member or parameter has their name.
"""

from __future__ import annotations

__all__ = ["CONSTANTS", "PREFIXES", "WORDS"]

_C = """
auto bool break case char const constexpr continue default do double else enum extern false float
for goto if inline int long nullptr register restrict return short signed sizeof static
static_assert struct switch thread_local true typedef typeof typeof_unqual union unsigned void
volatile while alignas alignof asm fortran
"""

_CPP = """
and and_eq bitand bitor catch char16_t char32_t char8_t class co_await co_return co_yield compl
concept const_cast consteval constinit contract_assert decltype delete dynamic_cast explicit export
final friend import module mutable namespace new noexcept not not_eq operator or or_eq override
private protected public reflexpr reinterpret_cast requires static_cast synchronized template this
throw try typeid typename using virtual wchar_t xor xor_eq atomic_cancel atomic_commit
atomic_noexcept
"""

_MACROS = """
assert complex errno fpclassify getc getchar i386 imaginary isfinite isgreater isgreaterequal isinf
isless islessequal islessgreater isnan isnormal isunordered kill_dependency linux major makedev
math_errhandling minor noreturn offsetof putc putchar setjmp sigsetjmp signbit stderr stdin stdout
unix unreachable va_arg va_copy va_end va_list va_start memcpy memset
"""

_TYPES = """
size_t ssize_t ptrdiff_t max_align_t intmax_t uintmax_t intptr_t uintptr_t int8_t int16_t int32_t
int64_t uint8_t uint16_t uint32_t uint64_t int_least8_t int_least16_t int_least32_t int_least64_t
uint_least8_t uint_least16_t uint_least32_t uint_least64_t int_fast8_t int_fast16_t int_fast32_t
int_fast64_t uint_fast8_t uint_fast16_t uint_fast32_t uint_fast64_t fpos_t div_t ldiv_t lldiv_t
time_t clock_t off_t wint_t errno_t memory_order atomic_flag atomic_bool atomic_int atomic_load
atomic_store atomic_init atomic_exchange atomic_is_lock_free atomic_thread_fence atomic_signal_fence
atomic_fetch_add atomic_fetch_sub atomic_fetch_or atomic_fetch_and atomic_fetch_xor atomic_char
atomic_short atomic_long atomic_uint atomic_flag_clear aligned_alloc at_quick_exit quick_exit
"""

WORDS = frozenset(f"{_C} {_CPP} {_MACROS} {_TYPES}".split())
"""What no member, parameter, type or function may be called."""

CONSTANTS = frozenset(
    f"{sign}INT_{kind}{bits}_{end}"
    for sign in ("", "U")
    for kind in ("LEAST", "FAST")
    for bits in (8, 16, 32, 64)
    for end in ("MIN", "MAX", "WIDTH")
) | frozenset(f"ATOMIC_{kind}_LOCK_FREE" for kind in ("BOOL", "CHAR", "INT", "LONG", "SHORT", "POINTER"))
"""Macros in capitals that have three words, as constants of generated enumerations do."""

_PREFIXES = """
assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign
stdarg stdatomic stdbit stdbool stdckdint stddef stdint stdio stdlib stdnoreturn string strings
tgmath threads time uchar wchar wctype aio dirent fcntl glob grp netdb poll pthread pwd regex sched
search semaphore spawn syslog tar termios ucontext ulimit unistd utime wordexp byteswap elf endian
error malloc memory mntent obstack paths pty resolv shadow stab thread values wait c m dl rt util
crypt nsl resolv gcc atomic stdc std wherry test all help install clean package depend edit_cache
rebuild_cache list_install_components
"""

PREFIXES = frozenset(_PREFIXES.split())
"""Names of standard headers, of libraries of the system, and of targets of CMake: no library's own."""
