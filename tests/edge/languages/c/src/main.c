/* The application of the suite, in C. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http.h"

static void echo(http_request *request, http_response *response) {
  static char piece[16384];
  const char *type = http_field(request, "content-type");
  if (type) http_set(response, "content-type", type);
  for (ptrdiff_t size; (size = http_read(request, piece, sizeof piece)) > 0;)
    if (!http_write(response, piece, (size_t)size) || !http_flush(response)) return;
}

static void greet(http_request *request, http_response *response) {
  static char text[4096];
  size_t length = 0;
  for (ptrdiff_t size; (size = http_read(request, text + length, sizeof text - 1 - length)) > 0;)
    length += (size_t)size;
  char *name = strstr(text, "\"name\"");
  char *begin = name ? strchr(name + 6, '"') : NULL;
  char *end = begin ? strchr(begin + 1, '"') : NULL;
  if (!end) {
    http_status(response, 400);
    return;
  }
  http_set(response, "content-type", "application/json");
  http_printf(response, "{\"greeting\": \"Hello, %.*s!\"}", (int)(end - begin - 1), begin + 1);
}

static void fetch(http_request *request, http_response *response) {
  static char piece[16384];
  http_fetch *asked = http_fetch_new("GET", http_query(request, "url"));
  int status = http_fetch_send(asked);
  http_status(response, status < 0 ? 502 : status);
  if (status < 0) http_printf(response, "%s", http_fetch_error(asked));
  for (ptrdiff_t size; (size = http_fetch_read(asked, piece, sizeof piece)) > 0;)
    http_write(response, piece, (size_t)size);
  http_fetch_close(asked);
}

void http_handle(http_request *request, http_response *response) {
  const char *path = http_path(request);
  if (!strcmp(path, "/echo")) return echo(request, response);
  if (!strcmp(path, "/json")) return greet(request, response);
  if (!strcmp(path, "/fetch")) return fetch(request, response);
  if (!strcmp(path, "/trap")) abort();
  if (!strcmp(path, "/slow")) usleep(300000);
  if (strcmp(path, "/hello") && strcmp(path, "/slow")) http_status(response, 404);
  http_set(response, "content-type", "text/plain");
  http_printf(response, "%s", strcmp(path, "/slow") ? "Hello, World!" : "At last");
}
