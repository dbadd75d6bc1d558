// What `determined.c` prints, asked of WASI 0.3 and of nothing else: the canonical ABI by hand, without a library.
#include "variety.h"

#define FROM(module, name) __attribute__((import_module(module), import_name(name)))

typedef struct {
  const char *start;
  uint32_t length;
} text;

FROM("$root", "[waitable-set-new]") uint32_t set_new(void);
FROM("$root", "[waitable-set-wait]") uint32_t set_wait(uint32_t set, uint32_t *payload);
FROM("$root", "[waitable-join]") void join(uint32_t waitable, uint32_t set);

#define STDOUT "wasi:cli/stdout@0.3.0"
FROM(STDOUT, "write-via-stream") uint32_t write_via_stream(uint32_t stream);
FROM(STDOUT, "[stream-new-0]write-via-stream") uint64_t stream_new(void);
FROM(STDOUT, "[async-lower][stream-write-0]write-via-stream") uint32_t stream_write(uint32_t, const void *, uint32_t);
FROM(STDOUT, "[stream-drop-writable-0]write-via-stream") void stream_drop(uint32_t stream);
FROM(STDOUT, "[async-lower][future-read-1]write-via-stream") uint32_t future_read(uint32_t future, void *result);

#define ENVIRONMENT "wasi:cli/environment@0.3.0"
typedef struct {
  text *items;
  uint32_t count;
} texts;
FROM(ENVIRONMENT, "get-environment") void get_environment(texts *pairs);
FROM(ENVIRONMENT, "get-arguments") void get_arguments(texts *arguments);

typedef struct {
  int64_t seconds;
  uint32_t nanoseconds;
} instant;
FROM("wasi:clocks/system-clock@0.3.0", "now") void system_now(instant *now);
FROM("wasi:clocks/monotonic-clock@0.3.0", "now") uint64_t monotonic_now(void);
FROM("wasi:clocks/monotonic-clock@0.3.0", "wait-for") void wait_for(uint64_t nanoseconds);
FROM("wasi:random/random@0.3.0", "get-random-u64") uint64_t random_u64(void);

#define TYPES "wasi:filesystem/types@0.3.0"
typedef struct {
  uint32_t descriptor;
  text name;
} preopen;
typedef struct {
  preopen *items;
  uint32_t count;
} preopens;
typedef struct {
  uint32_t type[4];
  text name;
} entry;
typedef struct {
  uint64_t failed, type[2], links, size;
  struct {
    uint64_t there;
    instant time;
  } accessed, modified, changed;
} status;
typedef struct {
  uint64_t failed, lower, upper;
} hash;
FROM("wasi:filesystem/preopens@0.3.0", "get-directories") void get_directories(preopens *found);
FROM(TYPES, "[method]descriptor.read-directory") void read_directory(uint32_t descriptor, uint32_t *stream_and_future);
FROM(TYPES, "[async-lower][stream-read-0][method]descriptor.read-directory")
uint32_t entries_read(uint32_t stream, entry *room, uint32_t most);
FROM(TYPES, "[method]descriptor.stat-at") void stat_at(uint32_t, uint32_t, const char *, uint32_t, status *);
FROM(TYPES, "[method]descriptor.metadata-hash-at") void hash_at(uint32_t, uint32_t, const char *, uint32_t, hash *);

// What the host hands over stays until the end.
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, uint32_t had, uint32_t align, uint32_t size) {
  static _Alignas(16) uint8_t room[1 << 17];
  static uint32_t used;
  (void)old, (void)had;
  used = (used + align - 1) & ~(align - 1);
  if (used + size > sizeof room)
    __builtin_trap();
  used += size;
  return room + used - size;
}

static uint32_t output, waiting;

// The result of a call that may have to wait for the other side.
static uint32_t awaited(uint32_t waitable, uint32_t result) {
  if (result != UINT32_MAX)
    return result;
  uint32_t payload[2];
  join(waitable, waiting);
  set_wait(waiting, payload);
  join(waitable, 0);
  return payload[1];
}

static void print(const char *start, uint32_t length) {
  while (length > 0) {
    uint32_t written = awaited(output, stream_write(output, start, length)) >> 4;
    start += written, length -= written;
  }
}

static void line(const char *start, uint32_t length) {
  print(start, length);
  print("\n", 1);
}

void say(const char *name, uint64_t word) {
  char text[64];
  uint32_t at = 0;
  while (*name)
    text[at++] = *name++;
  text[at++] = ' ';
  for (int shift = 60; shift >= 0; shift -= 4)
    text[at++] = "0123456789abcdef"[word >> shift & 15];
  line(text, at);
}

static void list(preopen folder) {
  line(folder.name.start, folder.name.length);
  uint32_t pair[2];
  read_directory(folder.descriptor, pair);
  for (;;) {
    static entry found[7];
    uint32_t got = awaited(pair[0], entries_read(pair[0], found, 7));
    for (uint32_t i = 0; i < got >> 4; i++) {
      text name = found[i].name;
      line(name.start, name.length);
      status status;
      stat_at(folder.descriptor, 0, name.start, name.length, &status);
      say("failed", status.failed & 255), say("size", status.size);
      say("modified", (uint64_t)status.modified.time.seconds), say("nanoseconds", status.modified.time.nanoseconds);
      hash hash;
      hash_at(folder.descriptor, 0, name.start, name.length, &hash);
      say("lower", hash.lower), say("upper", hash.upper);
    }
    if (got & 15)
      return;
  }
}

__attribute__((export_name("wasi:cli/run@0.3.0#run"))) uint32_t run(void) {
  uint64_t ends = stream_new();
  output = (uint32_t)(ends >> 32), waiting = set_new();
  uint32_t written = write_via_stream((uint32_t)ends);
  for (int i = 0; i < 3; i++) {
    instant now;
    system_now(&now);
    say("seconds", (uint64_t)now.seconds), say("nanoseconds", now.nanoseconds), say("monotonic", monotonic_now());
    wait_for(3600000000000);
  }
  say("random", random_u64());
  nan_bits();
  relaxed();
  hash_order(random_u64());
  texts found;
  get_environment(&found);
  for (uint32_t i = 0; i < 2 * found.count; i++)
    line(found.items[i].start, found.items[i].length);
  get_arguments(&found);
  for (uint32_t i = 0; i < found.count; i++)
    line(found.items[i].start, found.items[i].length);
  preopens folders;
  get_directories(&folders);
  for (uint32_t i = 0; i < folders.count; i++)
    list(folders.items[i]);
  stream_drop(output);
  uint64_t result[2];
  awaited(written, future_read(written, result));
  return 0;
}
