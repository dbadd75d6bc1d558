/* @NAME@: calls and callbacks. Written by `wherry bind`; do not edit. */
#include "@PREFIX@_values.h"

#include <stddef.h>

#if WHERRY_BIND_VERSION != 1
#error "wherry_bind.h is of another version than these bindings: run `wherry bind` again with the Wherry that it came with"
#endif

extern const uint8_t @COMPONENT@[], @COMPONENT@_end[];

@EXPORTS@

@CALLBACKS@

@IMPORTED@

@LIBRARY@

wherry_status @PREFIX@_open(const @PREFIX@_options *options, @IMPORTS_PARAMETER@@PREFIX@_instance **out, wherry_error **error) {
  static const @PREFIX@_options none = {NULL, NULL, NULL, NULL, NULL};
  const @PREFIX@_options *said = options != NULL ? options : &none;
  const wherry_start start = {said->memory, said->timeout, said->fuel, said->policy, said->component};
  void *made = NULL;
  wherry_status status = wherry_bound_open(&wherry_this, &start, @IMPORTS_VALUE@, out != NULL ? &made : NULL, error);
  if (status == WHERRY_OK)
    *out = (@PREFIX@_instance *)made;
  return status;
}

wherry_status @PREFIX@_close(@PREFIX@_instance *instance) { return wherry_bound_close(&wherry_this, instance); }

wherry_status @PREFIX@_cancel(@PREFIX@_instance *instance) { return wherry_bound_cancel(instance); }

void *@PREFIX@_lend(@PREFIX@_caller *caller, size_t size) { return wherry_callback_lend((wherry_bound *)caller, size); }

wherry_status @PREFIX@_fail(@PREFIX@_caller *caller, const char *message) {
  return wherry_callback_fail((wherry_bound *)caller, message);
}

@PREFIX@_instance *@PREFIX@_caller_instance(@PREFIX@_caller *caller) {
  return (@PREFIX@_instance *)wherry_callback_instance((wherry_bound *)caller);
}

@FUNCTIONS@
