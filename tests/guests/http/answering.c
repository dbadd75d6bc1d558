// One application with a path for each thing that a server has to get right. With FULL it imports clocks and randomness too.
#include "application.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef exports_wasi_http_incoming_handler_own_incoming_request_t request_t;
typedef exports_wasi_http_incoming_handler_own_response_outparam_t outparam_t;
typedef wasi_io_streams_borrow_output_stream_t output_t;

static application_string_t path;
static wasi_http_types_own_fields_t fields;
static wasi_http_types_own_outgoing_body_t body;
static wasi_io_streams_own_output_stream_t stream;
static int refused;

// What an instance that is used again would still have.
static unsigned count;
static unsigned char *volatile memory;

static int is(const char *name) { return path.len == strlen(name) && !memcmp(path.ptr, name, path.len); }

static void field(const char *name, const char *value) {
  application_string_t key = {(uint8_t *)name, strlen(name)};
  wasi_http_types_field_value_t one = {(uint8_t *)value, strlen(value)};
  wasi_http_types_header_error_t error;
  refused += !wasi_http_types_method_fields_append(wasi_http_types_borrow_fields(fields), &key, &one, &error);
}

// Gives the head; what follows is the body.
static void begin(outparam_t out, uint16_t status) {
  wasi_http_types_result_own_outgoing_response_error_code_t answer = {0};
  wasi_http_types_own_outgoing_response_t response = wasi_http_types_constructor_outgoing_response(fields);
  wasi_http_types_borrow_outgoing_response_t borrowed = wasi_http_types_borrow_outgoing_response(response);
  if (!wasi_http_types_method_outgoing_response_set_status_code(borrowed, status)) abort();
  if (!wasi_http_types_method_outgoing_response_body(borrowed, &body)) abort();
  answer.val.ok = response;
  wasi_http_types_static_response_outparam_set(out, &answer);
  if (!wasi_http_types_method_outgoing_body_write(wasi_http_types_borrow_outgoing_body(body), &stream)) abort();
}

static int put(const void *bytes, size_t size) {
  output_t output = wasi_io_streams_borrow_output_stream(stream);
  for (size_t at = 0; at < size;) {
    size_t piece = size - at < 4096 ? size - at : 4096;
    application_list_u8_t list = {(uint8_t *)bytes + at, piece};
    wasi_io_streams_stream_error_t error;
    if (!wasi_io_streams_method_output_stream_blocking_write_and_flush(output, &list, &error)) return 0;
    at += piece;
  }
  return 1;
}

static void say(const char *text) { put(text, strlen(text)); }

static void number(uint64_t value) {
  char digits[21];
  size_t at = sizeof digits;
  do digits[--at] = '0' + value % 10; while (value /= 10);
  put(digits + at, sizeof digits - at);
}

static int end(wasi_http_types_own_fields_t *trailers) {
  wasi_http_types_error_code_t error;
  wasi_io_streams_output_stream_drop_own(stream);
  return wasi_http_types_static_outgoing_body_finish(body, trailers, &error);
}

// Sends back what it reads, as it reads it: by waiting for both streams, reading and writing without waiting.
static void echo(request_t request) {
  wasi_http_types_own_incoming_body_t incoming;
  wasi_io_streams_own_input_stream_t input;
  if (!wasi_http_types_method_incoming_request_consume(wasi_http_types_borrow_incoming_request(request), &incoming)) abort();
  if (!wasi_http_types_method_incoming_body_stream(wasi_http_types_borrow_incoming_body(incoming), &input)) abort();
  wasi_io_streams_borrow_input_stream_t from = wasi_io_streams_borrow_input_stream(input);
  output_t to = wasi_io_streams_borrow_output_stream(stream);
  wasi_io_streams_own_pollable_t readable = wasi_io_streams_method_input_stream_subscribe(from);
  wasi_io_streams_own_pollable_t writable = wasi_io_streams_method_output_stream_subscribe(to);
  wasi_io_streams_stream_error_t error;
  for (;;) {
    uint64_t room;
    wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(writable));
    if (!wasi_io_streams_method_output_stream_check_write(to, &room, &error)) break;
    wasi_io_poll_borrow_pollable_t one[] = {wasi_io_poll_borrow_pollable(readable)};
    wasi_io_poll_list_borrow_pollable_t wanted = {one, 1};
    application_list_u32_t ready;
    wasi_io_poll_poll(&wanted, &ready);
    application_list_u32_free(&ready);
    application_list_u8_t piece;
    if (!wasi_io_streams_method_input_stream_read(from, room, &piece, &error)) break;
    if (piece.len && !wasi_io_streams_method_output_stream_write(to, &piece, &error)) break;
    application_list_u8_free(&piece);
  }
  wasi_io_poll_pollable_drop_own(readable);
  wasi_io_poll_pollable_drop_own(writable);
  wasi_io_streams_input_stream_drop_own(input);
  wasi_http_types_own_future_trailers_t late = wasi_http_types_static_incoming_body_finish(incoming);
  wasi_io_poll_own_pollable_t over =
      wasi_http_types_method_future_trailers_subscribe(wasi_http_types_borrow_future_trailers(late));
  wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(over));
  wasi_io_poll_pollable_drop_own(over);
  wasi_http_types_result_result_option_own_trailers_error_code_void_t got;
  wasi_http_types_own_fields_t *trailers = NULL;
  if (wasi_http_types_method_future_trailers_get(wasi_http_types_borrow_future_trailers(late), &got) && !got.is_err &&
      !got.val.ok.is_err && got.val.ok.val.ok.is_some)
    trailers = &got.val.ok.val.ok.val;
  wasi_http_types_future_trailers_drop_own(late);
  end(trailers);
}

// Reads all of the request before it says anything, whatever becomes of it, and sends it back.
static application_string_t whole(request_t request) {
  wasi_http_types_own_incoming_body_t incoming;
  wasi_io_streams_own_input_stream_t input;
  application_string_t all = {malloc(1), 0};
  if (!wasi_http_types_method_incoming_request_consume(wasi_http_types_borrow_incoming_request(request), &incoming)) abort();
  if (!wasi_http_types_method_incoming_body_stream(wasi_http_types_borrow_incoming_body(incoming), &input)) abort();
  application_list_u8_t piece;
  wasi_io_streams_stream_error_t error;
  while (wasi_io_streams_method_input_stream_blocking_read(wasi_io_streams_borrow_input_stream(input), 65536, &piece, &error)) {
    all.ptr = realloc(all.ptr, all.len + piece.len + 1);
    memcpy(all.ptr + all.len, piece.ptr, piece.len);
    all.len += piece.len;
    application_list_u8_free(&piece);
  }
  wasi_io_streams_input_stream_drop_own(input);
  return all;
}

// What the guest is told of a request: method, target, authority and fields.
static void tell(request_t request) {
  wasi_http_types_borrow_incoming_request_t asked = wasi_http_types_borrow_incoming_request(request);
  wasi_http_types_method_t method;
  application_string_t authority;
  wasi_http_types_method_incoming_request_method(asked, &method);
  number(method.tag);
  say(" ");
  put(path.ptr, path.len);
  say(" ");
  if (wasi_http_types_method_incoming_request_authority(asked, &authority)) put(authority.ptr, authority.len);
  say("\n");
  wasi_http_types_own_fields_t headers = wasi_http_types_method_incoming_request_headers(asked);
  wasi_http_types_list_tuple2_field_name_field_value_t all;
  wasi_http_types_method_fields_entries(wasi_http_types_borrow_fields(headers), &all);
  for (size_t at = 0; at < all.len; at++) {
    put(all.ptr[at].f0.ptr, all.ptr[at].f0.len);
    say(": ");
    put(all.ptr[at].f1.ptr, all.ptr[at].f1.len);
    say("\n");
  }
  wasi_http_types_fields_drop_own(headers);
}

static void loop(void) {
  for (volatile unsigned turns = 0;; turns++) {
  }
}

void exports_wasi_http_incoming_handler_handle(request_t request, outparam_t out) {
  static char block[65536];
  wasi_http_types_method_incoming_request_path_with_query(wasi_http_types_borrow_incoming_request(request), &path);
  fields = wasi_http_types_constructor_fields();
  if (is("/trap")) abort();
  if (is("/loop")) loop();
  if (is("/silent")) return;
  if (is("/greedy"))
    for (;;) {
      memory = malloc(1 << 20);
      if (!memory) abort();
      memset(memory, 1, 1 << 20);
    }
  if (is("/short")) field("content-length", "100");
  if (is("/long")) field("content-length", "3");
  if (is("/exact")) field("content-length", "13");
  if (is("/no-length")) field("content-length", "many");
  if (is("/forbidden")) {
    field("connection", "close");
    field("transfer-encoding", "chunked");
    field("keep-alive", "timeout=1");
    field("upgrade", "h2c");
    field("x-split", "a\r\nx-second: b");
    field("bad name", "value");
  }
  application_string_t all = {0};
  if (is("/whole")) all = whole(request);
  begin(out, is("/empty") ? 204 : is("/informational") ? 101 : is("/teapot") ? 418 : 200);
  if (is("/echo")) return echo(request);
  put(all.ptr, all.len);
  if (!strncmp((char *)path.ptr, "/tell", 5)) tell(request);
  if (is("/large"))
    for (int i = 0; i < 128 && put(block, sizeof block); i++) {
    }
  if (is("/count")) {
    // Everything that the next request would see of this one.
    number(count++);
    for (unsigned i = 0; i < 64; i++) {
      unsigned char *page = malloc(65536);
      for (unsigned at = 0; at < 65536; at += 64) refused += page[at] == 0xA5;
      memset(page, 0xA5, 65536);
      memory = page;
    }
    say(" ");
    number(refused);
  }
  if (is("/late-trap") || is("/late-loop")) {
    for (int i = 0; i < 16; i++) put(block, sizeof block);
    if (is("/late-trap")) abort();
    loop();
  }
  if (is("/forbidden")) number(refused);
  if (is("/trailers")) {
    wasi_http_types_own_fields_t trailers = wasi_http_types_constructor_fields();
    say("body");
    fields = trailers;
    field("x-sum", "42");
    end(&trailers);
    return;
  }
  if (is("/after")) {
    // The answer is whole; what follows costs its client nothing.
    say("done");
    end(NULL);
    loop();
  }
#ifdef FULL
  if (is("/sleep")) {
    say("slept");
    wasi_io_poll_own_pollable_t while_ = wasi_clocks_monotonic_clock_subscribe_duration(300000000);
    wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(while_));
    wasi_io_poll_pollable_drop_own(while_);
  }
  if (is("/print")) {
    printf("one\ntwo \x1b[31m");
    fflush(stdout);
    fprintf(stderr, "three\n");
  }
  if (is("/random")) number(wasi_random_random_get_random_u64());
#endif
  if (is("/") || is("/short") || is("/long") || is("/exact") || is("/no-length")) say("Hello, World!");
  end(NULL);
}
