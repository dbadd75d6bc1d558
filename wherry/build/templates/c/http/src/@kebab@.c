#include "http.h"

/* What there is, build/bindings/@kebab@/http.h says. */
void http_handle(http_request *request, http_response *response) {
  const char *name = http_query(request, "name");
  http_set(response, "content-type", "text/plain");
  http_printf(response, "Hello, %s!\n", name ? name : "World");
}
