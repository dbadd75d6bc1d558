/* See `http.h`: requests and answers for applications in C, above what wit-bindgen makes of wasi:http. */
#include "http.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "application.h"

#define BORROWED(type, own) wasi_http_types_borrow_##type(own)

/* A body as it arrives. */
typedef struct {
  wasi_http_types_own_incoming_body_t body;
  wasi_io_streams_own_input_stream_t stream;
  enum { WHOLE, OPEN, OVER, BROKEN } state;
} arriving;

struct http_request {
  wasi_http_types_own_incoming_request_t request;
  wasi_http_types_own_fields_t fields;
  const char *method, *path, *query;
  arriving body;
};

struct http_response {
  wasi_http_types_own_response_outparam_t out;
  wasi_http_types_own_fields_t fields, trailers;
  wasi_http_types_own_outgoing_body_t body;
  wasi_io_streams_own_output_stream_t stream;
  int status;
  bool begun, trailed, sized;
  size_t used;
  char buffer[4096];
};

struct http_fetch {
  wasi_http_types_own_fields_t fields, answered;
  wasi_http_types_own_outgoing_body_t body;
  wasi_io_streams_own_output_stream_t stream;
  wasi_http_types_own_future_incoming_response_t future;
  wasi_http_types_own_incoming_response_t response;
  const char *method, *error;
  char *scheme, *authority, *path;
  enum { NEW, ASKED, SENT, ANSWERED, FAILED } state;
  arriving content;
};

/* What lives until the request is answered. */
typedef struct kept {
  struct kept* next;
  char text[];
} kept;

static kept* all;

static char* keep(const void* text, size_t size) {
  kept* one = malloc(sizeof *one + size + 1);
  if (one == NULL) abort();
  one->next = all;
  all = one;
  if (size > 0) memcpy(one->text, text, size);
  one->text[size] = 0;
  return one->text;
}

static char* keep_string(application_string_t* string) {
  char* text = keep(string->ptr, string->len);
  application_string_free(string);
  return text;
}

static application_string_t string(const char* text) {
  return (application_string_t){(uint8_t*)text, strlen(text)};
}

static const char* const METHODS[] = {"GET",     "HEAD",    "POST",  "PUT",  "DELETE",
                                      "CONNECT", "OPTIONS", "TRACE", "PATCH"};

static const char* field_of(wasi_http_types_own_fields_t fields, const char* name) {
  application_string_t wanted = string(name);
  wasi_http_types_list_field_value_t values;
  wasi_http_types_method_fields_get(BORROWED(fields, fields), &wanted, &values);
  const char* first = values.len > 0 ? keep(values.ptr[0].ptr, values.ptr[0].len) : NULL;
  wasi_http_types_list_field_value_free(&values);
  return first;
}

static bool append(wasi_http_types_own_fields_t fields, const char* name, const char* value) {
  application_string_t key = string(name);
  wasi_http_types_field_value_t text = {(uint8_t*)value, strlen(value)};
  wasi_http_types_header_error_t error;
  return wasi_http_types_method_fields_append(BORROWED(fields, fields), &key, &text, &error);
}

static ptrdiff_t take(arriving* in, void* buffer, size_t size) {
  if (in->state == WHOLE) {
    in->state = BROKEN;
    if (!wasi_http_types_method_incoming_body_stream(BORROWED(incoming_body, in->body), &in->stream)) abort();
    in->state = OPEN;
  }
  while (in->state == OPEN && size > 0) {
    application_list_u8_t piece;
    wasi_io_streams_stream_error_t error;
    if (!wasi_io_streams_method_input_stream_blocking_read(wasi_io_streams_borrow_input_stream(in->stream),
                                                           size, &piece, &error)) {
      in->state = error.tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED ? OVER : BROKEN;
      wasi_io_streams_stream_error_free(&error);
      wasi_io_streams_input_stream_drop_own(in->stream);
    } else if (piece.len > 0) {
      size_t got = piece.len;
      memcpy(buffer, piece.ptr, got);
      application_list_u8_free(&piece);
      return (ptrdiff_t)got;
    }
  }
  return in->state == BROKEN ? -1 : 0;
}

static void leave(arriving* in) {
  if (in->state == OPEN) wasi_io_streams_input_stream_drop_own(in->stream);
  wasi_http_types_incoming_body_drop_own(in->body);
}

static bool push(wasi_io_streams_own_output_stream_t stream, const char* data, size_t size) {
  wasi_io_streams_borrow_output_stream_t to = wasi_io_streams_borrow_output_stream(stream);
  wasi_io_streams_stream_error_t error;
  while (size > 0) {
    uint64_t room;
    if (!wasi_io_streams_method_output_stream_check_write(to, &room, &error)) return false;
    if (room == 0) {
      wasi_io_poll_own_pollable_t writable = wasi_io_streams_method_output_stream_subscribe(to);
      wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(writable));
      wasi_io_poll_pollable_drop_own(writable);
      continue;
    }
    application_list_u8_t piece = {(uint8_t*)data, size < room ? size : (size_t)room};
    if (!wasi_io_streams_method_output_stream_write(to, &piece, &error)) return false;
    data += piece.len;
    size -= piece.len;
  }
  return true;
}

const char* http_method(http_request* request) { return request->method; }

const char* http_path(http_request* request) { return request->path; }

const char* http_field(http_request* request, const char* name) { return field_of(request->fields, name); }

static int digit(char c) {
  static const char digits[] = "0123456789abcdef";
  const char* found = c != 0 ? memchr(digits, c | (c >= 'A' ? 0x20 : 0), 16) : NULL;
  return found != NULL ? (int)(found - digits) : -1;
}

static char* decoded(const char* from, size_t size) {
  char *text = keep(from, size), *to = text;
  for (const char* at = text; *at; at++) {
    if (*at == '%' && digit(at[1]) >= 0 && digit(at[2]) >= 0) {
      *to++ = (char)(digit(at[1]) * 16 + digit(at[2]));
      at += 2;
    } else {
      *to++ = *at == '+' ? ' ' : *at;
    }
  }
  *to = 0;
  return text;
}

const char* http_query(http_request* request, const char* name) {
  for (const char* at = request->query; at != NULL && *at;) {
    size_t size = strcspn(at, "&"), key = strcspn(at, "=&");
    if (strcmp(decoded(at, key), name) == 0)
      return decoded(at + key + (key < size), size - key - (key < size));
    at += size + (at[size] == '&');
  }
  return NULL;
}

ptrdiff_t http_read(http_request* request, void* buffer, size_t size) {
  return take(&request->body, buffer, size);
}

void http_status(http_response* response, int status) { response->status = status; }

bool http_set(http_response* response, const char* name, const char* value) {
  if (response->begun || !append(response->fields, name, value)) return false;
  response->sized |= strcasecmp(name, "content-length") == 0;
  return true;
}

bool http_trailer(http_response* response, const char* name, const char* value) {
  if (!response->trailed) response->trailers = wasi_http_types_constructor_fields();
  response->trailed = true;
  return append(response->trailers, name, value);
}

static void begin(http_response* response) {
  wasi_http_types_own_outgoing_response_t answer =
      wasi_http_types_constructor_outgoing_response(response->fields);
  wasi_http_types_borrow_outgoing_response_t head = BORROWED(outgoing_response, answer);
  if (!wasi_http_types_method_outgoing_response_set_status_code(head, (uint16_t)response->status)) abort();
  if (!wasi_http_types_method_outgoing_response_body(head, &response->body)) abort();
  wasi_http_types_result_own_outgoing_response_error_code_t result = {.is_err = false, .val.ok = answer};
  wasi_http_types_static_response_outparam_set(response->out, &result);
  if (!wasi_http_types_method_outgoing_body_write(BORROWED(outgoing_body, response->body), &response->stream))
    abort();
  response->begun = true;
}

static bool sent(http_response* response) {
  if (!response->begun) begin(response);
  size_t used = response->used;
  response->used = 0;
  return push(response->stream, response->buffer, used);
}

bool http_write(http_response* response, const void* data, size_t size) {
  if (size > sizeof response->buffer - response->used)
    return sent(response) && push(response->stream, data, size);
  memcpy(response->buffer + response->used, data, size);
  response->used += size;
  return true;
}

bool http_printf(http_response* response, const char* format, ...) {
  va_list values;
  va_start(values, format);
  char* text = NULL;
  int size = vasprintf(&text, format, values);
  va_end(values);
  bool written = size >= 0 && http_write(response, text, (size_t)size);
  if (size >= 0) free(text);
  return written;
}

bool http_flush(http_response* response) {
  wasi_io_streams_stream_error_t error;
  return sent(response) && wasi_io_streams_method_output_stream_blocking_flush(
                               wasi_io_streams_borrow_output_stream(response->stream), &error);
}

static void end(http_response* response) {
  if (!response->begun && !response->sized && response->used > 0 && !response->trailed) {
    char length[21];
    snprintf(length, sizeof length, "%zu", response->used);
    append(response->fields, "content-length", length);
  }
  sent(response);
  wasi_io_streams_output_stream_drop_own(response->stream);
  wasi_http_types_error_code_t error;
  wasi_http_types_static_outgoing_body_finish(response->body, response->trailed ? &response->trailers : NULL,
                                              &error);
}

static const char* const CODES[] = {"DNS-timeout",
                                    "DNS-error",
                                    "destination-not-found",
                                    "destination-unavailable",
                                    "destination-IP-prohibited",
                                    "destination-IP-unroutable",
                                    "connection-refused",
                                    "connection-terminated",
                                    "connection-timeout",
                                    "connection-read-timeout",
                                    "connection-write-timeout",
                                    "connection-limit-reached",
                                    "TLS-protocol-error",
                                    "TLS-certificate-error",
                                    "TLS-alert-received",
                                    "HTTP-request-denied",
                                    "HTTP-request-length-required",
                                    "HTTP-request-body-size",
                                    "HTTP-request-method-invalid",
                                    "HTTP-request-URI-invalid",
                                    "HTTP-request-URI-too-long",
                                    "HTTP-request-header-section-size",
                                    "HTTP-request-header-size",
                                    "HTTP-request-trailer-section-size",
                                    "HTTP-request-trailer-size",
                                    "HTTP-response-incomplete",
                                    "HTTP-response-header-section-size",
                                    "HTTP-response-header-size",
                                    "HTTP-response-body-size",
                                    "HTTP-response-trailer-section-size",
                                    "HTTP-response-trailer-size",
                                    "HTTP-response-transfer-coding",
                                    "HTTP-response-content-coding",
                                    "HTTP-response-timeout",
                                    "HTTP-upgrade-failed",
                                    "HTTP-protocol-error",
                                    "loop-detected",
                                    "configuration-error",
                                    "internal-error"};

http_fetch* http_fetch_new(const char* method, const char* url) {
  http_fetch* fetch = calloc(1, sizeof *fetch);
  if (fetch == NULL) abort();
  const char *colon = strstr(url, "://"), *rest = colon != NULL ? colon + 3 : url;
  size_t host = strcspn(rest, "/?#"), path = strcspn(rest + host, "#");
  fetch->method = keep(method, strlen(method));
  fetch->scheme = keep(url, colon != NULL ? (size_t)(colon - url) : 0);
  fetch->authority = keep(rest, host);
  fetch->path = rest[host] == '/' ? keep(rest + host, path) : keep("/", 1);
  fetch->fields = wasi_http_types_constructor_fields();
  return fetch;
}

bool http_fetch_set(http_fetch* fetch, const char* name, const char* value) {
  return fetch->state == NEW && append(fetch->fields, name, value);
}

static bool fail(http_fetch* fetch, const char* why) {
  fetch->state = FAILED;
  fetch->error = why;
  return false;
}

static bool ask(http_fetch* fetch) {
  if (fetch->state != NEW) return fetch->state == ASKED;
  wasi_http_types_own_outgoing_request_t request =
      wasi_http_types_constructor_outgoing_request(fetch->fields);
  wasi_http_types_borrow_outgoing_request_t to = BORROWED(outgoing_request, request);
  wasi_http_types_method_t method = {.tag = WASI_HTTP_TYPES_METHOD_OTHER, .val.other = string(fetch->method)};
  for (size_t at = 0; at < sizeof METHODS / sizeof *METHODS; at++)
    if (strcmp(METHODS[at], fetch->method) == 0) method.tag = (uint8_t)at;
  wasi_http_types_scheme_t scheme = {
      .tag = strcmp(fetch->scheme, "http") == 0 ? WASI_HTTP_TYPES_SCHEME_HTTP : WASI_HTTP_TYPES_SCHEME_HTTPS};
  application_string_t authority = string(fetch->authority), path = string(fetch->path);
  if (!wasi_http_types_method_outgoing_request_set_method(to, &method) ||
      !wasi_http_types_method_outgoing_request_set_scheme(to, &scheme) ||
      !wasi_http_types_method_outgoing_request_set_authority(to, &authority) ||
      !wasi_http_types_method_outgoing_request_set_path_with_query(to, &path)) {
    wasi_http_types_outgoing_request_drop_own(request);
    return fail(fetch, "HTTP-request-URI-invalid");
  }
  wasi_http_types_error_code_t error;
  if (!wasi_http_types_method_outgoing_request_body(to, &fetch->body)) abort();
  if (!wasi_http_types_method_outgoing_body_write(BORROWED(outgoing_body, fetch->body), &fetch->stream))
    abort();
  if (!wasi_http_outgoing_handler_handle(request, NULL, &fetch->future, &error)) {
    wasi_io_streams_output_stream_drop_own(fetch->stream);
    wasi_http_types_outgoing_body_drop_own(fetch->body);
    return fail(fetch, CODES[error.tag]);
  }
  fetch->state = ASKED;
  return true;
}

bool http_fetch_write(http_fetch* fetch, const void* data, size_t size) {
  return ask(fetch) && push(fetch->stream, data, size);
}

int http_fetch_send(http_fetch* fetch) {
  if (!ask(fetch)) return -1;
  wasi_http_types_error_code_t error;
  wasi_io_streams_output_stream_drop_own(fetch->stream);
  wasi_http_types_static_outgoing_body_finish(fetch->body, NULL, &error);
  fetch->state = SENT;
  wasi_http_types_borrow_future_incoming_response_t future =
      BORROWED(future_incoming_response, fetch->future);
  wasi_io_poll_own_pollable_t ready = wasi_http_types_method_future_incoming_response_subscribe(future);
  wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(ready));
  wasi_io_poll_pollable_drop_own(ready);
  wasi_http_types_result_result_own_incoming_response_error_code_void_t got;
  bool came = wasi_http_types_method_future_incoming_response_get(future, &got) && !got.is_err;
  wasi_http_types_future_incoming_response_drop_own(fetch->future);
  if (!came || got.val.ok.is_err) {
    fail(fetch, CODES[came ? got.val.ok.val.err.tag : WASI_HTTP_TYPES_ERROR_CODE_INTERNAL_ERROR]);
    return -1;
  }
  fetch->response = got.val.ok.val.ok;
  fetch->state = ANSWERED;
  fetch->answered =
      wasi_http_types_method_incoming_response_headers(BORROWED(incoming_response, fetch->response));
  if (!wasi_http_types_method_incoming_response_consume(BORROWED(incoming_response, fetch->response),
                                                        &fetch->content.body))
    abort();
  return wasi_http_types_method_incoming_response_status(BORROWED(incoming_response, fetch->response));
}

const char* http_fetch_error(http_fetch* fetch) { return fetch->error; }

const char* http_fetch_field(http_fetch* fetch, const char* name) {
  return fetch->state == ANSWERED ? field_of(fetch->answered, name) : NULL;
}

ptrdiff_t http_fetch_read(http_fetch* fetch, void* buffer, size_t size) {
  return fetch->state == ANSWERED ? take(&fetch->content, buffer, size) : -1;
}

void http_fetch_close(http_fetch* fetch) {
  if (fetch->state == NEW) wasi_http_types_fields_drop_own(fetch->fields);
  if (fetch->state == ASKED) {
    wasi_io_streams_output_stream_drop_own(fetch->stream);
    wasi_http_types_outgoing_body_drop_own(fetch->body);
    wasi_http_types_future_incoming_response_drop_own(fetch->future);
  }
  if (fetch->state == ANSWERED) {
    leave(&fetch->content);
    wasi_http_types_fields_drop_own(fetch->answered);
    wasi_http_types_incoming_response_drop_own(fetch->response);
  }
  free(fetch);
}

void exports_wasi_http_incoming_handler_handle(
    exports_wasi_http_incoming_handler_own_incoming_request_t from,
    exports_wasi_http_incoming_handler_own_response_outparam_t out) {
  http_request request = {.request = from};
  http_response response = {.out = out, .status = 200};
  wasi_http_types_borrow_incoming_request_t asked = BORROWED(incoming_request, from);
  wasi_http_types_method_t method;
  wasi_http_types_method_incoming_request_method(asked, &method);
  request.method =
      method.tag == WASI_HTTP_TYPES_METHOD_OTHER ? keep_string(&method.val.other) : METHODS[method.tag];
  application_string_t target;
  char* path = wasi_http_types_method_incoming_request_path_with_query(asked, &target) ? keep_string(&target)
                                                                                       : keep("/", 1);
  char* query = strchr(path, '?');
  if (query != NULL) *query++ = 0;
  request.path = path;
  request.query = query;
  request.fields = wasi_http_types_method_incoming_request_headers(asked);
  if (!wasi_http_types_method_incoming_request_consume(asked, &request.body.body)) abort();
  response.fields = wasi_http_types_constructor_fields();
  http_handle(&request, &response);
  end(&response);
  leave(&request.body);
  wasi_http_types_fields_drop_own(request.fields);
  wasi_http_types_incoming_request_drop_own(from);
  while (all != NULL) {
    kept* next = all->next;
    free(all);
    all = next;
  }
}
