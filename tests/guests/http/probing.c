// What a guest may leave behind, written and looked for. Each letter of the path is done in its order, such as `/aghe?7`: it
// answers, sets globals, fills its heap and ends the answer. What is answered begins with what was found at the very beginning,
// which is the same for every guest that nobody was before. With FULL it has clocks, randomness and files too, with LARGE so
// much data that a server prepares it, and with STILL it leaves its tables alone, so that a server puts its instance back.
#include "application.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef exports_wasi_http_incoming_handler_own_incoming_request_t request_t;
typedef exports_wasi_http_incoming_handler_own_response_outparam_t outparam_t;

// A global and a table, which C has no words for.
__asm__(".globaltype kept, i64\n"
        "kept:\n"
        ".tabletype elements, funcref\n"
        "elements:\n"
        ".globl get_kept\nget_kept:\n.functype get_kept () -> (i64)\n"
        "global.get kept\nend_function\n"
        ".globl set_kept\nset_kept:\n.functype set_kept (i64) -> ()\n"
        "local.get 0\nglobal.set kept\nend_function\n"
        ".globl elements_size\nelements_size:\n.functype elements_size () -> (i32)\n"
        "table.size elements\nend_function\n"
#ifndef STILL
        ".globl elements_grow\nelements_grow:\n.functype elements_grow (i32) -> (i32)\n"
        "ref.null_func\nlocal.get 0\ntable.grow elements\nend_function\n"
#endif
        ".globl element_is_null\nelement_is_null:\n.functype element_is_null (i32) -> (i32)\n"
        "local.get 0\ntable.get elements\nref.is_null\nend_function\n"
#ifndef STILL
        ".globl set_element\nset_element:\n.functype set_element (i32, i32) -> ()\n"
        "local.get 0\nlocal.get 1\ntable.get __indirect_function_table\ntable.set elements\nend_function\n"
        // The table of all pointers to functions: one becomes another.
        ".globl exchange\nexchange:\n.functype exchange (i32, i32) -> ()\n"
        "local.get 0\nlocal.get 1\ntable.get __indirect_function_table\ntable.set __indirect_function_table\nend_function\n"
#endif
        // Every byte of the memory, with nothing but numbers: no stack, no data, no way back into C.
        ".globl ruin\nruin:\n.functype ruin (i32) -> ()\n"
        "i32.const 0\nlocal.get 0\nmemory.size 0\ni32.const 16\ni32.shl\nmemory.fill 0\nend_function\n");
uint64_t get_kept(void);
void set_kept(uint64_t);
unsigned elements_size(void);
int elements_grow(unsigned);
int element_is_null(unsigned);
void set_element(unsigned, int (*)(void));
void exchange(int (*)(void), int (*)(void));
void ruin(unsigned);

static int one(void) { return 1; }
static int two(void) { return 2; }
static int (*volatile first)(void) = one;
static int (*volatile second)(void) = two;

#ifdef LARGE
#define FILLING 1200000
#else
#define FILLING 70000
#endif
static unsigned char filling[FILLING] = {1, 2, 3, [FILLING - 1] = 4};
static unsigned char zeros[100000];

static wasi_http_types_own_outgoing_body_t body;
static wasi_io_streams_own_output_stream_t stream;
static char found[200];

// FNV-1a, over words of 64 bits.
static uint64_t sum(void) {
  uint64_t sum = 0xcbf29ce484222325;
  const volatile uint64_t *end = (uint64_t *)(__builtin_wasm_memory_size(0) << 16);
  for (const volatile uint64_t *word = 0; word < end; word++) sum = (sum ^ *word) * 0x100000001b3;
  return sum;
}

static unsigned elements_set(void) {
  unsigned set = 0;
  for (unsigned at = 0; at < elements_size(); at++) set += !element_is_null(at);
  return set;
}

static void put(const void *bytes, size_t size) {
  wasi_io_streams_borrow_output_stream_t output = wasi_io_streams_borrow_output_stream(stream);
  for (size_t at = 0; at < size;) {
    size_t piece = size - at < 4096 ? size - at : 4096;
    application_list_u8_t list = {(uint8_t *)bytes + at, piece};
    wasi_io_streams_stream_error_t error;
    if (!wasi_io_streams_method_output_stream_blocking_write_and_flush(output, &list, &error)) abort();
    at += piece;
  }
}

static void answer(outparam_t out) {
  wasi_http_types_result_own_outgoing_response_error_code_t answer = {0};
  answer.val.ok = wasi_http_types_constructor_outgoing_response(wasi_http_types_constructor_fields());
  wasi_http_types_borrow_outgoing_response_t borrowed = wasi_http_types_borrow_outgoing_response(answer.val.ok);
  if (!wasi_http_types_method_outgoing_response_body(borrowed, &body)) abort();
  wasi_http_types_static_response_outparam_set(out, &answer);
  if (!wasi_http_types_method_outgoing_body_write(wasi_http_types_borrow_outgoing_body(body), &stream)) abort();
  put(found, strlen(found));
}

static void end(void) {
  wasi_http_types_error_code_t error;
  wasi_io_streams_output_stream_drop_own(stream);
  wasi_http_types_static_outgoing_body_finish(body, NULL, &error);
}

// Waits for more of a request than comes.
static void wait(request_t request) {
  wasi_http_types_own_incoming_body_t incoming;
  wasi_io_streams_own_input_stream_t input;
  if (!wasi_http_types_method_incoming_request_consume(wasi_http_types_borrow_incoming_request(request), &incoming)) abort();
  if (!wasi_http_types_method_incoming_body_stream(wasi_http_types_borrow_incoming_body(incoming), &input)) abort();
  application_list_u8_t piece;
  wasi_io_streams_stream_error_t error;
  while (wasi_io_streams_method_input_stream_blocking_read(wasi_io_streams_borrow_input_stream(input), 65536, &piece, &error))
    application_list_u8_free(&piece);
}

static void loop(void) {
  for (volatile unsigned turns = 0;; turns++) {
  }
}

// Opens what there is, and says under which number.
static int opened(void) {
#ifdef FULL
  return open("/data/file", O_RDWR | O_CREAT);
#else
  return 0;
#endif
}

// Writes down what there is: the memory was summed up before anything else.
static void look(uint64_t was, unsigned pages, request_t request) {
  wasi_http_types_own_fields_t handle = wasi_http_types_constructor_fields();
  snprintf(found, sizeof found, "%016llx %u %u %u %llu %u %d %d %d\n", was, pages, elements_size(), elements_set(), get_kept(),
           first() + 10 * second(), (int)request.__handle, (int)handle.__handle, opened());
}

static void act(char letter, unsigned seed, request_t request, outparam_t out) {
  unsigned char mark = seed | 1;
  switch (letter) {
    case 'a': return answer(out);
    case 'd': return put(0, __builtin_wasm_memory_size(0) << 16);
    case 'e': return end();
    case 'f':
      for (unsigned count = 0; count < 1 + seed % 20; count++) opened();
      return;
    case 'g': return set_kept(get_kept() + seed + 1);
    case 'h':
      for (unsigned block = 0; block < 1 + seed % 50; block++) {
        size_t size = 1 + (seed * 2654435761u + block * 40503u) % 90000;
        void *volatile place = malloc(size);
        if (place) memset(place, mark, size);
      }
      return;
    case 'l': return loop();
    case 'm': {
      unsigned pages = 1 + seed % 100;
      unsigned at = __builtin_wasm_memory_grow(0, pages);
      if (at != -1u) memset((void *)(at << 16), mark, (size_t)pages << 16);
      return;
    }
    case 'n':
      for (unsigned count = 0; count < 1 + seed % 100; count++) wasi_http_types_constructor_fields();
      return;
#ifdef FULL
    case 'r':
      srand(wasi_random_random_get_random_u64() + wasi_clocks_monotonic_clock_now());
      filling[rand() % sizeof filling] = rand();
      return;
#endif
    case 'p':
      look(sum(), __builtin_wasm_memory_size(0), request);
      return put(found, strlen(found));
    case 's':
      for (unsigned at = seed % 4096; at < sizeof filling; at += 1 + seed % 8192) filling[at] ^= mark;
      for (unsigned at = seed % 4096; at < sizeof zeros; at += 1 + seed % 8192) zeros[at] ^= mark;
      return;
#ifdef STILL
    case 't':
      first = two;
      return;
#else
    case 't': {
      unsigned size = elements_size();
      elements_grow(1 + seed % 100);
      for (unsigned at = size; at < elements_size(); at += 1 + seed % 3) set_element(at, first);
      return exchange(one, second);
    }
#endif
    case 'w': return wait(request);
    case 'x': __builtin_trap();
    // What follows has nothing to stand on, and finds no letter: a trap, or the end of the guest.
    case 'R': return ruin(mark | 128);
  }
}

void exports_wasi_http_incoming_handler_handle(request_t request, outparam_t out) {
  look(sum(), __builtin_wasm_memory_size(0), request);
  application_string_t path;
  if (!wasi_http_types_method_incoming_request_path_with_query(wasi_http_types_borrow_incoming_request(request), &path)) abort();
  const char *letters = strndup((char *)path.ptr, path.len), *query = strchr(letters, '?');
  unsigned seed = query ? strtoul(query + 1, NULL, 10) : 0;
  for (letters++; *letters && *letters != '?'; letters++) {
    if (*letters == 'R' && (letters[1] == 0 || letters[1] == '?')) return ruin(seed | 128);
    act(*letters, seed, request, out);
  }
}
