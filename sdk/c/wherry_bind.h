/*
 * What the sources that `wherry bind --lang c` writes are made of: instances that are opened, called and closed, and callbacks. Values
 * are in wherry_values.h. It comes with libwherry and is C11; who calls generated functions needs their own header and not this one.
 *
 * An instance keeps the buffer that its arguments are written to, and the arena that its results point into: both are there for the
 * next call, and go when it is closed.
 */
#ifndef WHERRY_BIND_H
#define WHERRY_BIND_H

#include <stdatomic.h>
#include <stdio.h>
#include <wherry.h>
#include <wherry_values.h>

/* Raised when sources that were generated before would not work with it. */
#define WHERRY_BIND_VERSION 1

/* ---- A library and its instances ---- */

typedef struct wherry_export {
  const char *interface_name, *name;
} wherry_export;

typedef struct wherry_import {
  const char *interface_name, *name;
  wherry_callback function;
  size_t place; /* of the caller's function in the table of imports */
} wherry_import;

typedef struct wherry_ending {
  const char *interface_name, *name;
  wherry_destructor function;
  size_t place;
} wherry_ending;

/*
 * One instance. Its memory stays when it is closed, and is used for the next one, so that a handle to an instance that was closed can
 * be told: the pointer that callers hold has a generation in its lowest bits.
 */
typedef struct wherry_bound {
  struct wherry_bound *next; /* among those that are free */
  uintptr_t generation;
  _Atomic uintptr_t handle; /* 0 where it is closed */
  atomic_bool busy, closing;
  wherry_instance *instance;
  wherry_function **functions;
  void *table;
  wherry_writer arguments, reply;
  wherry_arena results, lent;
  _Atomic(wherry_caller *) caller; /* while a callback runs */
  _Atomic(const char *) thread;    /* its thread */
} wherry_bound;

enum { WHERRY_GENERATIONS = 64 };

/* What there is once for all instances of a library. */
typedef struct wherry_shared {
  _Atomic(wherry_component *) component;
  atomic_flag lock;
  wherry_bound *free_first, *free_last;
} wherry_shared;

typedef struct wherry_library {
  const char *name, *digest;
  const uint8_t *component;
  const uint8_t *component_end;
  const wherry_export *exports;
  size_t export_count;
  const wherry_import *imports;
  size_t import_count;
  const wherry_ending *endings;
  size_t ending_count;
  size_t table_size;
  wherry_shared *shared;
} wherry_library;

/* What an instance is opened with. */
typedef struct wherry_start {
  const char *memory, *timeout, *fuel;
  wherry_policy *policy;
  wherry_component *component;
} wherry_start;

#define WHERRY_MISSING "a string or list has a length, and its data is NULL"

static inline wherry_status wherry_no_memory(wherry_error **error) {
  return wherry_error_new(WHERRY_TOO_LARGE, "there is no memory for the values of this call", NULL, error);
}

/* The bytes at a place, as a function's address is compared with NULL. */
static inline bool wherry_is_there(const void *table, size_t place) {
  void (*function)(void);
  memcpy(&function, (const char *)table + place, sizeof function);
  return function != NULL;
}

static inline void wherry_shared_lock(wherry_shared *shared) {
  while (atomic_flag_test_and_set_explicit(&shared->lock, memory_order_acquire)) {
  }
}

/* Memory for an instance: one that was closed longest ago, so that generations last, or new. */
static inline wherry_bound *wherry_bound_take(const wherry_library *library) {
  wherry_shared *shared = library->shared;
  wherry_bound *bound;
  wherry_shared_lock(shared);
  bound = shared->free_first;
  if (bound != NULL) {
    shared->free_first = bound->next;
    if (bound->next == NULL)
      shared->free_last = NULL;
  }
  atomic_flag_clear_explicit(&shared->lock, memory_order_release);
  if (bound == NULL) {
    size_t size = (sizeof *bound + WHERRY_GENERATIONS - 1) / WHERRY_GENERATIONS * WHERRY_GENERATIONS;
    bound = (wherry_bound *)aligned_alloc(WHERRY_GENERATIONS, size);
    if (bound == NULL)
      return NULL;
    memset(bound, 0, sizeof *bound);
    atomic_init(&bound->handle, 0);
    atomic_init(&bound->busy, true);
    atomic_init(&bound->closing, false);
  }
  bound->next = NULL;
  bound->generation = (bound->generation + 1) % WHERRY_GENERATIONS;
  bound->functions = (wherry_function **)calloc(library->export_count + 1, sizeof *bound->functions);
  bound->table = malloc(library->table_size + 1);
  return bound;
}

/* Gives back what it holds; nobody else is in it, and `busy` stays set until it is used again. */
static inline void wherry_bound_give(const wherry_library *library, wherry_bound *bound) {
  wherry_shared *shared = library->shared;
  if (bound->functions != NULL)
    for (size_t i = 0; i < library->export_count; i++)
      wherry_function_free(bound->functions[i]);
  free(bound->functions);
  free(bound->table);
  free(bound->arguments.start);
  free(bound->reply.start);
  wherry_arena_free(&bound->results);
  wherry_arena_free(&bound->lent);
  memset(&bound->arguments, 0, sizeof bound->arguments);
  memset(&bound->reply, 0, sizeof bound->reply);
  bound->functions = NULL;
  bound->table = NULL;
  bound->instance = NULL;
  atomic_store(&bound->closing, false);
  wherry_shared_lock(shared);
  if (shared->free_last != NULL)
    shared->free_last->next = bound;
  else
    shared->free_first = bound;
  shared->free_last = bound;
  atomic_flag_clear_explicit(&shared->lock, memory_order_release);
}

/* The instance that a caller's pointer stands for; it may be closed a moment later. */
static inline wherry_bound *wherry_bound_of(const void *handle) {
  wherry_bound *bound = (wherry_bound *)((uintptr_t)handle & ~(uintptr_t)(WHERRY_GENERATIONS - 1));
  if (bound == NULL || atomic_load(&bound->handle) != (uintptr_t)handle)
    return NULL;
  return bound;
}

static inline wherry_status wherry_closed(const void *handle, wherry_error **error) {
  if (handle == NULL)
    return wherry_error_new(WHERRY_WRONG_HANDLE, "the instance is NULL", "open one first", error);
  return wherry_error_new(WHERRY_CLOSED, "the instance was closed", "open another", error);
}

/* Lets the next call in; where it was closed meanwhile, it ends here. */
static inline void wherry_bound_leave(const wherry_library *library, wherry_bound *bound) {
  atomic_store(&bound->busy, false);
  if (atomic_load(&bound->closing) && !atomic_exchange(&bound->busy, true))
    wherry_bound_give(library, bound);
}

static inline wherry_status wherry_bound_enter(const wherry_library *library, const void *handle, wherry_bound **out,
                                               wherry_error **error) {
  wherry_bound *bound = wherry_bound_of(handle);
  if (bound == NULL)
    return wherry_closed(handle, error);
  if (atomic_exchange(&bound->busy, true)) {
    if (wherry_bound_of(handle) == NULL)
      return wherry_closed(handle, error);
    return wherry_error_new(WHERRY_BUSY, "the instance is in a call already",
                            "open an instance for each thread; callbacks cannot call the instance that calls them", error);
  }
  if (wherry_bound_of(handle) == NULL) {
    wherry_bound_leave(library, bound);
    return wherry_closed(handle, error);
  }
  *out = bound;
  return WHERRY_OK;
}

/* ---- Opening and closing ---- */

/* The component inside, which is loaded once and stays; whichever thread is first. */
static inline wherry_status wherry_library_load(const wherry_library *library, wherry_component **out, wherry_error **error) {
  _Atomic(wherry_component *) *place = &library->shared->component;
  wherry_component *component = atomic_load(place), *loaded = NULL;
  wherry_status status;
  if (component == NULL) {
    size_t length = (size_t)(library->component_end - library->component);
    status = wherry_component_load_bytes(NULL, library->component, length, library->name, 0, &loaded, error);
    if (status != WHERRY_OK)
      return status;
    if (atomic_compare_exchange_strong(place, &component, loaded))
      component = loaded;
    else
      wherry_component_free(loaded);
  }
  *out = component;
  return WHERRY_OK;
}

static inline wherry_status wherry_library_check(const wherry_library *library, wherry_component *component,
                                                 wherry_error **error) {
  const char *digest;
  char message[320];
  wherry_status status = wherry_component_digest(component, &digest, error);
  if (status != WHERRY_OK || strcmp(digest, library->digest) == 0)
    return status;
  snprintf(message, sizeof message, "these bindings are for `%.100s` with the digest %s, and the component has %.64s",
           library->name, library->digest, digest);
  return wherry_error_new(WHERRY_LINK, message, "`wherry bind` writes bindings for it", error);
}

/* The policy of a new instance, and whether it has to be released. */
static inline wherry_status wherry_start_policy(const wherry_start *start, wherry_policy **out, wherry_error **error) {
  const char *limits[3][2] = {{"memory", start->memory}, {"timeout", start->timeout}, {"fuel", start->fuel}};
  wherry_status status = WHERRY_OK;
  if (start->policy != NULL && (start->memory != NULL || start->timeout != NULL || start->fuel != NULL))
    return wherry_error_new(WHERRY_USAGE, "there is a policy and a limit beside it", "set the limit in the policy", error);
  *out = NULL;
  if (start->policy == NULL)
    status = wherry_policy_new(out, error);
  for (int i = 0; status == WHERRY_OK && i < 3; i++)
    if (limits[i][1] != NULL)
      status = wherry_policy_set(*out, limits[i][0], limits[i][1], error);
  return status;
}

static inline wherry_status wherry_table_register(const wherry_library *library, wherry_bound *bound, wherry_imports **out,
                                                  wherry_error **error) {
  wherry_status status = wherry_imports_new(out, error);
  for (size_t i = 0; status == WHERRY_OK && i < library->import_count; i++) {
    const wherry_import *one = &library->imports[i];
    if (!wherry_is_there(bound->table, one->place)) {
      char message[320];
      snprintf(message, sizeof message, "the table of imports has no function for `%.200s`", one->name);
      return wherry_error_new(WHERRY_USAGE, message, "set each function of the table", error);
    }
    status = wherry_imports_function(*out, one->interface_name, one->name, one->function, bound, NULL, error);
  }
  for (size_t i = 0; status == WHERRY_OK && i < library->ending_count; i++) {
    const wherry_ending *one = &library->endings[i];
    if (wherry_is_there(bound->table, one->place))
      status = wherry_imports_resource(*out, one->interface_name, one->name, one->function, bound, NULL, error);
  }
  return status;
}

static inline wherry_status wherry_bound_start(const wherry_library *library, wherry_bound *bound, const wherry_start *start,
                                               wherry_error **error) {
  wherry_component *component = start->component;
  wherry_policy *policy = NULL;
  wherry_imports *imports = NULL;
  wherry_status status = WHERRY_OK;
  if (component == NULL)
    status = wherry_library_load(library, &component, error);
  if (status == WHERRY_OK)
    status = wherry_library_check(library, component, error);
  if (status == WHERRY_OK)
    status = wherry_start_policy(start, &policy, error);
  if (status == WHERRY_OK && library->table_size != 0)
    status = wherry_table_register(library, bound, &imports, error);
  if (status == WHERRY_OK)
    status = wherry_instance_new(component, policy != NULL ? policy : start->policy, imports, &bound->instance, error);
  wherry_imports_free(imports);
  wherry_policy_free(policy);
  return status;
}

/* Opens an instance; `table` holds `table_size` bytes, which are copied. */
static inline wherry_status wherry_bound_open(const wherry_library *library, const wherry_start *start, const void *table,
                                              void **out, wherry_error **error) {
  wherry_bound *bound;
  wherry_status status;
  if (wherry_abi_version() != WHERRY_ABI_VERSION)
    return wherry_error_new(WHERRY_LINK, "libwherry has another version of its interface than these bindings were compiled for",
                            "compile them again with the header of the library that is installed", error);
  if (out == NULL || (table == NULL && library->table_size != 0))
    return wherry_error_new(WHERRY_USAGE, out == NULL ? "there is no place for the instance" : "there is no table of imports",
                            NULL, error);
  bound = wherry_bound_take(library);
  if (bound == NULL)
    return wherry_no_memory(error);
  if (bound->functions == NULL || bound->table == NULL) {
    wherry_bound_give(library, bound);
    return wherry_no_memory(error);
  }
  if (library->table_size != 0)
    memcpy(bound->table, table, library->table_size);
  status = wherry_bound_start(library, bound, start, error);
  if (status != WHERRY_OK) {
    wherry_bound_give(library, bound);
    return status;
  }
  atomic_store(&bound->handle, (uintptr_t)bound | bound->generation);
  *out = (void *)((uintptr_t)bound | bound->generation);
  atomic_store(&bound->busy, false);
  return WHERRY_OK;
}

/* Ends an instance; once a call that runs in it is over. */
static inline wherry_status wherry_bound_close(const wherry_library *library, const void *handle) {
  wherry_bound *bound = (wherry_bound *)((uintptr_t)handle & ~(uintptr_t)(WHERRY_GENERATIONS - 1));
  uintptr_t wanted = (uintptr_t)handle;
  if (handle == NULL)
    return WHERRY_OK;
  if (bound == NULL || !atomic_compare_exchange_strong(&bound->handle, &wanted, 0))
    return WHERRY_CLOSED;
  wherry_instance_free(bound->instance);
  atomic_store(&bound->closing, true);
  if (!atomic_exchange(&bound->busy, true))
    wherry_bound_give(library, bound);
  return WHERRY_OK;
}

static inline wherry_status wherry_bound_cancel(const void *handle) {
  const wherry_bound *bound = wherry_bound_of(handle);
  return bound == NULL ? WHERRY_CLOSED : wherry_instance_cancel(bound->instance);
}

static inline wherry_status wherry_bound_drop(const void *handle, uint64_t resource, wherry_error **error) {
  wherry_bound *bound = wherry_bound_of(handle);
  return bound == NULL ? wherry_closed(handle, error) : wherry_resource_drop(bound->instance, resource, error);
}

/* ---- A call ---- */

/* Enters an instance to call the function at `place`, which takes `count` arguments, to be written next. */
static inline wherry_status wherry_call_begin(const wherry_library *library, const void *handle, size_t place, uint32_t count,
                                              bool has_place, wherry_bound **out, wherry_error **error) {
  wherry_bound *bound = NULL;
  wherry_status status = wherry_bound_enter(library, handle, &bound, error);
  if (status != WHERRY_OK)
    return status;
  if (!has_place)
    status = wherry_error_new(WHERRY_USAGE, "there is no place for the result: `out` is NULL", NULL, error);
  else if (bound->functions[place] == NULL)
    status = wherry_function_find(bound->instance, library->exports[place].interface_name, library->exports[place].name,
                                  &bound->functions[place], error);
  if (status != WHERRY_OK) {
    wherry_bound_leave(library, bound);
    return status;
  }
  wherry_writer_begin(&bound->arguments);
  wherry_write_head(&bound->arguments, 0x14, count);
  *out = bound;
  return WHERRY_OK;
}

/* Makes the call, whose result is to be read from `reader` where that is WHERRY_OK. */
static inline wherry_status wherry_call_make(wherry_bound *bound, size_t place, wherry_reader *reader, wherry_error **error) {
  const wherry_writer *writer = &bound->arguments;
  size_t length;
  reader->arena = &bound->results;
  reader->failed = false;
  if (writer->missing)
    return wherry_error_new(WHERRY_USAGE, WHERRY_MISSING, NULL, error);
  if (writer->failed)
    return wherry_no_memory(error);
  wherry_arena_reset(&bound->results);
  return wherry_function_call(bound->functions[place], writer->start, (size_t)(writer->at - writer->start), &reader->at, &length,
                              error);
}

static inline wherry_status wherry_call_end(const wherry_library *library, wherry_bound *bound, const wherry_reader *reader,
                                            wherry_status status, wherry_error **error) {
  if (status == WHERRY_OK && reader->failed)
    status = wherry_no_memory(error);
  if (bound->arguments.end - bound->arguments.start > WHERRY_MOST_KEPT) {
    free(bound->arguments.start);
    memset(&bound->arguments, 0, sizeof bound->arguments);
  }
  wherry_bound_leave(library, bound);
  return status;
}

/* ---- Streams and futures ---- */

/* Enters an instance and reads its stream; `out` is set where it was entered, and `reader->at` is NULL at the end of the stream. */
static inline wherry_status wherry_stream_begin(const wherry_library *library, const void *handle, wherry_stream *stream,
                                                bool has_place, wherry_bound **out, wherry_reader *reader,
                                                wherry_error **error) {
  size_t length = 0;
  wherry_status status = wherry_bound_enter(library, handle, out, error);
  if (status != WHERRY_OK)
    return status;
  reader->arena = &(*out)->results;
  if (!has_place)
    return wherry_error_new(WHERRY_USAGE, "there is no place for what it brings: `out` is NULL", NULL, error);
  wherry_arena_reset(&(*out)->results);
  status = wherry_stream_read(stream, &reader->at, &length, error);
  if (status == WHERRY_OK && length == 0)
    reader->at = NULL;
  return status;
}

/* What fills a stream of the caller's. */
typedef struct wherry_filled {
  void (*source)(void);
  void *context;
  void (*done)(void *context);
  wherry_writer writer;
} wherry_filled;

static inline void wherry_filled_free(void *context) {
  wherry_filled *filled = (wherry_filled *)context;
  if (filled == NULL)
    return;
  if (filled->done != NULL)
    filled->done(filled->context);
  free(filled->writer.start);
  free(filled);
}

static inline wherry_status wherry_filled_new(wherry_source fill, bool is_there, void (*source)(void), void *context,
                                              void (*done)(void *context), wherry_stream **out, wherry_error **error) {
  wherry_filled *filled = (wherry_filled *)calloc(1, sizeof *filled);
  if (filled == NULL || !is_there) {
    free(filled);
    if (done != NULL)
      done(context);
    if (is_there)
      return wherry_no_memory(error);
    return wherry_error_new(WHERRY_USAGE, "there is no source, or no place for the stream", NULL, error);
  }
  filled->source = source;
  filled->context = context;
  filled->done = done;
  return wherry_stream_new(fill, filled, wherry_filled_free, out, error);
}

static inline wherry_writer *wherry_filled_begin(wherry_filled *filled) {
  wherry_writer_begin(&filled->writer);
  return &filled->writer;
}

/* Answers with what was written, if all went well. */
static inline int32_t wherry_filled_end(const wherry_filled *filled, int32_t status, wherry_caller *caller) {
  const wherry_writer *writer = &filled->writer;
  if (status == WHERRY_BUSY)
    return wherry_caller_later(caller);
  if (status == 0 && writer->failed) {
    wherry_caller_fail(caller, writer->missing ? WHERRY_MISSING : "there is no memory for what it brings");
    return WHERRY_TOO_LARGE;
  }
  if (status == 0)
    status = wherry_caller_return(caller, writer->start, (size_t)(writer->at - writer->start), NULL);
  return status;
}

/* ---- A callback ---- */

/* Something of this thread's own, by whose address it is known. */
static inline const char *wherry_this_thread(void) {
  static _Thread_local char here;
  return &here;
}

/* Arguments of a callback, to be read. What is made of them stays until it returns, as what it borrows. */
static inline wherry_reader wherry_callback_begin(wherry_bound *bound, const uint8_t *arguments, wherry_caller *caller) {
  wherry_reader reader = {arguments + 5, &bound->lent, false};
  wherry_arena_reset(&bound->lent);
  bound->caller = caller;
  bound->thread = wherry_this_thread();
  wherry_writer_begin(&bound->reply);
  return reader;
}

/* Answers with what was written, if all went well. */
static inline int32_t wherry_callback_end(wherry_bound *bound, int32_t status, const wherry_reader *reader) {
  const wherry_writer *writer = &bound->reply;
  if (reader->failed || writer->failed) {
    wherry_caller_fail(bound->caller, writer->missing ? WHERRY_MISSING : "there is no memory for its values");
    status = WHERRY_TOO_LARGE;
  }
  if (status == 0)
    status = wherry_caller_return(bound->caller, writer->start, (size_t)(writer->at - writer->start), NULL);
  bound->caller = NULL;
  return status;
}

static inline wherry_status wherry_callback_fail(wherry_bound *bound, const char *message) {
  if (bound == NULL || bound->caller == NULL)
    return WHERRY_CLOSED;
  return wherry_caller_fail(bound->caller, message);
}

static inline void *wherry_callback_lend(wherry_bound *bound, size_t size) {
  if (bound == NULL || bound->caller == NULL || bound->thread != wherry_this_thread())
    return NULL;
  return wherry_arena_take(&bound->lent, size == 0 ? 1 : size, 1);
}

static inline void *wherry_callback_instance(wherry_bound *bound) {
  if (bound == NULL || bound->caller == NULL)
    return NULL;
  return (void *)atomic_load(&bound->handle);
}

#endif
