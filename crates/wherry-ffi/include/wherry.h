/*
 * libwherry: run WebAssembly components, sandboxed, from any language that can call C.
 *
 * A component is loaded, instantiated with what it may reach and use up, and its functions are called. Arguments and results
 * are bytes in one encoding, which docs/encoding.md describes; docs/embedding.md is the way in, with an example.
 *
 * Rules that hold for every function
 *
 *   Result     A `wherry_status`: WHERRY_OK, or what went wrong. Where the last parameter is `wherry_error **error`, it may be
 *              NULL; else it is set to NULL on success and to an error object on failure, which the caller releases with
 *              `wherry_error_free`. Out-parameters are written on success only, unless it says otherwise.
 *   Handles    Pointers to objects are handles: the library looks each one up and never follows it. A handle that was released,
 *              or is to an object of another kind, or is no handle at all, gives WHERRY_WRONG_HANDLE, on any thread.
 *   Releasing  Each object is released once, by its own `..._free`, from any thread, in any order; NULL is ignored. What is in use
 *              by a call stays until the call is over.
 *   Threads    Every function may be called from any thread at any time, and there is no state of the process to set up. An
 *              instance runs one call at a time: where a second one comes, it is refused at once with WHERRY_BUSY. Callbacks run on
 *              the thread that called into the instance. `[locks]` below marks functions that an instance refuses while it
 *              is in a call; all others work meanwhile, callbacks included.
 *   Stacks     A guest runs on the caller's stack, and may use 1 MiB of it unless the policy says otherwise. A thread with less
 *              than that left gets WHERRY_USAGE.
 *   Memory     What is lent stays until the time that is said, and is not the caller's to free. Everything else belongs to who made it.
 *   Texts      UTF-8, ending in a zero byte. Those that are passed in are copied.
 *   Errors     Nothing unwinds out of the library. A fault of the library itself is WHERRY_INTERNAL. An exception of C++ must not
 *              leave a callback: catch it there, and return a failure.
 *   Fork       An instance is of no use in a child of `fork`, which gets WHERRY_FORKED; components are.
 */
#ifndef WHERRY_H
#define WHERRY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this interface and of the encoding. It is raised when either changes for callers that are there already. */
#define WHERRY_ABI_VERSION 1

/* What came of a call. Numbers are never given another meaning; more of them may come. */
typedef int32_t wherry_status;
enum {
  WHERRY_OK = 0,
  WHERRY_NOT_FOUND = 1,       /* the file or package does not exist */
  WHERRY_IO = 2,              /* the system refused to read or write */
  WHERRY_NOT_WEB_ASSEMBLY = 3,
  WHERRY_FOREIGN = 4,         /* WebAssembly made for another host */
  WHERRY_INVALID = 5,         /* WebAssembly that is broken */
  WHERRY_UNSUPPORTED = 6,     /* valid, but needs what is not here */
  WHERRY_TOO_LARGE = 7,       /* over a limit that is checked before anything runs */
  WHERRY_COMPILE = 8,         /* the compiler gave up */
  WHERRY_PRECOMPILED = 9,     /* compiled code of another version, processor or mode, or not expected here */
  WHERRY_LINK = 10,           /* imports that nothing provides */
  WHERRY_NO_EXPORT = 11,      /* no function of that name */
  WHERRY_VALUE = 12,          /* bytes that are no value of the type that is wanted: as arguments the instance goes on, unless it has
                                 `async` functions; as the result of a callback it has ended */
  WHERRY_BUSY = 13,           /* the instance runs a call */
  WHERRY_CLOSED = 14,         /* the instance has ended, or the resource was released */
  WHERRY_FORKED = 15,         /* the instance was made before the process forked */
  WHERRY_TRAP = 16,           /* the guest failed; it has ended, as with all that follow up to WHERRY_INTERRUPTED */
  WHERRY_STACK = 17,
  WHERRY_TIME = 18,
  WHERRY_FUEL = 19,
  WHERRY_OUTPUT = 20,
  WHERRY_MEMORY = 21,
  WHERRY_EXIT = 22,           /* the guest called exit; see wherry_error_code */
  WHERRY_INTERRUPTED = 23,    /* it was cancelled */
  WHERRY_USAGE = 24,          /* an argument that makes no sense */
  WHERRY_GRANT = 25,          /* what is to be granted does not exist here */
  WHERRY_INTERFACE = 26,      /* an interface that is wrong */
  WHERRY_HOST = 27,           /* a callback failed; see wherry_error_code */
  WHERRY_INTERNAL = 39,       /* a fault of the library */
  WHERRY_WRONG_HANDLE = 40,   /* released, of another kind, or no handle */
  WHERRY_WRONG_THREAD = 41,   /* a callback is answered on its own thread */
  WHERRY_TOO_SMALL = 42       /* the buffer is too small; the size that is needed was written */
};

typedef struct wherry_context wherry_context;     /* where compiled code and packages are */
typedef struct wherry_component wherry_component; /* compiled code, for any number of instances */
typedef struct wherry_policy wherry_policy;       /* what a guest may reach and use up */
typedef struct wherry_imports wherry_imports;     /* functions that the caller provides */
typedef struct wherry_instance wherry_instance;   /* one sandbox */
typedef struct wherry_function wherry_function;   /* a function in it */
typedef struct wherry_caller wherry_caller;       /* one call out of it, while a callback runs */
typedef struct wherry_stream wherry_stream;       /* a stream or future, of a guest's or of the caller's */
typedef struct wherry_error wherry_error;         /* what went wrong, in words */

/* ---- Version ---- */

/* WHERRY_ABI_VERSION of the library, to be held against that of the header. */
uint32_t wherry_abi_version(void);

/* The version of Wherry, such as "0.1.0". Lent for ever. */
const char *wherry_version(void);

/* ---- Errors ---- */

/* An error object of the caller's own, for what it finds out before it asks the library: bindings have errors of one kind then. Gives
 * back `status`, or what is wrong with the words. `hint` may be NULL. */
wherry_status wherry_error_new(wherry_status status, const char *message, const char *hint, wherry_error **error);

/* The status that came with it; WHERRY_WRONG_HANDLE for what is no error object. */
wherry_status wherry_error_status(const wherry_error *error);

/* What the guest gave to `exit`, or what the callback returned; 0 for all others. */
int32_t wherry_error_code(const wherry_error *error);

/* What failed, on what and why. Lent until the object is released, as the next two are. */
const char *wherry_error_message(const wherry_error *error);

/* What to do about it, several things on a line each; or NULL. */
const char *wherry_error_hint(const wherry_error *error);

/* The guest's stack, innermost frame first, a line each; or NULL. */
const char *wherry_error_trace(const wherry_error *error);

wherry_status wherry_error_free(wherry_error *error);

/* ---- Context ---- */

/* Settings for loading. Without one (NULL), compiled code is kept in the user's cache, and packages come from the user's store. */
wherry_status wherry_context_new(wherry_context **out, wherry_error **error);

/* `cache`: the folder for compiled code, or `off`. `store`: the folder of the store. */
wherry_status wherry_context_set(wherry_context *context, const char *key, const char *value, wherry_error **error);

wherry_status wherry_context_free(wherry_context *context);

/* ---- Components ---- */

/* The file may hold compiled code (`wherry compile`), which is trusted: it runs outside the sandbox. */
#define WHERRY_LOAD_PRECOMPILED 1u

/* Loads a component or core module, in binary or text form. Takes as long as compiling does, unless the cache has it. */
wherry_status wherry_component_load_file(wherry_context *context, const char *path, uint32_t flags, wherry_component **out,
                                         wherry_error **error);

/* The same of bytes, which are copied; `name` is what messages call them. */
wherry_status wherry_component_load_bytes(wherry_context *context, const uint8_t *data, size_t length, const char *name,
                                          uint32_t flags, wherry_component **out, wherry_error **error);

/* The main component of a package of the store: "acme/thumbs", "acme/thumbs@1.2", a label or a digest after the "@". Of what the
 * package asks for nothing is granted, and packages that it uses are not put together with it. */
wherry_status wherry_component_load_package(wherry_context *context, const char *reference, wherry_component **out,
                                            wherry_error **error);

/* The interface: its imports, exports and types, as JSON (docs/embedding.md says how to read it). Lent until the component is
 * released. Compiled code has
 * none, and gives the status WHERRY_PRECOMPILED. */
wherry_status wherry_component_interface(wherry_component *component, const char **json, wherry_error **error);

/* All that `wherry inspect --format json` tells. Lent as above. */
wherry_status wherry_component_inspect(wherry_component *component, const char **json, wherry_error **error);

/* SHA-256 of the source, in hexadecimal. Lent as above. */
wherry_status wherry_component_digest(wherry_component *component, const char **digest, wherry_error **error);

wherry_status wherry_component_free(wherry_component *component);

/* ---- Policy and limits ---- */

/* Nothing is granted, and the limits are those of a program with other work: 512 MiB, 30 seconds for each call. */
wherry_status wherry_policy_new(wherry_policy **out, wherry_error **error);

/* One grant or limit, by the name of its flag without dashes: ("dir", "data::/in:ro"), ("memory", "64MiB"), ("timeout", "5s"),
 * ("fuel", "1000000"), ("deterministic", "true"). Those that are lists add up. What is refused changes nothing. */
wherry_status wherry_policy_set(wherry_policy *policy, const char *name, const char *value, wherry_error **error);

/* The same for the text of a policy file. Relative paths in it start at `folder`, or at the current folder for NULL. */
wherry_status wherry_policy_read(wherry_policy *policy, const char *text, const char *folder, wherry_error **error);

wherry_status wherry_policy_free(wherry_policy *policy);

/* ---- Imports ---- */

/* A function of the caller's. `arguments` is one encoded tuple, lent until the callback returns. The result goes to
 * `wherry_caller_return`; a function without a result needs none. A function whose type is `result` returns that: its error
 * case is a value and no failure. Returns 0, or anything else for a failure, which ends the guest with WHERRY_HOST. A result
 * that is no value of its type ends it too, with WHERRY_VALUE.
 * Runs on the thread that called into the instance, and may call any function of this header but those that the instance
 * refuses in a call. */
typedef int32_t (*wherry_callback)(void *context, const uint8_t *arguments, size_t length, wherry_caller *caller);

/* A guest dropped a resource of the caller's which it owned, or went with it. Runs on a thread that is in a call on the instance
 * or releases it. */
typedef void (*wherry_destructor)(void *context, uint64_t resource);

/* Nothing uses the context any more. Runs on the thread that released what used it last. */
typedef void (*wherry_destroy)(void *context);

/* A table of functions, for any number of instances. What is added later is seen by instances that are made later. */
wherry_status wherry_imports_new(wherry_imports **out, wherry_error **error);

/* Provides a function, by the name of its interface (NULL for one of the world itself) and its own, as the interface has them.
 * `context` goes to each call, from as many threads at once as there are instances in calls. `destroy` (or NULL) is called once in the end,
 * even if this fails. */
wherry_status wherry_imports_function(wherry_imports *imports, const char *interface_name, const char *name,
                                      wherry_callback function, void *context, wherry_destroy destroy, wherry_error **error);

/* Says what ends resources of a type that the component imports. The numbers are the caller's: a pointer, an index. */
wherry_status wherry_imports_resource(wherry_imports *imports, const char *interface_name, const char *name,
                                      wherry_destructor destructor, void *context, wherry_destroy destroy,
                                      wherry_error **error);

/* Instances keep what they use of it. */
wherry_status wherry_imports_free(wherry_imports *imports);

/* ---- In a callback, on its thread, until it returns ---- */

/* The encoded result, which is copied. The last one counts. */
wherry_status wherry_caller_return(wherry_caller *caller, const uint8_t *value, size_t length, wherry_error **error);

/* Room for the encoded result, to be filled before the callback returns. */
wherry_status wherry_caller_reserve(wherry_caller *caller, size_t length, uint8_t **out, wherry_error **error);

/* What failed, for the message of WHERRY_HOST. The call fails whatever the callback returns then. */
wherry_status wherry_caller_fail(wherry_caller *caller, const char *message);

/* The instance, for resources that came with the call; NULL while it is being made, and on another thread. */
wherry_instance *wherry_caller_instance(wherry_caller *caller);

/* There is nothing yet: for a `wherry_source` alone, which is asked again after `wherry_stream_ready`; WHERRY_USAGE elsewhere. */
wherry_status wherry_caller_later(wherry_caller *caller);

/* ---- Streams and futures ---- */

/* Fills a stream or future of the caller's when the guest reads it. The next elements, about `most` of them and at least one, go
 * to `wherry_caller_return` as one encoded list: a list<u8> for stream<u8>, and for a stream without a type a u32 that counts. A future
 * takes its value by itself, and a u32 of 1 where it has no type. No bytes are the end of a stream. Returns 0, or anything else for a
 * failure, which ends the guest with WHERRY_HOST. Runs on the thread that runs the guest, as callbacks do. */
typedef int32_t (*wherry_source)(void *context, size_t most, wherry_caller *caller);

/* A stream or future for a guest: its handle is the number of the encoded value, in arguments or in the result of a callback. It is
 * given away once, whatever comes of the call; the handle is released all the same. `destroy` (or NULL) is called once, when the guest
 * wants no more of it or with the handle of a stream that was never given, and even if this fails. */
wherry_status wherry_stream_new(wherry_source source, void *context, wherry_destroy destroy, wherry_stream **out,
                                wherry_error **error);

/* Has a source be asked again that had nothing yet. From any thread. */
wherry_status wherry_stream_ready(wherry_stream *stream);

/* Reads a stream or future that a guest gave, whose handle is the number of the encoded value. The guest runs on this thread until
 * it has written something, under the limits of a call; what ends it is the status here, after all that it wrote before. The encoded batch
 * has the forms of `wherry_source`, and no bytes at the end; it is lent until the next read of this stream or its release. The
 * guest writes no more than is read. In a callback of the instance it is refused: the stream is read after the call. [locks] */
wherry_status wherry_stream_read(wherry_stream *stream, const uint8_t **batch, size_t *length, wherry_error **error);

/* Releases the handle. A guest whose stream it is hears of that when it runs on. */
wherry_status wherry_stream_free(wherry_stream *stream);

/* ---- Instances ---- */

/* A fresh sandbox. `policy` may be NULL, which grants nothing; `imports` where the component wants none but WASI. Both are read and
 * not kept. Runs the start functions of the component, within its limits. */
wherry_status wherry_instance_new(wherry_component *component, wherry_policy *policy, wherry_imports *imports,
                                  wherry_instance **out, wherry_error **error);

/* Ends the call that runs, within some ten milliseconds, and the instance with it: WHERRY_INTERRUPTED, for later calls too. A callback is not
 * interrupted; the guest ends when that returns. */
wherry_status wherry_instance_cancel(wherry_instance *instance);

/* Bytes of memory and tables in use. [locks] */
wherry_status wherry_instance_memory(wherry_instance *instance, uint64_t *out, wherry_error **error);

/* Fuel that is left, where the policy gave some. [locks] */
wherry_status wherry_instance_fuel(wherry_instance *instance, uint64_t *out, wherry_error **error);

/* Ends it, with all its resources; where a call runs, when that is over, which then fails with WHERRY_CLOSED. */
wherry_status wherry_instance_free(wherry_instance *instance);

/* Drops a resource of the guest's which the caller owns, and runs its destructor; while a call runs, before the next one. */
wherry_status wherry_resource_drop(wherry_instance *instance, uint64_t resource, wherry_error **error);

/* ---- Functions ---- */

/* Finds a function by the name of its interface (NULL for one of the world itself) and its own, such as "[method]counter.next". It is
 * of no use after its instance. [locks] */
wherry_status wherry_function_find(wherry_instance *instance, const char *interface_name, const char *name,
                                   wherry_function **out, wherry_error **error);

/* Calls it with an encoded tuple. The encoded result is lent until the next call on the instance or its release; it has no
 * bytes for a function without a result. The error case of a `result` is a value: WHERRY_OK. A resource that goes in as `own` is
 * given away whatever comes of the call; where that was refused, it ends with the instance. [locks] */
wherry_status wherry_function_call(wherry_function *function, const uint8_t *arguments, size_t length,
                                   const uint8_t **result, size_t *result_length, wherry_error **error);

/* The same into the caller's own buffer. With WHERRY_TOO_SMALL, `result_length` is what is needed, the call was made, and
 * wherry_function_result has its result. [locks] */
wherry_status wherry_function_call_into(wherry_function *function, const uint8_t *arguments, size_t length, uint8_t *buffer,
                                        size_t capacity, size_t *result_length, wherry_error **error);

/* The result of the last call on the instance, lent as above. [locks] */
wherry_status wherry_function_result(wherry_function *function, const uint8_t **result, size_t *result_length,
                                     wherry_error **error);

wherry_status wherry_function_free(wherry_function *function);

#ifdef __cplusplus
}
#endif

#endif
