// The smallest application: 13 bytes for every request, without a library, so that what is measured is the server.
#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
#define TYPES "wasi:http/types@0.2.12"
#define STREAMS "wasi:io/streams@0.2.12"

IMPORT(TYPES, "[constructor]fields") int fields_new(void);
IMPORT(TYPES, "[constructor]outgoing-response") int response_new(int fields);
IMPORT(TYPES, "[method]outgoing-response.body") void response_body(int response, int *result);
IMPORT(TYPES, "[static]response-outparam.set") void set(int, int, int, int, long long, int, int, int, int);
IMPORT(TYPES, "[method]outgoing-body.write") void body_write(int body, int *result);
IMPORT(TYPES, "[static]outgoing-body.finish") void body_finish(int body, int some, int trailers, int *result);
IMPORT(TYPES, "[resource-drop]incoming-request") void drop_request(int request);
IMPORT(STREAMS, "[method]output-stream.blocking-write-and-flush") void write_out(int, const char *, int, int *);
IMPORT(STREAMS, "[resource-drop]output-stream") void drop_stream(int stream);

static char heap[4096];
static unsigned used;

__attribute__((export_name("cabi_realloc"))) void *grown(void *old, unsigned size, unsigned align, unsigned wanted) {
  used = (used + align - 1) & ~(align - 1);
  void *place = heap + used;
  used += wanted;
  return place;
}

__attribute__((export_name("wasi:http/incoming-handler@0.2.12#handle"))) void handle(int request, int outparam) {
  int result[16];
  int response = response_new(fields_new());
  response_body(response, result);
  int body = result[1];
  set(outparam, 0, response, 0, 0, 0, 0, 0, 0);
  body_write(body, result);
  int stream = result[1];
  write_out(stream, "Hello, World!", 13, result);
  drop_stream(stream);
  body_finish(body, 0, 0, result);
  drop_request(request);
}
