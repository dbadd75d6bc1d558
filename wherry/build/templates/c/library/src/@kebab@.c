#include "@snake@.h"

#include <stdio.h>

/* Declared in build/bindings, which is made from wit/@kebab@.wit. */
void exports_@snake@_greet(@snake@_string_t *name, @snake@_string_t *ret) {
  char *text = NULL;
  int length =
      asprintf(&text, "Hello, %.*s!", (int)name->len, (char *)name->ptr);
  ret->ptr = (uint8_t *)text;
  ret->len = length < 0 ? 0 : (size_t)length;
  @snake@_string_free(name);
}
