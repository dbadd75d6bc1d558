/*
 * What a caller may do wrong: each is an error, and the process lives. Arguments: the components `callback` and `spinner`, and an echo
 * of text; one more leaves out the fork.
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "checking.h"

enum behaviour { RETURN_STATUS, SAY_WHY, WRONG_VALUE, NO_VALUE, OTHER_THREAD, CALL_AGAIN, FREE_INSTANCE, KEEP_CALLER, SLEEP, WELL };

struct host {
  enum behaviour behaviour;
  wherry_instance *instance;
  wherry_function *function;
  wherry_caller *kept;
  wherry_status seen;
};

static void milliseconds(long count) {
  struct timespec time = {0, 0};
  time.tv_nsec = count * 1000000;
  nanosleep(&time, NULL);
}

static int32_t well(wherry_caller *caller) {
  uint8_t bytes[5];
  return wherry_caller_return(caller, bytes, (size_t)(put_u32(bytes, 0x07, 1) - bytes), NULL);
}

static void *from_another_thread(void *data) {
  struct host *host = (struct host *)data;
  wherry_error *error = NULL;
  uint8_t value[5], *room;
  put_u32(value, 0x07, 1);
  EXPECT(WHERRY_WRONG_THREAD, wherry_caller_return(host->kept, value, sizeof value, &error));
  EXPECT(WHERRY_WRONG_THREAD, wherry_caller_reserve(host->kept, 5, &room, &error));
  CHECK(wherry_caller_fail(host->kept, "no") == WHERRY_WRONG_THREAD);
  CHECK(wherry_caller_instance(host->kept) == NULL);
  return NULL;
}

static int32_t behave(void *context, const uint8_t *arguments, size_t length, wherry_caller *caller) {
  struct host *host = (struct host *)context;
  wherry_error *error = NULL;
  pthread_t thread;
  CHECK(length == 10 && arguments[0] == 0x14);
  switch (host->behaviour) {
  case RETURN_STATUS:
    return 7;
  case SAY_WHY:
    wherry_caller_fail(caller, "the disk is full");
    return 0;
  case WRONG_VALUE:
    return wherry_caller_return(caller, (const uint8_t *)"\x10\xff\xff\xff\xff", 5, NULL);
  case NO_VALUE:
    return 0;
  case OTHER_THREAD:
    host->kept = caller;
    CHECK(pthread_create(&thread, NULL, from_another_thread, host) == 0 && pthread_join(thread, NULL) == 0);
    return well(caller);
  case CALL_AGAIN:
    CHECK(wherry_caller_instance(caller) == host->instance);
    host->seen = call(host->function, one_u32(1), &error).status;
    EXPECT(WHERRY_BUSY, host->seen);
    return well(caller);
  case FREE_INSTANCE:
    CHECK(wherry_instance_free(host->instance) == WHERRY_OK);
    return well(caller);
  case KEEP_CALLER:
    host->kept = caller;
    return well(caller);
  case SLEEP:
    milliseconds(300);
    return well(caller);
  case WELL:
    CHECK(wherry_caller_later(caller) == WHERRY_USAGE);
    return well(caller);
  }
  return 1;
}

static struct host host;

/* Calls a fresh instance whose host function behaves like this. */
static wherry_status tried(wherry_component *component, enum behaviour behaviour, wherry_policy *policy, wherry_error **error) {
  wherry_error *none_yet = NULL;
  wherry_imports *imports = NULL;
  wherry_status status;
  expect(__LINE__, WHERRY_OK, wherry_imports_new(&imports, &none_yet), &none_yet);
  expect(__LINE__, WHERRY_OK, wherry_imports_function(imports, NULL, "host", behave, &host, NULL, &none_yet), &none_yet);
  host.behaviour = behaviour;
  host.instance = made(component, policy, imports);
  host.function = found(host.instance, NULL, "call");
  status = call(host.function, one_u32(1), error).status;
  /* A guest that a callback failed has ended. */
  if (status == WHERRY_HOST || status == WHERRY_VALUE)
    expect(__LINE__, WHERRY_CLOSED, call(host.function, one_u32(1), &none_yet).status, &none_yet);
  wherry_function_free(host.function);
  wherry_instance_free(host.instance);
  wherry_imports_free(imports);
  return status;
}

static void callbacks(wherry_component *component) {
  wherry_error *error = NULL;
  wherry_policy *policy = NULL;
  CHECK(tried(component, RETURN_STATUS, NULL, &error) == WHERRY_HOST);
  CHECK(wherry_error_code(error) == 7 && wherry_error_status(error) == WHERRY_HOST);
  CHECK(strstr(wherry_error_message(error), "`host` failed and returned 7") != NULL);
  EXPECT(WHERRY_OK, wherry_error_free(error));
  error = NULL;
  CHECK(tried(component, SAY_WHY, NULL, &error) == WHERRY_HOST);
  CHECK(strcmp(wherry_error_message(error), "the host function `host` failed: the disk is full") == 0);
  EXPECT(WHERRY_OK, WHERRY_OK);
  EXPECT(WHERRY_VALUE, tried(component, WRONG_VALUE, NULL, &error));
  EXPECT(WHERRY_VALUE, tried(component, NO_VALUE, NULL, &error));
  EXPECT(WHERRY_OK, tried(component, OTHER_THREAD, NULL, &error));
  EXPECT(WHERRY_OK, tried(component, CALL_AGAIN, NULL, &error));
  CHECK(host.seen == WHERRY_BUSY);
  EXPECT(WHERRY_CLOSED, tried(component, FREE_INSTANCE, NULL, &error));
  EXPECT(WHERRY_OK, tried(component, KEEP_CALLER, NULL, &error));
  EXPECT(WHERRY_WRONG_HANDLE, wherry_caller_return(host.kept, NULL, 0, &error));
  /* Time is up while the host has the guest. */
  EXPECT(WHERRY_OK, wherry_policy_new(&policy, &error));
  EXPECT(WHERRY_OK, wherry_policy_set(policy, "timeout", "100ms", &error));
  EXPECT(WHERRY_TIME, tried(component, SLEEP, policy, &error));
  EXPECT(WHERRY_OK, wherry_policy_set(policy, "timeout", "10s", &error));
  EXPECT(WHERRY_OK, tried(component, SLEEP, policy, &error));
  wherry_policy_free(policy);
  EXPECT(WHERRY_OK, tried(component, WELL, NULL, &error));
}

static void handles(wherry_component *component, const char *path) {
  wherry_error *error = NULL;
  wherry_component *gone = NULL, *out = NULL;
  wherry_policy *policy = NULL;
  wherry_instance *instance = NULL;
  wherry_function *function = NULL;
  const uint8_t *result;
  size_t length;
  uint8_t small[3];
  /* None, no handle, released, released twice, of another kind. */
  EXPECT(WHERRY_WRONG_HANDLE, wherry_instance_new(NULL, NULL, NULL, &instance, &error));
  EXPECT(WHERRY_WRONG_HANDLE, wherry_instance_new((wherry_component *)0x1234, NULL, NULL, &instance, &error));
  EXPECT(WHERRY_WRONG_HANDLE, wherry_instance_new((wherry_component *)&error, NULL, NULL, &instance, &error));
  EXPECT(WHERRY_OK, wherry_component_load_file(NULL, path, 0, &gone, &error));
  EXPECT(WHERRY_OK, wherry_component_free(gone));
  EXPECT(WHERRY_WRONG_HANDLE, wherry_component_free(gone));
  EXPECT(WHERRY_WRONG_HANDLE, wherry_instance_new(gone, NULL, NULL, &instance, &error));
  EXPECT(WHERRY_OK, wherry_policy_new(&policy, &error));
  EXPECT(WHERRY_WRONG_HANDLE, wherry_instance_new((wherry_component *)policy, NULL, NULL, &instance, &error));
  EXPECT(WHERRY_WRONG_HANDLE, wherry_instance_new(component, (wherry_policy *)component, NULL, &instance, &error));
  CHECK(wherry_error_status((wherry_error *)policy) == WHERRY_WRONG_HANDLE);
  CHECK(wherry_error_free(NULL) == WHERRY_OK && wherry_component_free(NULL) == WHERRY_OK);
  /* Places for results and texts that are not there. */
  EXPECT(WHERRY_USAGE, wherry_component_load_file(NULL, path, 0, NULL, &error));
  EXPECT(WHERRY_USAGE, wherry_component_load_file(NULL, NULL, 0, &out, &error));
  EXPECT(WHERRY_USAGE, wherry_component_load_file(NULL, path, 0xff00, &out, &error));
  EXPECT(WHERRY_USAGE, wherry_component_load_file(NULL, "\xff\xfe", 0, &out, &error));
  EXPECT(WHERRY_NOT_FOUND, wherry_component_load_file(NULL, "/nowhere/at/all.wasm", 0, &out, &error));
  EXPECT(WHERRY_NOT_WEB_ASSEMBLY, wherry_component_load_bytes(NULL, (const uint8_t *)"hello!!!", 8, "bytes", 0, &out, &error));
  EXPECT(WHERRY_USAGE, wherry_policy_set(policy, "no-such-limit", "1", &error));
  EXPECT(WHERRY_USAGE, wherry_policy_set(policy, "memory", "lots", &error));
  EXPECT(WHERRY_OK, wherry_policy_read(policy, "memory = \"64MiB\"\n", NULL, &error));
  EXPECT(WHERRY_USAGE, wherry_policy_read(policy, "memory = ", NULL, &error));
  CHECK(out == NULL && instance == NULL);
  /* A function outlives its instance as a handle, and says so. */
  instance = made(component, policy, NULL);
  EXPECT(WHERRY_NO_EXPORT, wherry_function_find(instance, NULL, "nothing", &function, &error));
  EXPECT(WHERRY_NO_EXPORT, wherry_function_find(instance, "a:b/c", "echo", &function, &error));
  function = found(instance, NULL, "echo");
  EXPECT(WHERRY_USAGE, wherry_function_call(function, NULL, 10, &result, &length, &error));
  EXPECT(WHERRY_OK, wherry_function_call_into(function, one_text("").bytes, one_text("").length, NULL, 0, &length, NULL) == WHERRY_TOO_SMALL ? WHERRY_OK : WHERRY_INTERNAL);
  CHECK(length == 5);
  EXPECT(WHERRY_TOO_SMALL, wherry_function_call_into(function, one_text("abc").bytes, one_text("abc").length, small, sizeof small, &length, &error));
  CHECK(length == 8);
  EXPECT(WHERRY_OK, wherry_function_result(function, &result, &length, &error));
  CHECK(length == 8 && memcmp(result + 5, "abc", 3) == 0);
  EXPECT(WHERRY_OK, wherry_instance_free(instance));
  EXPECT(WHERRY_CLOSED, call(function, one_text("abc"), &error).status);
  EXPECT(WHERRY_OK, wherry_function_free(function));
  EXPECT(WHERRY_WRONG_HANDLE, call(function, one_text("abc"), &error).status);
  wherry_policy_free(policy);
}

static void *cancelling(void *instance) {
  milliseconds(50);
  CHECK(wherry_instance_cancel((wherry_instance *)instance) == WHERRY_OK);
  return NULL;
}

static void limits(wherry_component *spinner) {
  wherry_error *error = NULL;
  wherry_policy *policy = NULL;
  wherry_instance *instance = made(spinner, NULL, NULL);
  wherry_function *forever = found(instance, NULL, "forever");
  pthread_t thread;
  uint64_t fuel = 0;
  /* Ended from another thread; it stays so. */
  CHECK(pthread_create(&thread, NULL, cancelling, instance) == 0);
  EXPECT(WHERRY_INTERRUPTED, call(forever, none(), &error).status);
  CHECK(pthread_join(thread, NULL) == 0);
  EXPECT(WHERRY_INTERRUPTED, call(forever, none(), &error).status);
  wherry_function_free(forever);
  wherry_instance_free(instance);
  /* Ended by time, and the error says what to do. */
  EXPECT(WHERRY_OK, wherry_policy_new(&policy, &error));
  EXPECT(WHERRY_OK, wherry_policy_set(policy, "timeout", "50ms", &error));
  instance = made(spinner, policy, NULL);
  forever = found(instance, NULL, "forever");
  CHECK(call(forever, none(), &error).status == WHERRY_TIME);
  CHECK(strstr(wherry_error_hint(error), "wherry_policy_set(policy, \"timeout\"") != NULL);
  wherry_error_free(error);
  error = NULL;
  EXPECT(WHERRY_CLOSED, call(forever, none(), &error).status);
  wherry_function_free(forever);
  wherry_instance_free(instance);
  /* Ended by fuel. */
  EXPECT(WHERRY_OK, wherry_policy_set(policy, "timeout", "10s", &error));
  EXPECT(WHERRY_OK, wherry_policy_set(policy, "fuel", "100000", &error));
  instance = made(spinner, policy, NULL);
  forever = found(instance, NULL, "forever");
  EXPECT(WHERRY_OK, wherry_instance_fuel(instance, &fuel, &error));
  CHECK(fuel > 0 && fuel <= 100000);
  EXPECT(WHERRY_FUEL, call(forever, none(), &error).status);
  wherry_function_free(forever);
  wherry_instance_free(instance);
  wherry_policy_free(policy);
}

static void *on_a_small_stack(void *component) {
  wherry_error *error = NULL;
  wherry_instance *instance = NULL;
  wherry_policy *policy = NULL;
  wherry_function *echo;
  CHECK(wherry_instance_new((wherry_component *)component, NULL, NULL, &instance, &error) == WHERRY_USAGE);
  CHECK(strstr(wherry_error_hint(error), "pthread_attr_setstacksize") != NULL);
  wherry_error_free(error);
  error = NULL;
  EXPECT(WHERRY_OK, wherry_policy_new(&policy, &error));
  EXPECT(WHERRY_OK, wherry_policy_set(policy, "stack", "64KiB", &error));
  instance = made((wherry_component *)component, policy, NULL);
  echo = found(instance, NULL, "echo");
  EXPECT(WHERRY_OK, call(echo, one_text("abc"), &error).status);
  wherry_function_free(echo);
  wherry_instance_free(instance);
  wherry_policy_free(policy);
  return NULL;
}

static void small_stack(wherry_component *component) {
  pthread_attr_t attributes;
  pthread_t thread;
  CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, 512 << 10) == 0);
  CHECK(pthread_create(&thread, &attributes, on_a_small_stack, component) == 0 && pthread_join(thread, NULL) == 0);
  pthread_attr_destroy(&attributes);
}

static void forked(wherry_component *component) {
  wherry_error *error = NULL;
  wherry_instance *instance = made(component, NULL, NULL);
  wherry_function *echo = found(instance, NULL, "echo");
  int status = 0;
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    /* What was made before is of no use; what is made now is. */
    wherry_status before = call(echo, one_text("abc"), &error).status;
    wherry_instance *fresh = NULL;
    wherry_error_free(error);
    _exit(before == WHERRY_FORKED && wherry_instance_new(component, NULL, NULL, &fresh, NULL) == WHERRY_OK &&
                  call(found(fresh, NULL, "echo"), one_text("abc"), NULL).status == WHERRY_OK
              ? 0
              : 1);
  }
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT(WHERRY_OK, call(echo, one_text("abc"), &error).status);
  wherry_function_free(echo);
  wherry_instance_free(instance);
}

int main(int argc, char **argv) {
  wherry_component *callback, *spinner, *echo;
  CHECK(argc == 4 || argc == 5);
  callback = loaded(argv[1]);
  spinner = loaded(argv[2]);
  echo = loaded(argv[3]);
  {
    wherry_error *error = NULL;
    const char *json = NULL, *digest = NULL;
    EXPECT(WHERRY_OK, wherry_component_interface(callback, &json, &error));
    CHECK(strstr(json, "\"call-then-trap\"") != NULL && strstr(json, "\"host\"") != NULL);
    EXPECT(WHERRY_OK, wherry_component_inspect(callback, &json, &error));
    CHECK(strstr(json, "\"places\"") != NULL);
    EXPECT(WHERRY_OK, wherry_component_digest(callback, &digest, &error));
    CHECK(strlen(digest) == 64);
  }
  callbacks(callback);
  handles(echo, argv[3]);
  limits(spinner);
  small_stack(echo);
  /* Who watches for leaks would find all that the child leaves. */
  if (argc == 4)
    forked(echo);
  wherry_component_free(callback);
  wherry_component_free(spinner);
  wherry_component_free(echo);
  return 0;
}
