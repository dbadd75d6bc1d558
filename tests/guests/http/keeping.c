// What an application is told and keeps beside its requests: `/config/NAME` gives a value of configuration, `/count/KEY` counts
// how often it was asked for.
#include "application.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void answer(exports_wasi_http_incoming_handler_own_response_outparam_t out, uint16_t status, const uint8_t *text, size_t size) {
  wasi_http_types_own_outgoing_response_t response = wasi_http_types_constructor_outgoing_response(wasi_http_types_constructor_fields());
  wasi_http_types_borrow_outgoing_response_t borrowed = wasi_http_types_borrow_outgoing_response(response);
  wasi_http_types_own_outgoing_body_t body;
  wasi_io_streams_own_output_stream_t stream;
  if (!wasi_http_types_method_outgoing_response_set_status_code(borrowed, status)) abort();
  if (!wasi_http_types_method_outgoing_response_body(borrowed, &body)) abort();
  wasi_http_types_result_own_outgoing_response_error_code_t given = {0};
  given.val.ok = response;
  wasi_http_types_static_response_outparam_set(out, &given);
  if (!wasi_http_types_method_outgoing_body_write(wasi_http_types_borrow_outgoing_body(body), &stream)) abort();
  application_list_u8_t bytes = {(uint8_t *)text, size};
  wasi_io_streams_stream_error_t failed;
  wasi_io_streams_method_output_stream_blocking_write_and_flush(wasi_io_streams_borrow_output_stream(stream), &bytes, &failed);
  wasi_io_streams_output_stream_drop_own(stream);
  wasi_http_types_error_code_t error;
  wasi_http_types_static_outgoing_body_finish(body, NULL, &error);
}

static int after(application_string_t path, const char *prefix, application_string_t *rest) {
  size_t size = strlen(prefix);
  if (path.len < size || memcmp(path.ptr, prefix, size)) return 0;
  *rest = (application_string_t){path.ptr + size, path.len - size};
  return 1;
}

void exports_wasi_http_incoming_handler_handle(exports_wasi_http_incoming_handler_own_incoming_request_t request,
                                               exports_wasi_http_incoming_handler_own_response_outparam_t out) {
  application_string_t path, name, unnamed = {(uint8_t *)"", 0};
  wasi_http_types_method_incoming_request_path_with_query(wasi_http_types_borrow_incoming_request(request), &path);
  if (after(path, "/config/", &name)) {
    application_option_string_t value;
    wasi_config_store_error_t error;
    if (!wasi_config_store_get(&name, &value, &error)) abort();
    if (value.is_some) return answer(out, 200, value.val.ptr, value.val.len);
  }
  if (after(path, "/count/", &name)) {
    wasi_keyvalue_store_own_bucket_t bucket;
    wasi_keyvalue_store_error_t error;
    uint64_t count;
    char digits[21];
    if (!wasi_keyvalue_store_open(&unnamed, &bucket, &error)) abort();
    if (!wasi_keyvalue_atomics_increment(wasi_keyvalue_store_borrow_bucket(bucket), &name, 1, &count, &error)) abort();
    return answer(out, 200, (uint8_t *)digits, snprintf(digits, sizeof digits, "%llu", (unsigned long long)count));
  }
  answer(out, 404, unnamed.ptr, 0);
}
