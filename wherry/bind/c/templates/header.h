@ABOUT@#ifndef @UPPER@_H
#define @UPPER@_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <wherry.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Rules that hold for every function here
 *
 *   Result     A `wherry_status`: WHERRY_OK, or what went wrong. `error` may be NULL; else it is set to NULL
 *              on success, and to an error object on failure, for `wherry_error_message` and its like, which
 *              is released with `wherry_error_free`.
 *   Arguments  Are read during the call and stay the caller's, unless it says that they are given away.
 *   `out`      Counts on success only. What it points to is lent: it stays until the next call on the same
 *              instance, to which it may be an argument.
 *   Threads    Any thread may use an instance, one at a time: a second call is refused with WHERRY_BUSY.
 *   Failures   A call that fails with WHERRY_HOST, or one of WHERRY_TRAP to WHERRY_INTERRUPTED, has ended the
 *              guest. Then the instance is to be closed.
 */

/* Text in UTF-8, without a zero at its end. */
typedef struct @PREFIX@_string {
  const char *data;
  size_t length;
} @PREFIX@_string;

typedef struct @PREFIX@_bytes {
  const uint8_t *data;
  size_t length;
} @PREFIX@_bytes;

/* A view of a text that ends in a zero. */
static inline @PREFIX@_string @PREFIX@_text(const char *text) {
  @PREFIX@_string view;
  view.data = text;
  view.length = strlen(text);
  return view;
}

/* One sandbox with the library in it. */
typedef struct @PREFIX@_instance @PREFIX@_instance;

/* A callback that runs. */
typedef struct @PREFIX@_caller @PREFIX@_caller;

@TYPES@

@TABLES@

/*
 * How an instance is opened. All of it may be left zero: then nothing is granted, memory is limited to 512 MiB
 * and each call to 30 seconds.
 */
typedef struct @PREFIX@_options {
  /* Limits as the flags of `wherry run` have them: "64MiB", "5s", "1000000". */
  const char *memory;
  const char *timeout;
  const char *fuel;
  /* What the library may reach and use up, in place of the limits above. Read and not kept. */
  wherry_policy *policy;
  /* The component, loaded by the caller, in place of the one inside: of the same digest. Stays the caller's. */
  wherry_component *component;
} @PREFIX@_options;

/*
 * Opens an instance. `options` may be NULL.@IMPORTS_SAID@ The first one in a process loads the component, which is
 * compiled where the user's cache does not have it. Any thread.
 */
wherry_status @PREFIX@_open(const @PREFIX@_options *options, @IMPORTS_PARAMETER@@PREFIX@_instance **out, wherry_error **error);

/*
 * Closes an instance with all its resources, from any thread; in a call, when that is over. One that was closed
 * before gives WHERRY_CLOSED, and NULL is ignored.
 */
wherry_status @PREFIX@_close(@PREFIX@_instance *instance);

/* Ends the call that runs, from any thread, and the guest with it: WHERRY_INTERRUPTED, later calls too. */
wherry_status @PREFIX@_cancel(@PREFIX@_instance *instance);

/*
 * Memory in a callback that stays until what the callback has returned was copied. NULL if there is none, and
 * outside of the callback and its thread.
 */
void *@PREFIX@_lend(@PREFIX@_caller *caller, size_t size);

/* Says what failed, for the error of the call. The callback fails, whatever it returns. */
wherry_status @PREFIX@_fail(@PREFIX@_caller *caller, const char *message);

/* The instance that calls, to release its resources; NULL while it is being opened. */
@PREFIX@_instance *@PREFIX@_caller_instance(@PREFIX@_caller *caller);

@PROTOTYPES@

#ifdef __cplusplus
}
#endif

#endif
