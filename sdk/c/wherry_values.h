/*
 * The encoding of docs/encoding.md as readers and writers that a compiler can inline, for sources that `wherry bind --lang c` writes;
 * wherry_bind.h includes it.
 *
 * Arguments are written from front to back into one buffer. Results are read where libwherry left them: text and bytes are pointed
 * at, and what needs a form of its own is put in an arena. What is read is not checked again: it comes from libwherry, which made it
 * of the types that the component's digest stands for.
 */
#ifndef WHERRY_VALUES_H
#define WHERRY_VALUES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "bindings of Wherry are for processors that have the least byte of a number first"
#endif

/* ---- An arena: memory that goes all at once ---- */

typedef struct wherry_block {
  struct wherry_block *next;
  size_t size, used;
  _Alignas(16) unsigned char data[];
} wherry_block;

typedef struct wherry_arena {
  wherry_block *block;
} wherry_arena;

enum { WHERRY_FIRST_BLOCK = 4096, WHERRY_MOST_KEPT = 1 << 20 };

/* Room for `count` things of `size` bytes, or NULL. */
static inline void *wherry_arena_take(wherry_arena *arena, size_t count, size_t size) {
  wherry_block *block = arena->block;
  if (size != 0 && count > (SIZE_MAX / 4) / size)
    return NULL;
  size = (count * size + 15) & ~(size_t)15;
  if (block == NULL || block->size - block->used < size) {
    size_t room = block == NULL ? WHERRY_FIRST_BLOCK : 2 * block->size;
    room = room < size ? size : room;
    block = (wherry_block *)malloc(sizeof *block + room);
    if (block == NULL)
      return NULL;
    block->next = arena->block;
    block->size = room;
    block->used = 0;
    arena->block = block;
  }
  block->used += size;
  return block->data + (block->used - size);
}

static inline void wherry_arena_free(wherry_arena *arena) {
  while (arena->block != NULL) {
    wherry_block *next = arena->block->next;
    free(arena->block);
    arena->block = next;
  }
}

/* Makes room for the next call. The last block, which is the largest, is kept unless it is very large. */
static inline void wherry_arena_reset(wherry_arena *arena) {
  wherry_block *kept = arena->block;
  wherry_arena rest;
  if (kept == NULL || (kept->next == NULL && kept->used == 0))
    return;
  rest.block = kept->next;
  wherry_arena_free(&rest);
  kept->next = NULL;
  kept->used = 0;
  if (kept->size > WHERRY_MOST_KEPT)
    wherry_arena_free(arena);
}

/* ---- Writing ---- */

typedef struct wherry_writer {
  uint8_t *start, *at, *end;
  bool failed;  /* no memory, more than the encoding can count, or: */
  bool missing; /* elements that are said to be at NULL */
} wherry_writer;

static inline void wherry_writer_begin(wherry_writer *writer) {
  writer->at = writer->start;
  writer->failed = writer->missing = false;
}

static inline bool wherry_writer_grow(wherry_writer *writer, size_t more) {
  size_t used = (size_t)(writer->at - writer->start);
  size_t size = 2 * (size_t)(writer->end - writer->start) + 256;
  uint8_t *bytes = NULL;
  if (more < SIZE_MAX / 4 && used < SIZE_MAX / 4) {
    size = size < used + more ? used + more : size;
    bytes = (uint8_t *)realloc(writer->start, size);
  }
  if (bytes == NULL) {
    writer->failed = true;
    return false;
  }
  writer->start = bytes;
  writer->at = bytes + used;
  writer->end = bytes + size;
  return true;
}

/* Room for so many bytes, or NULL. */
static inline uint8_t *wherry_write_room(wherry_writer *writer, size_t length) {
  uint8_t *at;
  if ((size_t)(writer->end - writer->at) < length && !wherry_writer_grow(writer, length))
    return NULL;
  at = writer->at;
  writer->at += length;
  return at;
}

static inline void wherry_write_tag(wherry_writer *writer, uint8_t tag) {
  uint8_t *to = wherry_write_room(writer, 1);
  if (to != NULL)
    *to = tag;
}

/* A tag and the number behind it: a count, a place, flags. */
static inline void wherry_write_head(wherry_writer *writer, uint8_t tag, size_t number) {
  uint32_t small = (uint32_t)number;
  uint8_t *to = wherry_write_room(writer, 5);
  if (number > UINT32_MAX)
    writer->failed = true;
  if (to != NULL) {
    *to = tag;
    memcpy(to + 1, &small, 4);
  }
}

static inline void wherry_write_handle(wherry_writer *writer, uint8_t tag, uint64_t number) {
  uint8_t *to = wherry_write_room(writer, 9);
  if (to != NULL) {
    *to = tag;
    memcpy(to + 1, &number, 8);
  }
}

/* A head, and how many of the elements behind it can be written. */
static inline size_t wherry_write_elements(wherry_writer *writer, uint8_t tag, const void *data, size_t count) {
  wherry_write_head(writer, tag, count);
  if (count > 0 && data == NULL)
    writer->failed = writer->missing = true;
  return writer->failed ? 0 : count;
}

/* A head, and `count` elements of `size` bytes in one piece. */
static inline void wherry_write_pieces(wherry_writer *writer, uint8_t tag, const void *data, size_t count, size_t size) {
  uint8_t *to = NULL;
  count = wherry_write_elements(writer, tag, data, count);
  if (count > 0)
    to = wherry_write_room(writer, count * size);
  if (to != NULL)
    memcpy(to, data, count * size);
}

/* ---- Reading ---- */

typedef struct wherry_reader {
  const uint8_t *at;
  wherry_arena *arena;
  bool failed; /* no memory */
} wherry_reader;

static inline uint8_t wherry_read_tag(wherry_reader *reader) { return *reader->at++; }

static inline uint32_t wherry_read_number(wherry_reader *reader) {
  uint32_t number;
  memcpy(&number, reader->at, 4);
  reader->at += 4;
  return number;
}

static inline uint32_t wherry_read_head(wherry_reader *reader) {
  reader->at++;
  return wherry_read_number(reader);
}

static inline uint64_t wherry_read_handle(wherry_reader *reader) {
  uint64_t number;
  memcpy(&number, reader->at + 1, 8);
  reader->at += 9;
  return number;
}

/* Elements in one piece: in the buffer where they are aligned there, and else a copy. */
static inline const void *wherry_read_pieces(wherry_reader *reader, size_t *count, size_t size) {
  const void *data;
  *count = wherry_read_head(reader);
  data = reader->at;
  reader->at += *count * size;
  if ((uintptr_t)data % size != 0 && *count != 0) {
    void *copy = wherry_arena_take(reader->arena, *count, size);
    if (copy != NULL)
      memcpy(copy, data, *count * size);
    else
      *count = 0;
    reader->failed |= copy == NULL;
    data = copy;
  }
  return data;
}

/* Room for the elements of a list. Where there is none, `*count` still says how many have to be read past. */
static inline void *wherry_read_room(wherry_reader *reader, size_t *count, size_t size) {
  void *items;
  *count = wherry_read_head(reader);
  if (*count == 0)
    return NULL;
  items = wherry_arena_take(reader->arena, *count, size);
  reader->failed |= items == NULL;
  return items;
}

#define WHERRY_NUMBER(name, type, number)                                                                                          \
  static inline void wherry_write_##name(wherry_writer *writer, type value) {                                                      \
    uint8_t *to = wherry_write_room(writer, 1 + sizeof value);                                                                     \
    if (to != NULL) {                                                                                                              \
      *to = number;                                                                                                                \
      memcpy(to + 1, &value, sizeof value);                                                                                        \
    }                                                                                                                              \
  }                                                                                                                                \
  static inline type wherry_read_##name(wherry_reader *reader) {                                                                   \
    type value;                                                                                                                    \
    memcpy(&value, reader->at + 1, sizeof value);                                                                                  \
    reader->at += 1 + sizeof value;                                                                                                \
    return value;                                                                                                                  \
  }

WHERRY_NUMBER(bool, bool, 0x01)
WHERRY_NUMBER(s8, int8_t, 0x02)
WHERRY_NUMBER(u8, uint8_t, 0x03)
WHERRY_NUMBER(s16, int16_t, 0x04)
WHERRY_NUMBER(u16, uint16_t, 0x05)
WHERRY_NUMBER(s32, int32_t, 0x06)
WHERRY_NUMBER(u32, uint32_t, 0x07)
WHERRY_NUMBER(s64, int64_t, 0x08)
WHERRY_NUMBER(u64, uint64_t, 0x09)
WHERRY_NUMBER(f32, float, 0x0a)
WHERRY_NUMBER(f64, double, 0x0b)
WHERRY_NUMBER(char, uint32_t, 0x0c)

_Static_assert(sizeof(bool) == 1, "a bool is one byte");
_Static_assert(sizeof(void *) == 8, "pointers have 64 bits");

#endif
