/*
 * Threads that share components, imports and, where told, an instance. Arguments: the components `relay` of a list of text and
 * `spinner`, how many threads, and how many calls each.
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include "checking.h"

#define MOST 64

static wherry_component *relay, *spinner;
static wherry_imports *imports;
static wherry_instance *shared;
static int calls;

static int32_t same(void *context, const uint8_t *arguments, size_t length, wherry_caller *caller) {
  (void)context;
  return wherry_caller_return(caller, arguments + 5, length - 5, NULL);
}

/* Instances of its own, of which each is used and released. */
static void *alone(void *unused) {
  struct arguments arguments = one_text("0123456789abcdef");
  (void)unused;
  for (int i = 0; i < calls; i++) {
    wherry_instance *instance = made(relay, NULL, imports);
    wherry_function *function = found(instance, NULL, "relay");
    for (int j = 0; j < 10; j++) {
      wherry_error *error = NULL;
      struct answer answer = call(function, arguments, &error);
      EXPECT(WHERRY_OK, answer.status);
      CHECK(answer.length == arguments.length - 5 && memcmp(answer.bytes, arguments.bytes + 5, answer.length) == 0);
    }
    CHECK(wherry_function_free(function) == WHERRY_OK && wherry_instance_free(instance) == WHERRY_OK);
  }
  return NULL;
}

/* One instance for all: each call runs alone, or is refused. */
static void *together(void *refused) {
  wherry_function *turns = NULL;
  while (turns == NULL)
    wherry_function_find(shared, NULL, "turns", &turns, NULL);
  for (int i = 0; i < calls; i++) {
    wherry_error *error = NULL;
    struct arguments arguments;
    struct answer answer;
    arguments.length = (size_t)(put_u64(put_u32(arguments.bytes, 0x14, 1), 0x09, 1000) - arguments.bytes);
    answer = call(turns, arguments, &error);
    if (answer.status == WHERRY_BUSY)
      ++*(int *)refused;
    else
      CHECK(answer.status == WHERRY_OK);
    wherry_error_free(error);
  }
  wherry_function_free(turns);
  return NULL;
}

/* Releases what others may use. */
static void *releasing(void *instance) {
  wherry_instance_free((wherry_instance *)instance);
  return NULL;
}

static void *until_gone(void *instance) {
  wherry_function *turns = NULL;
  wherry_error *error = NULL;
  struct arguments arguments;
  struct answer answer = {WHERRY_OK, NULL, 0};
  arguments.length = (size_t)(put_u64(put_u32(arguments.bytes, 0x14, 1), 0x09, 1000) - arguments.bytes);
  if (wherry_function_find((wherry_instance *)instance, NULL, "turns", &turns, NULL) != WHERRY_OK)
    return NULL;
  while (answer.status == WHERRY_OK) {
    answer = call(turns, arguments, &error);
    wherry_error_free(error);
  }
  CHECK(answer.status == WHERRY_CLOSED);
  wherry_function_free(turns);
  return NULL;
}

static void start(pthread_t *thread, void *(*work)(void *), void *data) {
  CHECK(pthread_create(thread, NULL, work, data) == 0);
}

int main(int argc, char **argv) {
  pthread_t threads[MOST];
  int refused[MOST] = {0}, count;
  CHECK(argc == 5);
  count = atoi(argv[3]);
  calls = atoi(argv[4]);
  CHECK(count > 0 && count <= MOST);
  relay = loaded(argv[1]);
  spinner = loaded(argv[2]);
  CHECK(wherry_imports_new(&imports, NULL) == WHERRY_OK);
  CHECK(wherry_imports_function(imports, NULL, "host", same, NULL, NULL, NULL) == WHERRY_OK);
  for (int i = 0; i < count; i++)
    start(&threads[i], alone, NULL);
  for (int i = 0; i < count; i++)
    CHECK(pthread_join(threads[i], NULL) == 0);
  shared = made(spinner, NULL, NULL);
  for (int i = 0; i < count; i++)
    start(&threads[i], together, &refused[i]);
  for (int i = 0; i < count; i++)
    CHECK(pthread_join(threads[i], NULL) == 0);
  for (int i = 0; i < count; i++)
    CHECK(refused[i] <= calls);
  wherry_instance_free(shared);
  for (int round = 0; round < calls; round++) {
    wherry_instance *instance = made(spinner, NULL, NULL);
    start(&threads[0], until_gone, instance);
    start(&threads[1], releasing, instance);
    CHECK(pthread_join(threads[0], NULL) == 0 && pthread_join(threads[1], NULL) == 0);
  }
  wherry_imports_free(imports);
  wherry_component_free(relay);
  wherry_component_free(spinner);
  return 0;
}
