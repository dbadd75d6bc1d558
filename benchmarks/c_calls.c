/*
 * One call through generated C and through wasmtime's C interface, by turns, in one process: prints the medians in nanoseconds.
 * Arguments: wasmtime's library and the component in binary. ADD, STRING_OF_16 or neither says which call; the generated package is
 * called `guest`.
 *
 * Of wasmtime's interface only what is called is declared here, as its headers are in no package.
 */
#define _POSIX_C_SOURCE 200809L
#include <dlfcn.h>
#include <guest.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 15
#define BYTES 1024

typedef struct {
  size_t size;
  char *data;
} name_t;

typedef struct value {
  uint8_t kind;
  union {
    uint8_t u8;
    uint32_t u32;
    name_t string;
    struct {
      size_t size;
      struct value *data;
    } list;
    uint64_t room[3];
  } of;
} value_t;

/* The kinds of values. */
enum { U8 = 2, U32 = 6, STRING = 12, LIST = 13 };

typedef struct {
  uint64_t words[4];
} function_t;

typedef struct {
  uint64_t words[2];
} instance_t;

static struct {
  void *(*engine_new)(void);
  void *(*component_new)(void *, const uint8_t *, size_t, void **);
  void *(*linker_new)(void *);
  void *(*store_new)(void *, void *, void (*)(void *));
  void *(*store_context)(void *);
  void *(*instantiate)(void *, void *, void *, instance_t *);
  void *(*export_index)(const instance_t *, void *, void *, const char *, size_t);
  bool (*get_func)(const instance_t *, void *, void *, function_t *);
  void *(*call)(const function_t *, void *, const value_t *, size_t, value_t *, size_t);
  void (*delete)(value_t *);
} peer;

static void check(bool holds, const char *what) {
  if (!holds) {
    fprintf(stderr, "error: %s\n", what);
    exit(1);
  }
}

static void symbol(void *library, const char *name, void *place) {
  void *found = dlsym(library, name);
  check(found != NULL, name);
  memcpy(place, &found, sizeof found);
}

static function_t theirs;
static void *context;
static value_t arguments[2];
static size_t count;

static void open_theirs(const char *path, const uint8_t *bytes, size_t length, const char *name) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL), *engine, *component, *index;
  instance_t instance;
  check(library != NULL, path);
  symbol(library, "wasm_engine_new", &peer.engine_new);
  symbol(library, "wasmtime_component_new", &peer.component_new);
  symbol(library, "wasmtime_component_linker_new", &peer.linker_new);
  symbol(library, "wasmtime_store_new", &peer.store_new);
  symbol(library, "wasmtime_store_context", &peer.store_context);
  symbol(library, "wasmtime_component_linker_instantiate", &peer.instantiate);
  symbol(library, "wasmtime_component_instance_get_export_index", &peer.export_index);
  symbol(library, "wasmtime_component_instance_get_func", &peer.get_func);
  symbol(library, "wasmtime_component_func_call", &peer.call);
  symbol(library, "wasmtime_component_val_delete", &peer.delete);
  engine = peer.engine_new();
  check(peer.component_new(engine, bytes, length, &component) == NULL, "their component");
  context = peer.store_context(peer.store_new(engine, NULL, NULL));
  check(peer.instantiate(peer.linker_new(engine), context, component, &instance) == NULL, "their instance");
  index = peer.export_index(&instance, context, NULL, name, strlen(name));
  check(index != NULL && peer.get_func(&instance, context, index, &theirs), "their function");
}

static uint32_t call_theirs(void) {
  /* What was there before is dropped. */
  value_t result = {0};
  uint32_t seen;
  check(peer.call(&theirs, context, arguments, count, &result, 1) == NULL, "their call");
  seen = result.kind == U32 ? result.of.u32 : (uint32_t)result.of.string.size;
  peer.delete(&result);
  return seen;
}

static guest_instance *ours;

static void open_ours(void) { check(guest_open(NULL, &ours, NULL) == WHERRY_OK, "our instance"); }

#ifdef ADD
static uint32_t call_ours(void) {
  uint32_t sum;
  check(guest_add(ours, 2, 3, &sum, NULL) == WHERRY_OK, "our call");
  return sum;
}

static void prepare(void) {
  count = 2;
  arguments[0].kind = arguments[1].kind = U32;
  arguments[0].of.u32 = 2;
  arguments[1].of.u32 = 3;
}
#elif defined STRING_OF_16
static char text[] = "sixteen bytes ok";

static uint32_t call_ours(void) {
  const guest_string given = {text, sizeof text - 1};
  guest_string got;
  check(guest_echo(ours, given, &got, NULL) == WHERRY_OK, "our call");
  return (uint32_t)got.length;
}

static void prepare(void) {
  count = 1;
  arguments[0].kind = STRING;
  arguments[0].of.string.size = sizeof text - 1;
  arguments[0].of.string.data = text;
}
#else
static uint8_t bytes_given[BYTES];

static uint32_t call_ours(void) {
  const guest_bytes given = {bytes_given, BYTES};
  guest_bytes got;
  check(guest_echo(ours, given, &got, NULL) == WHERRY_OK, "our call");
  return (uint32_t)got.length;
}

static void prepare(void) {
  static value_t items[BYTES];
  count = 1;
  for (size_t i = 0; i < BYTES; i++) {
    items[i].kind = U8;
    items[i].of.u8 = bytes_given[i] = (uint8_t)i;
  }
  arguments[0].kind = LIST;
  arguments[0].of.list.size = BYTES;
  arguments[0].of.list.data = items;
}
#endif

static double timed(uint32_t (*call)(void), int calls) {
  struct timespec begin, end;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (int i = 0; i < calls; i++)
    call();
  clock_gettime(CLOCK_MONOTONIC, &end);
  return ((double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec)) / calls;
}

static int by_size(const void *one, const void *other) {
  double difference = *(const double *)one - *(const double *)other;
  return difference < 0 ? -1 : difference > 0;
}

int main(int argc, char **argv) {
  uint32_t (*calls[])(void) = {call_ours, call_theirs};
  double times[2][ROUNDS];
  int batch[2];
  uint8_t *bytes;
  size_t length;
  FILE *file;
  check(argc == 3, "two arguments are wanted");
  file = fopen(argv[2], "rb");
  check(file != NULL && fseek(file, 0, SEEK_END) == 0, argv[2]);
  length = (size_t)ftell(file);
  bytes = malloc(length);
  rewind(file);
  check(bytes != NULL && fread(bytes, 1, length, file) == length, argv[2]);
  prepare();
  open_ours();
  open_theirs(argv[1], bytes, length, count == 2 ? "add" : "echo");
  check(call_ours() == call_theirs(), "both give the same");
  for (int side = 0; side < 2; side++)
    batch[side] = 1 + (int)(2e7 / timed(calls[side], 1000));
  for (int round = 0; round < ROUNDS; round++)
    for (int side = 0; side < 2; side++)
      times[side][round] = timed(calls[side], batch[side]);
  for (int side = 0; side < 2; side++)
    qsort(times[side], ROUNDS, sizeof(double), by_size);
  printf("%.1f %.1f\n", times[0][ROUNDS / 2], times[1][ROUNDS / 2]);
  return 0;
}
