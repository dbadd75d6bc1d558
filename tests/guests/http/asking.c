// Calls every function of wasi:http/types and wasi:io that the lean host has, with the canonical ABI by hand, and tells all
// bytes that came back; `/0` tells them, `/1` asks a stream that failed, and each number
// after that does one thing that has to trap.
#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
#define TYPES "wasi:http/types@0.2.12"
#define STREAMS "wasi:io/streams@0.2.12"
#define POLL "wasi:io/poll@0.2.12"
#define ERROR "wasi:io/error@0.2.12"
typedef unsigned char byte;
typedef unsigned long long u64;

IMPORT(TYPES, "[constructor]fields") int fields_new(void);
IMPORT(TYPES, "[static]fields.from-list") void fields_from_list(const void *, int, void *);
IMPORT(TYPES, "[method]fields.get") void fields_get(int, const void *, int, void *);
IMPORT(TYPES, "[method]fields.has") int fields_has(int, const void *, int);
IMPORT(TYPES, "[method]fields.set") void fields_set(int, const void *, int, const void *, int, void *);
IMPORT(TYPES, "[method]fields.delete") void fields_delete(int, const void *, int, void *);
IMPORT(TYPES, "[method]fields.append") void fields_append(int, const void *, int, const void *, int, void *);
IMPORT(TYPES, "[method]fields.entries") void fields_entries(int, void *);
IMPORT(TYPES, "[method]fields.clone") int fields_clone(int);
IMPORT(TYPES, "[resource-drop]fields") void fields_drop(int);
IMPORT(TYPES, "[method]incoming-request.method") void request_method(int, void *);
IMPORT(TYPES, "[method]incoming-request.path-with-query") void request_path(int, void *);
IMPORT(TYPES, "[method]incoming-request.scheme") void request_scheme(int, void *);
IMPORT(TYPES, "[method]incoming-request.authority") void request_authority(int, void *);
IMPORT(TYPES, "[method]incoming-request.headers") int request_headers(int);
IMPORT(TYPES, "[method]incoming-request.consume") void request_consume(int, void *);
IMPORT(TYPES, "[resource-drop]incoming-request") void request_drop(int);
IMPORT(TYPES, "[constructor]outgoing-response") int response_new(int);
IMPORT(TYPES, "[method]outgoing-response.status-code") int response_status(int);
IMPORT(TYPES, "[method]outgoing-response.set-status-code") int response_set_status(int, int);
IMPORT(TYPES, "[method]outgoing-response.headers") int response_headers(int);
IMPORT(TYPES, "[method]outgoing-response.body") void response_body(int, void *);
IMPORT(TYPES, "[resource-drop]outgoing-response") void response_drop(int);
IMPORT(TYPES, "[static]response-outparam.set") void set(int, int, int, int, u64, int, int, int, int);
IMPORT(TYPES, "[resource-drop]response-outparam") void outparam_drop(int);
IMPORT(TYPES, "[method]incoming-body.stream") void body_stream(int, void *);
IMPORT(TYPES, "[static]incoming-body.finish") int body_finish_incoming(int);
IMPORT(TYPES, "[resource-drop]incoming-body") void incoming_drop(int);
IMPORT(TYPES, "[method]future-trailers.subscribe") int trailers_subscribe(int);
IMPORT(TYPES, "[method]future-trailers.get") void trailers_get(int, void *);
IMPORT(TYPES, "[resource-drop]future-trailers") void trailers_drop(int);
IMPORT(TYPES, "[method]outgoing-body.write") void body_write(int, void *);
IMPORT(TYPES, "[static]outgoing-body.finish") void body_finish(int, int, int, void *);
IMPORT(TYPES, "[resource-drop]outgoing-body") void body_drop(int);
IMPORT(TYPES, "http-error-code") void http_error_code(int, void *);
IMPORT(STREAMS, "[method]input-stream.read") void input_read(int, u64, void *);
IMPORT(STREAMS, "[method]input-stream.blocking-read") void input_blocking_read(int, u64, void *);
IMPORT(STREAMS, "[method]input-stream.skip") void input_skip(int, u64, void *);
IMPORT(STREAMS, "[method]input-stream.blocking-skip") void input_blocking_skip(int, u64, void *);
IMPORT(STREAMS, "[method]input-stream.subscribe") int input_subscribe(int);
IMPORT(STREAMS, "[resource-drop]input-stream") void input_drop(int);
IMPORT(STREAMS, "[method]output-stream.check-write") void output_check(int, void *);
IMPORT(STREAMS, "[method]output-stream.write") void output_write(int, const void *, int, void *);
IMPORT(STREAMS, "[method]output-stream.blocking-write-and-flush") void output_blocking_write(int, const void *, int, void *);
IMPORT(STREAMS, "[method]output-stream.write-zeroes") void output_zeroes(int, u64, void *);
IMPORT(STREAMS, "[method]output-stream.blocking-write-zeroes-and-flush") void output_blocking_zeroes(int, u64, void *);
IMPORT(STREAMS, "[method]output-stream.flush") void output_flush(int, void *);
IMPORT(STREAMS, "[method]output-stream.blocking-flush") void output_blocking_flush(int, void *);
IMPORT(STREAMS, "[method]output-stream.subscribe") int output_subscribe(int);
IMPORT(STREAMS, "[method]output-stream.splice") void output_splice(int, int, u64, void *);
IMPORT(STREAMS, "[method]output-stream.blocking-splice") void output_blocking_splice(int, int, u64, void *);
IMPORT(STREAMS, "[resource-drop]output-stream") void output_drop(int);
IMPORT(POLL, "poll") void poll_list(const void *, int, void *);
IMPORT(POLL, "[method]pollable.ready") int pollable_ready(int);
IMPORT(POLL, "[method]pollable.block") void pollable_block(int);
IMPORT(POLL, "[resource-drop]pollable") void pollable_drop(int);
IMPORT(ERROR, "[method]error.to-debug-string") void error_text(int, void *);
IMPORT(ERROR, "[resource-drop]error") void error_drop(int);

static byte heap[1 << 16] __attribute__((aligned(16)));
static unsigned used;
static enum { HONEST, ODD, FAR, CALLS } manner;

__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, unsigned size, unsigned align, unsigned wanted) {
  if (manner == ODD) return (void *)(((unsigned)heap & ~7) + 1);
  if (manner == FAR) return (void *)0xfffffff0;
  if (manner == CALLS) fields_new();
  used = (used + align - 1) & ~(align - 1);
  void *place = heap + used;
  used += wanted;
  return place;
}

// The place where functions answer: filled before each call, so that what is not written shows too.
static union { byte bytes[64]; unsigned words[16]; u64 align; } out;
static int stream;
static byte told[1 << 15];
static int length;

static void *fresh(void) {
  for (int i = 0; i < 64; i++) out.bytes[i] = 0xaa;
  return out.bytes;
}

static void tell(const void *from, int count) {
  for (int i = 0; i < count; i++) {
    told[length++] = "0123456789abcdef"[((const byte *)from)[i] >> 4];
    told[length++] = "0123456789abcdef"[((const byte *)from)[i] & 15];
  }
  told[length++] = '\n';
}

static void tell_out(void) { tell(out.bytes, 64); }
static void tell_number(unsigned number) { tell(&number, 4); }
// What a list or a string at this word of the answer holds.
static void tell_list(int word, int size) {
  tell_out();
  if (out.words[word + 1] < 4096) tell((void *)out.words[word], out.words[word + 1] * size);
}

static const struct { const char *at; int length; } VALUES[2] = {{"one", 3}, {"two", 3}};
static const struct { const char *name; int name_length; const char *value; int value_length; } ENTRIES[3] = {
    {"x-a", 3, "1", 1}, {"x-b", 3, "2", 1}, {"x-a", 3, "3", 1}};
static const struct { const char *name; int name_length; const char *value; int value_length; } BAD[1] = {{"x a", 3, "1", 1}};

static void ask_fields(void) {
  int fields = fields_new();
  tell_number(fields);
  fields_append(fields, "x-one", 5, "1", 1, fresh()), tell_out();
  fields_append(fields, "x one", 5, "1", 1, fresh()), tell_out();
  fields_append(fields, "connection", 10, "1", 1, fresh()), tell_out();
  fields_set(fields, "x-two", 5, VALUES, 2, fresh()), tell_out();
  fields_get(fields, "x-two", 5, fresh()), tell_list(0, 8);
  fields_get(fields, "x-none", 6, fresh()), tell_list(0, 8);
  tell_number(fields_has(fields, "x-one", 5));
  tell_number(fields_has(fields, "x-none", 6));
  fields_entries(fields, fresh()), tell_list(0, 16);
  int twin = fields_clone(fields);
  tell_number(twin);
  fields_delete(twin, "x-one", 5, fresh()), tell_out();
  fields_delete(twin, "x one", 5, fresh()), tell_out();
  fields_drop(fields), fields_drop(twin);
  fields_from_list(ENTRIES, 3, fresh()), tell_out();
  fields_entries(out.words[1], fresh()), tell_list(0, 16);
  fields_from_list(BAD, 1, fresh()), tell_out();
  fields_from_list(BAD, 0, fresh()), tell_out();
}

static void ask_request(int request) {
  request_method(request, fresh()), tell_list(1, 1);
  request_path(request, fresh()), tell_list(1, 1);
  request_scheme(request, fresh()), tell_out();
  request_authority(request, fresh()), tell_out();
  int headers = request_headers(request);
  fields_append(headers, "x-one", 5, "1", 1, fresh()), tell_out();
  tell_number(fields_has(headers, "x-sent", 6));
  fields_get(headers, "x-sent", 6, fresh()), tell_list(0, 8);
  fields_drop(headers);
}

static void ask_streams(int request) {
  request_consume(request, fresh()), tell_out();
  int incoming = out.words[1];
  request_consume(request, fresh()), tell_out();
  body_stream(incoming, fresh()), tell_out();
  int input = out.words[1];
  body_stream(incoming, fresh()), tell_out();
  int list[2] = {input_subscribe(input), output_subscribe(stream)};
  pollable_block(list[0]);
  tell_number(pollable_ready(list[0])), tell_number(pollable_ready(list[1]));
  poll_list(list, 2, fresh()), tell_list(0, 4);
  pollable_drop(list[0]), pollable_drop(list[1]);
  input_read(input, 2, fresh()), tell_list(1, 1);
  input_blocking_read(input, 3, fresh()), tell_list(1, 1);
  input_skip(input, 1, fresh()), tell_out();
  input_blocking_skip(input, 1, fresh()), tell_out();
  output_check(stream, fresh()), tell_out();
  output_write(stream, "w", 1, fresh()), tell_out();
  output_blocking_write(stream, "b", 1, fresh()), tell_out();
  output_zeroes(stream, 2, fresh()), tell_out();
  output_blocking_zeroes(stream, 2, fresh()), tell_out();
  output_flush(stream, fresh()), tell_out();
  output_blocking_flush(stream, fresh()), tell_out();
  output_splice(stream, input, 2, fresh()), tell_out();
  output_blocking_splice(stream, input, 2, fresh()), tell_out();
  for (int i = 0; i < 4; i++) input_blocking_read(input, 99, fresh()), tell_out();
  output_blocking_splice(stream, input, 2, fresh()), tell_out();
  input_drop(input);
  int trailers = body_finish_incoming(incoming);
  int pollable = trailers_subscribe(trailers);
  pollable_block(pollable), pollable_drop(pollable);
  trailers_get(trailers, fresh()), tell_out();
  if (!out.bytes[16] && out.bytes[24]) fields_entries(out.words[7], fresh()), tell_list(0, 16);
  trailers_get(trailers, fresh()), tell_out();
  trailers_drop(trailers);
}

// A body that is longer than was said: the stream fails, says why, and is over. A guest that is told
// anything else traps.
static void ask_failure(int body) {
  output_blocking_write(stream, told, 4096, fresh());
  if (out.bytes[0]) __builtin_trap();
  output_blocking_write(stream, told, 4096, fresh());
  if (out.bytes[0] != 1 || out.bytes[4] != 0) __builtin_trap();
  int error = out.words[2];
  error_text(error, fresh());
  if (!out.words[0] || out.words[1] != 34 || *(byte *)out.words[0] != 't') __builtin_trap();
  http_error_code(error, fresh());
  if (out.bytes[0] != 1 || out.bytes[8] != 35) __builtin_trap();
  error_drop(error);
  output_blocking_write(stream, told, 4096, fresh());
  if (out.bytes[0] != 1 || out.bytes[4] != 1) __builtin_trap();
  output_drop(stream);
  body_finish(body, 0, 0, fresh());
  if (out.bytes[0] != 1 || out.bytes[8] != 28 || out.bytes[16] != 1 || out.words[6] != 8192) __builtin_trap();
}

static int begin(int outparam, int declared) {
  int fields = fields_new();
  if (declared) fields_append(fields, "content-length", 14, "5000", 4, fresh());
  int response = response_new(fields);
  tell_number(response_status(response));
  tell_number(response_set_status(response, 201)), tell_number(response_set_status(response, 65536 + 99));
  int headers = response_headers(response);
  fields_append(headers, "x-one", 5, "1", 1, fresh()), tell_out();
  fields_drop(headers);
  response_body(response, fresh()), tell_out();
  int body = out.words[1];
  response_body(response, fresh()), tell_out();
  set(outparam, 0, response, 0, 0, 0, 0, 0, 0);
  body_write(body, fresh()), tell_out();
  stream = out.words[1];
  body_write(body, fresh()), tell_out();
  return body;
}

static void wrong(int number, int request, int outparam) {
  const int WIDE = 0x7ffffff0, NEVER = 0x70000000;
  int fields = fields_new(), gone = fields_new();
  fields_drop(gone);
  switch (number) {
  case 1: fields_drop(0); break;
  case 2: fields_drop(gone); break;
  case 3: fields_drop(request); break;
  case 4: fields_drop(WIDE); break;
  case 5: fields_clone(request); break;
  case 6: request_path(fields, fresh()); break;
  case 7: request_path(request, (void *)((unsigned)fresh() + 1)); break;
  case 8: request_path(request, (void *)NEVER); break;
  case 9: request_path(request, (void *)0xfffffffc); break;
  case 10: fields_has(fields, (void *)NEVER, 1); break;
  case 11: fields_has(fields, "x", WIDE); break;
  case 12: fields_has(fields, (void *)0xffffffff, -1); break;
  case 13: fields_has(fields, "\xff", 1); break;
  case 14: fields_set(fields, "x", 1, (const byte *)VALUES + 1, 1, fresh()); break;
  case 15: fields_set(fields, "x", 1, VALUES, 0x20000001, fresh()); break;
  case 16: fields_set(fields, "x", 1, (void *)NEVER, 1, fresh()); break;
  case 17: fields_from_list((const byte *)ENTRIES + 2, 1, fresh()); break;
  case 18: fields_from_list(ENTRIES, 0x10000001, fresh()); break;
  case 19: fields_append(fields, "x\xff", 2, "1", 1, fresh()); break;
  case 20: fields_append(fields, "x", 1, (void *)NEVER, 1, fresh()); break;
  case 21: manner = ODD, fields_append(fields, "x", 1, "1", 1, fresh()), fields_entries(fields, fresh()); break;
  case 22: manner = FAR, request_path(request, fresh()); break;
  case 23: manner = CALLS, request_path(request, fresh()); break;
  case 24: set(outparam, 2, response_new(fields), 0, 0, 0, 0, 0, 0); break;
  case 25: set(outparam, 0, fields, 0, 0, 0, 0, 0, 0); break;
  case 26: set(outparam, 1, 39, 0, 0, 0, 0, 0, 0); break;
  case 27: set(outparam, 1, 38, 2, 0, 0, 0, 0, 0); break;
  case 28: set(outparam, 1, 38, 1, NEVER, 4, 0, 0, 0); break;
  case 29: set(outparam, 1, 38, 1, (unsigned)"\xff", 1, 0, 0, 0); break;
  case 30: set(outparam, 1, 1, 0, 0, 0, 2, 0, 0); break;
  case 31: set(outparam, 1, 14, 1, 0, 2, 0, 0, 0); break;
  case 32: set(outparam, 1, 17, 2, 0, 0, 0, 0, 0); break;
  case 33: set(outparam, 1, 22, 1, 1, NEVER, 4, 0, 0); break;
  case 34: set(outparam, 1, 22, 1, 0, 0, 0, 2, 0); break;
  case 35: set(outparam, 1, 24, 0, 0, 0, 2, 0, 0); break;
  case 36: set(request, 0, response_new(fields), 0, 0, 0, 0, 0, 0); break;
  case 37: response_new(fields), fields_drop(fields); break;
  case 38: output_check(request, fresh()); break;
  case 39: input_read(request, 1, fresh()); break;
  case 40: pollable_ready(request); break;
  case 41: poll_list("", 0, fresh()); break;
  case 42: poll_list(&request, 1, fresh()); break;
  case 43: poll_list((void *)((unsigned)heap + 1), 1, fresh()); break;
  case 44: body_finish(fields, 0, 0, fresh()); break;
  case 45: begin(outparam, 0), output_write(stream, (void *)NEVER, 1, fresh()); break;
  case 46: begin(outparam, 0), output_write(stream, heap, 65537, fresh()); break;
  case 47: begin(outparam, 0), output_blocking_write(stream, heap, 4097, fresh()); break;
  case 48: body_finish(begin(outparam, 0), 2, 0, fresh()); break;
  case 49: body_finish(begin(outparam, 0), 1, request, fresh()); break;
  case 50: request_drop(request), request_path(request, fresh()); break;
  case 51: trailers_get(request, fresh()); break;
  case 52: error_text(fields, fresh()); break;
  case 53: http_error_code(fields, fresh()); break;
  case 54: output_check(begin(outparam, 0), fresh()); break;
  case 55: begin(outparam, 0), output_check(stream, (void *)((unsigned)fresh() + 4)); break;
  case 56: for (;;) fields_new();
  }
}

static int number_in(int request) {
  request_path(request, fresh());
  const byte *text = (const byte *)out.words[1];
  int number = 0;
  for (unsigned i = 1; i < out.words[2] && text[i] >= '0' && text[i] <= '9'; i++) number = number * 10 + text[i] - '0';
  return number;
}

// What is an error code, and so no trap; the client is told of none of them.
static void fail(int outparam, int number) {
  static const byte CASES[] = {0, 1, 14, 17, 21, 22, 24, 31, 38};
  set(outparam, 1, CASES[number], 0, 0, 0, 0, 0, 0);
}

__attribute__((export_name("wasi:http/incoming-handler@0.2.12#handle"))) void handle(int request, int outparam) {
  int number = number_in(request);
  if (number >= 1000) {
    fail(outparam, number - 1000);
    return;
  }
  if (number > 1) wrong(number - 1, request, outparam);
  if (number > 1) used = 0, manner = HONEST;
  tell_number(request), tell_number(outparam);
  int body = begin(outparam, number == 1);
  if (number == 1) {
    ask_failure(body);
    return;
  }
  ask_fields();
  ask_request(request);
  ask_streams(request);
  for (int at = 0; at < length; at += 4096) output_blocking_write(stream, told + at, length - at < 4096 ? length - at : 4096, fresh());
  output_drop(stream);
  int trailers = fields_new();
  fields_append(trailers, "x-sum", 5, "42", 2, fresh());
  body_finish(body, 1, trailers, fresh());
  request_drop(request);
}
