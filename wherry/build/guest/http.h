/* What an application in C answers HTTP with, above the bindings of wasi:http in `application.h`.
 *
 * Every request has a fresh instance, in which `http_handle` is called once. Text that these functions give
 * out lives until it returns. Bodies are streamed both ways: reading waits for the client, and so does
 * writing. */
#ifndef WHERRY_HTTP_H
#define WHERRY_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct http_request http_request;
typedef struct http_response http_response;
typedef struct http_fetch http_fetch;

/* Yours: answers one request. */
void http_handle(http_request* request, http_response* response);

/* The request: `GET`, the path, a parameter of the query without its %, the first field of a name. NULL where
 * there is none. */
const char* http_method(http_request* request);
const char* http_path(http_request* request);
const char* http_query(http_request* request, const char* name);
const char* http_field(http_request* request, const char* name);
/* Up to `size` bytes of the body: how many, 0 at its end, -1 if the client broke off. */
ptrdiff_t http_read(http_request* request, void* buffer, size_t size);

/* The answer: status and fields before the first byte is sent, then the body, and fields after it. What fits
 * 4 KiB is sent at the end, with its length; `http_flush` sends what there is. False if the client is gone,
 * or a field is not to be set by an application. */
void http_status(http_response* response, int status);
bool http_set(http_response* response, const char* name, const char* value);
bool http_write(http_response* response, const void* data, size_t size);
bool http_printf(http_response* response, const char* format, ...) __attribute__((format(printf, 2, 3)));
bool http_flush(http_response* response);
bool http_trailer(http_response* response, const char* name, const char* value);

/* A request to somebody else, as far as the policy allows it: fields, then the body, then `http_fetch_send`
 * waits for the status, or gives -1 and `http_fetch_error` says why. */
http_fetch* http_fetch_new(const char* method, const char* url);
bool http_fetch_set(http_fetch* fetch, const char* name, const char* value);
bool http_fetch_write(http_fetch* fetch, const void* data, size_t size);
int http_fetch_send(http_fetch* fetch);
const char* http_fetch_error(http_fetch* fetch);
const char* http_fetch_field(http_fetch* fetch, const char* name);
ptrdiff_t http_fetch_read(http_fetch* fetch, void* buffer, size_t size);
void http_fetch_close(http_fetch* fetch);

#ifdef __cplusplus
}
#endif
#endif
