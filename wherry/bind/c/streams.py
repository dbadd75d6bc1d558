"""Streams and futures in C: a handle of its own type for each, what reads it, what fills it, what closes it.

A stream comes in batches, which are views of its elements; a future has its value. Start at ``Streams``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wherry.bind.c.comments import comment
from wherry.bind.c.spelling import NUMBERS
from wherry.bind.c.types import pointer
from wherry.bind.c.values import Place
from wherry.wit import model

if TYPE_CHECKING:
    from wherry.bind.c.values import Values
    from wherry.wit.model import Type

__all__ = ["Streams"]

_TAGS = {name: tag for tag, name in enumerate(NUMBERS, 1)}


class Streams:
    """The functions for streams and futures of a library, once all its types are declared."""

    def __init__(self, values: Values) -> None:
        self.values = values
        self.types = values.types
        self.spelling = values.spelling
        world = values.library.world
        self._found = {
            self.spelling.type(place): definition
            for place in self.types.order
            if isinstance(definition := world.types[place], model.Stream | model.Future)
        }
        names = [f"{stem}_{word}" for stem in self._found for word in ("batch", "source", "read", "new")]
        names += [f"{stem}_{word}" for stem in self._found for word in ("ready", "close")]
        self._names = {name: self.spelling.free(name) for name in names}

    def prototypes(self) -> str:
        """What is declared for each of them."""
        return "\n".join(self._declared(name, one) for name, one in self._found.items())

    def definitions(self) -> str:
        """The same as code."""
        return "\n".join(self._defined(name, one) for name, one in self._found.items())

    def _brought(self, name: str, one: model.Stream | model.Future) -> str | None:
        """The type of what it brings at once; ``None`` for a future that says only that it is done."""
        if one.payload is None:
            return "size_t" if isinstance(one, model.Stream) else None
        if isinstance(one, model.Future):
            return self.spelling.element(one.payload)
        return self._names[f"{name}_batch"]

    def _heads(self, name: str, one: model.Stream | model.Future) -> dict[str, str]:
        brought = self._brought(name, one)
        out = "" if brought is None else f"{pointer(brought, constant=False)}out, "
        instance = f"{self.spelling.fixed['instance']} *instance"
        made, source = (self._names[f"{name}_{word}"] for word in ("new", "source"))
        given = f"{source} source, void *context, void (*done)(void *context), {name} *out"
        return {
            "read": f"{self._names[f'{name}_read']}({instance}, {name} stream, {out}wherry_error **error)",
            "new": f"{made}({given}, wherry_error **error)",
            "ready": f"{self._names[f'{name}_ready']}({name} stream)",
            "close": f"{self._names[f'{name}_close']}({name} stream)",
        }

    def _declared(self, name: str, one: model.Stream | model.Future) -> str:
        is_stream = isinstance(one, model.Stream)
        brought = self._brought(name, one)
        lines = []
        if is_stream and one.payload is not None:
            element = pointer(self.spelling.element(one.payload))
            batch = self._names[f"{name}_batch"]
            lines.append(f"typedef struct {batch} {{\n{element}data;\nsize_t length;\n}} {batch};\n")
        end = " Nothing in it is the end." if is_stream else ""
        what = "about `most` elements" if is_stream else "the value"
        words = ["void *context", *(["size_t most"] if is_stream else [])]
        if brought is not None:
            words.append(f"{pointer(brought, constant=False)}out")
        text = comment(
            f"Puts {what} into `out`, which has to stay until it is asked again or `done` is called.{end}"
            " Returns 0, or WHERRY_BUSY where there is nothing yet, or anything else to fail, which ends the"
            " guest. Runs on the thread that runs the guest."
        )
        lines.append(f"{text}typedef int32_t (*{self._names[f'{name}_source']})({', '.join(words)});\n")
        kind = "stream" if is_stream else "future"
        told = _told(kind, end)
        heads = self._heads(name, one)
        lines += [f"{comment(told[word])}wherry_status {heads[word]};\n" for word in told]
        return "\n".join(lines)

    def _defined(self, name: str, one: model.Stream | model.Future) -> str:
        heads = self._heads(name, one)
        brought = self._brought(name, one)
        place = "out != NULL" if brought is not None else "true"
        begin = f"wherry_stream_begin(&wherry_this, instance, stream.handle, {place}, &bound, &reader, error)"
        read = self._read(one)
        body = [
            "wherry_bound *bound = NULL;",
            "wherry_reader reader = {NULL, NULL, false};",
            f"wherry_status status = {begin};",
            "if (bound == NULL)",
            "return status;",
            f"if (status == WHERRY_OK) {{\n{read}\n}}",
            "return wherry_call_end(&wherry_this, bound, &reader, status, error);",
        ]
        fill = f"wherry_fill_{name}"
        there = "source != NULL && out != NULL, (void (*)(void))source"
        call = f"wherry_filled_new({fill}, {there}, context, done, &stream, error)"
        made = [
            "wherry_stream *stream = NULL;",
            f"wherry_status status = {call};",
            "if (status == WHERRY_OK)",
            "out->handle = stream;",
            "return status;",
        ]
        return "\n".join(
            [
                f"wherry_status {heads['read']} {{",
                *body,
                "}\n",
                self._filling(fill, name, one),
                f"wherry_status {heads['new']} {{",
                *made,
                "}\n",
                f"wherry_status {heads['ready']} {{\nreturn wherry_stream_ready(stream.handle);\n}}\n",
                f"wherry_status {heads['close']} {{\nreturn wherry_stream_free(stream.handle);\n}}\n",
            ]
        )

    def _read(self, one: model.Stream | model.Future) -> str:
        """The statements that read a batch, or the value."""
        if isinstance(one, model.Future):
            if one.payload is None:
                return "(void)reader;"
            return self.values.read(one.payload, Place("out", is_pointer=True), "&reader")
        if one.payload is None:
            return "*out = reader.at == NULL ? 0 : wherry_read_u32(&reader);"
        inner = self._read_elements(one.payload)
        return f"out->data = NULL;\nout->length = 0;\nif (reader.at != NULL) {{\n{inner}\n}}"

    def _read_elements(self, payload: Type) -> str:
        element = self.spelling.element(payload)
        number = self.values.number(payload)
        if number is not None:
            kind = pointer(element)
            return f"out->data = ({kind})wherry_read_pieces(&reader, &out->length, sizeof *out->data);"
        star = pointer(element, constant=False)
        inner = self.values.read(payload, Place("item", is_pointer=True), "&reader")
        return "\n".join(
            [
                f"{star}items;",
                f"{element} spare;",
                f"items = ({star})wherry_read_room(&reader, &out->length, sizeof *items);",
                "for (size_t i = 0; i < out->length; i++) {",
                f"{star}item = items != NULL ? &items[i] : &spare;",
                inner,
                "}",
                "out->data = items;",
                "out->length = items != NULL ? out->length : 0;",
            ]
        )

    def _filling(self, fill: str, name: str, one: model.Stream | model.Future) -> str:
        """What libwherry asks, which asks the source."""
        is_stream = isinstance(one, model.Stream)
        brought = self._brought(name, one)
        words = ["filled->context", *(["most"] if is_stream else []), *(["&out"] if brought else [])]
        source = self._names[f"{name}_source"]
        lines = [
            "wherry_filled *filled = (wherry_filled *)context;",
            "wherry_writer *writer = wherry_filled_begin(filled);",
            "int32_t status;",
            *([f"{brought} out;", "memset(&out, 0, sizeof out);"] if brought else []),
            *([] if is_stream else ["(void)most;"]),
            f"status = (({source})filled->source)({', '.join(words)});",
            f"if (status == 0) {{\n{self._write(one)}\n}}",
            "return wherry_filled_end(filled, status, caller);",
        ]
        head = f"static int32_t {fill}(void *context, size_t most, wherry_caller *caller)"
        return f"{head} {{\n" + "\n".join(lines) + "\n}\n"

    def _write(self, one: model.Stream | model.Future) -> str:
        if one.payload is None:
            if isinstance(one, model.Future):
                return "wherry_write_u32(writer, 1);"
            return "if (out != 0) wherry_write_u32(writer, (uint32_t)out);"
        if isinstance(one, model.Future):
            return self.values.write(one.payload, Place("out"))
        number = self.values.number(one.payload)
        if number is not None:
            tag = 0x40 + _TAGS[number]
            inner = f"wherry_write_pieces(writer, {tag:#x}, out.data, out.length, sizeof *out.data);"
        else:
            item = self.values.write(one.payload, Place("out.data[i]"))
            loop = f"for (size_t i = 0; i < length; i++) {{\n{item}\n}}"
            written = "wherry_write_elements(writer, 0x11, out.data, out.length)"
            inner = f"const size_t length = {written};\n{loop}"
        return f"if (out.length != 0) {{\n{inner}\n}}"


def _told(kind: str, end: str) -> dict[str, str]:
    """What is to be known of each function of a stream or future."""
    end = end.replace("it", "`out`")
    return {
        "read": (
            f"Runs the guest until its {kind} brings something, under the limits of a call.{end} What `out`"
            " points to is lent until the next call on `instance`. Refused in a callback."
        ),
        "new": (
            f"A {kind} for the guest, filled by `source` when the guest reads it. To be given away once, and"
            " closed all the same. `done` may be NULL; it is called when nothing uses the context any more."
        ),
        "ready": "Has a source be asked again that had nothing yet. Any thread.",
        "close": f"Releases a {kind}, whosever it is. A guest that writes it hears of that when it runs on.",
    }
