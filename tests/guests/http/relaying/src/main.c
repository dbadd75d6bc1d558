/* Sends what it is asked on to `url`, and answers what it is answered; `read` says after how many bytes it stops. `self` is where
 * it is itself: it asks for that, with the same `self`. `fill` is how many large fields it sends, and that it lies about who asks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http.h"

static char piece[16384];

void http_handle(http_request *request, http_response *response) {
  const char *read = http_query(request, "read");
  size_t left = read ? strtoul(read, NULL, 10) : (size_t)-1;
  const char *self = http_query(request, "self"), *url = http_query(request, "url");
  if (self) snprintf(piece, sizeof piece, "%s?self=%s", self, self);
  http_fetch *asked = http_fetch_new(http_method(request), self ? piece : url);
  const char *fill = http_query(request, "fill");
  if (fill) http_fetch_set(asked, "x-forwarded-for", "192.0.2.1");
  memset(piece, 'x', 8000);
  piece[8000] = 0;
  for (long count = fill ? strtol(fill, NULL, 10) : 0; count > 0; count--) http_fetch_set(asked, "x-fill", piece);
  for (ptrdiff_t size; (size = http_read(request, piece, sizeof piece)) > 0;)
    if (!http_fetch_write(asked, piece, (size_t)size)) break;
  int status = http_fetch_send(asked);
  http_status(response, status < 0 ? 502 : status);
  if (status < 0) http_printf(response, "%s", http_fetch_error(asked));
  for (ptrdiff_t size; left && (size = http_fetch_read(asked, piece, left < sizeof piece ? left : sizeof piece)) > 0;) {
    left -= (size_t)size;
    if (!http_write(response, piece, (size_t)size) || !http_flush(response)) break;
  }
  if (!read) http_fetch_close(asked);
}
