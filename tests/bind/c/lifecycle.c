/*
 * One instance from its opening to what is left after it, and everything that a program may get wrong on the way: each check says
 * what it saw and the program ends well only if all were as they should be.
 */
#include <buckets.h>
#include <callback.h>
#include <counter.h>
#include <late.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int wrong;

static void check(const char *what, int holds) {
  if (!holds) {
    printf("not so: %s\n", what);
    wrong = 1;
  }
}

/* A call that is refused with a status, in words that say something. */
static void refused(const char *what, wherry_status expected, wherry_status status, wherry_error **error, const char *words) {
  const char *message = wherry_error_message(*error);
  if (status != expected || strstr(message, words) == NULL) {
    printf("not so: %s: %d %s\n", what, status, message);
    wrong = 1;
  }
  wherry_error_free(*error);
}

/* ---- Callbacks ---- */

struct answering {
  int status, pause, calls;
  callback_instance *instance;
  callback_caller *seen;
};

static int32_t answer(void *context, callback_caller *caller, uint32_t x, uint32_t *out) {
  struct answering *how = context;
  how->calls++;
  how->seen = caller;
  check("a callback knows its instance", callback_caller_instance(caller) == how->instance);
  if (how->pause != 0) {
    struct timespec time = {0, how->pause * 1000000L};
    nanosleep(&time, NULL);
  }
  *out = x + 1;
  return how->status;
}

static int32_t failing(void *context, callback_caller *caller, uint32_t x, uint32_t *out) {
  uint32_t again;
  wherry_error *error;
  struct answering *how = context;
  wherry_status status = callback_call(how->instance, x, &again, &error);
  refused("a callback that calls its instance", WHERRY_BUSY, status, &error, "in a call already");
  (void)out;
  check("memory is lent", memset(callback_lend(caller, 100000), 1, 100000) != NULL);
  callback_fail(caller, "no more today");
  return 7;
}

struct elsewhere {
  callback_caller *caller;
  callback_instance *instance;
};

static void *on_another_thread(void *context) {
  struct elsewhere *where = context;
  uint32_t out;
  wherry_error *error;
  check("another thread cannot fail a callback", callback_fail(where->caller, "from elsewhere") == WHERRY_WRONG_THREAD);
  check("another thread is lent nothing", callback_lend(where->caller, 8) == NULL);
  refused("another thread's call", WHERRY_BUSY, callback_call(where->instance, 1, &out, &error), &error, "in a call already");
  return NULL;
}

static int32_t threaded(void *context, callback_caller *caller, uint32_t x, uint32_t *out) {
  pthread_t thread;
  struct answering *how = context;
  struct elsewhere where = {caller, how->instance};
  pthread_create(&thread, NULL, on_another_thread, &where);
  pthread_join(thread, NULL);
  *out = x;
  return 0;
}

static int32_t closing(void *context, callback_caller *caller, uint32_t x, uint32_t *out) {
  struct answering *how = context;
  check("a callback closes its instance", callback_close(how->instance) == WHERRY_OK);
  check("it is closed at once", callback_caller_instance(caller) == NULL && callback_close(how->instance) == WHERRY_CLOSED);
  check("and memory is lent still", callback_lend(caller, 10) != NULL);
  *out = x;
  return 0;
}

static callback_instance *opened(struct answering *how, int32_t (*host)(void *, callback_caller *, uint32_t, uint32_t *),
                                 const char *timeout) {
  callback_options options = {NULL, timeout, NULL, NULL, NULL};
  callback_imports imports = {how, {host}};
  wherry_error *error;
  memset(how, 0, sizeof *how);
  if (callback_open(&options, &imports, &how->instance, &error) != WHERRY_OK) {
    printf("cannot open: %s\n", wherry_error_message(error));
    exit(1);
  }
  check("no error", error == NULL);
  return how->instance;
}

static void callbacks(void) {
  struct answering how;
  uint32_t out = 0;
  wherry_error *error;
  callback_imports none = {NULL, {NULL}};
  callback_instance *instance = opened(&how, answer, NULL);
  check("a call", callback_call(instance, 41, &out, &error) == WHERRY_OK && out == 42 && error == NULL);
  check("without room for an error", callback_call(instance, 1, &out, NULL) == WHERRY_OK && out == 2);
  check("after it nothing is lent", callback_lend(how.seen, 8) == NULL && callback_fail(how.seen, "late") == WHERRY_CLOSED);
  refused("no room for the result", WHERRY_USAGE, callback_call(instance, 1, NULL, &error), &error, "`out` is NULL");
  how.status = 9;
  out = 5;
  refused("an error return", WHERRY_HOST, callback_call(instance, 1, &out, &error), &error, "returned 9");
  check("what failed writes nothing", out == 5);
  check("the guest has ended", callback_call(instance, 1, &out, NULL) == WHERRY_CLOSED);
  callback_close(instance);

  instance = opened(&how, failing, NULL);
  refused("a callback that fails", WHERRY_HOST, callback_call(instance, 1, &out, &error), &error, "no more today");
  callback_close(instance);

  instance = opened(&how, threaded, NULL);
  check("a callback with other threads", callback_call(instance, 3, &out, NULL) == WHERRY_OK && out == 3);
  callback_close(instance);

  instance = opened(&how, answer, NULL);
  refused("a trap", WHERRY_TRAP, callback_call_then_trap(instance, 1, &out, &error), &error, "unreachable");
  callback_close(instance);

  instance = opened(&how, answer, NULL);
  check("a call is cancelled", callback_cancel(instance) == WHERRY_OK);
  refused("after that", WHERRY_INTERRUPTED, callback_call(instance, 1, &out, &error), &error, "cancelled");
  callback_close(instance);

  instance = opened(&how, closing, NULL);
  refused("a call whose instance is closed in it", WHERRY_CLOSED, callback_call(instance, 1, &out, &error), &error, "released");
  refused("a call after it", WHERRY_CLOSED, callback_call(instance, 1, &out, &error), &error, "closed");

  refused("a table with a hole", WHERRY_USAGE, callback_open(NULL, &none, &instance, &error), &error, "no function for `host`");
  refused("no table", WHERRY_USAGE, callback_open(NULL, NULL, &instance, &error), &error, "no table of imports");
}

/* ---- Threads ---- */

static callback_instance *shared;

/* Opens and closes instances of its own, and calls one that all threads have, which refuses most of them. */
static void *busy(void *context) {
  for (int i = 0; i < 300; i++) {
    struct answering how;
    uint32_t out;
    wherry_status status = callback_call(shared, 1, &out, NULL);
    callback_instance *own = opened(&how, answer, NULL);
    check("the shared instance answers or is busy", status == WHERRY_OK || status == WHERRY_BUSY);
    check("one of its own answers", callback_call(own, 1, &out, NULL) == WHERRY_OK && out == 2);
    callback_close(own);
    check("a closed one is told", callback_call(own, 1, &out, NULL) == WHERRY_CLOSED);
  }
  return context;
}

static void threads(void) {
  struct answering how;
  pthread_t running[4];
  shared = opened(&how, answer, NULL);
  for (int i = 0; i < 4; i++)
    pthread_create(&running[i], NULL, busy, NULL);
  for (int i = 0; i < 4; i++)
    pthread_join(running[i], NULL);
  callback_close(shared);
}

/* ---- Limits ---- */

static int32_t slow(void *context, late_caller *caller, uint32_t x, uint32_t *out) {
  struct timespec time = {0, 200000000L};
  (void)context;
  (void)caller;
  nanosleep(&time, NULL);
  *out = x;
  return 0;
}

static void *cancelling(void *context) {
  struct timespec time = {0, 50000000L};
  nanosleep(&time, NULL);
  late_cancel(context);
  return NULL;
}

static int32_t at_once(void *context, late_caller *caller, uint32_t x, uint32_t *out) {
  (void)context;
  (void)caller;
  *out = x;
  return 0;
}

static void limits(void) {
  late_options options = {NULL, "100ms", NULL, NULL, NULL};
  late_imports imports = {NULL, {slow}};
  late_instance *instance;
  uint32_t out;
  wherry_error *error;
  pthread_t thread;
  late_open(&options, &imports, &instance, &error);
  refused("time that is up in a callback", WHERRY_TIME, late_ask(instance, 1, &out, &error), &error, "time limit");
  late_close(instance);

  imports.world.host = at_once;
  options.timeout = NULL;
  options.fuel = "1000000";
  late_open(&options, &imports, &instance, &error);
  refused("fuel that is used up", WHERRY_FUEL, late_ask(instance, 1, &out, &error), &error, "fuel");
  late_close(instance);

  late_open(NULL, &imports, &instance, &error);
  pthread_create(&thread, NULL, cancelling, instance);
  refused("a call that is cancelled", WHERRY_INTERRUPTED, late_ask(instance, 1, &out, &error), &error, "cancelled");
  pthread_join(thread, NULL);
  late_close(instance);
}

/* ---- Resources of the guest ---- */

static void resources(void) {
  counter_instance *instance, *other;
  counter_counter one, two, sum, foreign;
  counter_list_counter several;
  uint32_t value = 0;
  wherry_error *error;
  counter_open(NULL, &instance, &error);
  counter_open(NULL, &other, &error);
  check("a constructor", counter_counter_new(instance, 40, &one, &error) == WHERRY_OK);
  counter_counter_new(instance, 2, &two, &error);
  check("a method", counter_counter_increment(instance, one, 0, &value, &error) == WHERRY_OK && value == 40);
  check("a static function", counter_counter_merge(instance, one, two, &sum, &error) == WHERRY_OK);
  check("a borrow", counter_peek(instance, sum, &value, &error) == WHERRY_OK && value == 42);
  refused("one that was given away", WHERRY_CLOSED, counter_counter_value(instance, one, &value, &error), &error, "given away");
  counter_counter_new(other, 1, &foreign, &error);
  refused("one of another instance", WHERRY_VALUE, counter_peek(instance, foreign, &value, &error), &error, "of this instance");
  check("a release", counter_counter_close(instance, sum, &error) == WHERRY_OK);
  refused("a second release", WHERRY_CLOSED, counter_counter_close(instance, sum, &error), &error, "released");
  check("several", counter_several(instance, &several, &error) == WHERRY_OK && several.length == 3);
  for (size_t i = 0; i < 3; i++)
    counter_counter_close(instance, several.data[i], NULL);
  check("none are left", counter_live(instance, &value, &error) == WHERRY_OK && value == 0);
  check("a close", counter_close(instance) == WHERRY_OK);
  check("a second close", counter_close(instance) == WHERRY_CLOSED);
  refused("a call after it", WHERRY_CLOSED, counter_live(instance, &value, &error), &error, "closed");
  refused("a release after it", WHERRY_CLOSED, counter_counter_close(instance, one, &error), &error, "closed");
  refused("no instance", WHERRY_WRONG_HANDLE, counter_live(NULL, &value, &error), &error, "NULL");
  check("no instance to close", counter_close(NULL) == WHERRY_OK);
  check("the other goes on", counter_live(other, &value, &error) == WHERRY_OK && value == 1);
  counter_close(other);
}

/* ---- Resources of the host ---- */

struct buckets_bucket {
  uint32_t total;
  char name[16];
};

static int ended;

static int32_t bucket_new(void *context, buckets_caller *caller, buckets_string name, buckets_bucket **out) {
  (void)context;
  if (name.length > 15)
    return buckets_fail(caller, "the name is too long") == WHERRY_OK;
  *out = calloc(1, sizeof **out);
  memcpy((*out)->name, name.data, name.length);
  return 0;
}

static int32_t bucket_add(void *context, buckets_caller *caller, buckets_bucket *self, uint32_t by, uint32_t *out) {
  (void)context;
  (void)caller;
  *out = self->total += by;
  return 0;
}

static int32_t bucket_shared(void *context, buckets_caller *caller, buckets_bucket **out) {
  *out = context;
  (void)caller;
  return 0;
}

static int32_t total(void *context, buckets_caller *caller, buckets_bucket *of, uint32_t *out) {
  (void)caller;
  *out = of->total + (of == context ? 0 : 100);
  return 0;
}

static void bucket_close(void *context, buckets_bucket *resource) {
  ended++;
  if (resource != context)
    free(resource);
}

static void host_resources(void) {
  buckets_bucket shared = {7, "shared"}, *back = NULL;
  buckets_imports imports = {&shared, {bucket_new, bucket_add, bucket_shared, total, bucket_close}};
  buckets_instance *instance;
  uint32_t value = 0;
  wherry_error *error;
  check("opens", buckets_open(NULL, &imports, &instance, &error) == WHERRY_OK);
  check("one of its own", buckets_use_own(instance, 5, &value, &error) == WHERRY_OK && value == 106 && ended == 1);
  check("a shared one", buckets_use_shared(instance, &value, &error) == WHERRY_OK && value == 8 && ended == 2);
  check("a borrow", buckets_borrowed(instance, &shared, &value, &error) == WHERRY_OK && value == 18 && ended == 2);
  check("there and back", buckets_give_back(instance, &shared, &back, &error) == WHERRY_OK && back == &shared && ended == 2);
  buckets_close(instance);
  check("nothing ends twice", ended == 2);
}

/* ---- The component and the library ---- */

static void versions(const char *path) {
  wherry_component *component;
  counter_instance *instance;
  wherry_error *error;
  wherry_policy *policy;
  counter_options options = {NULL, NULL, NULL, NULL, NULL};
  check("loads", wherry_component_load_file(NULL, path, 0, &component, &error) == WHERRY_OK);
  options.component = component;
  refused("another component", WHERRY_LINK, counter_open(&options, &instance, &error), &error, "with the digest");
  wherry_component_free(component);
  options.component = NULL;
  options.memory = "a lot";
  refused("a limit that is none", WHERRY_USAGE, counter_open(&options, &instance, &error), &error, "not a size");
  wherry_policy_new(&policy, NULL);
  options.policy = policy;
  refused("a limit beside a policy", WHERRY_USAGE, counter_open(&options, &instance, &error), &error, "beside");
  options.memory = NULL;
  check("a policy", counter_open(&options, &instance, &error) == WHERRY_OK);
  counter_close(instance);
  wherry_policy_free(policy);
}

int main(int argc, char **argv) {
  if (argc != 2)
    return 2;
  callbacks();
  threads();
  limits();
  resources();
  host_resources();
  versions(argv[1]);
  return wrong;
}
