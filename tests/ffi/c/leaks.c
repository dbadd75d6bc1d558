/*
 * Calls again and again, with text, lists, resources of both sides, callbacks, errors and callbacks that fail half-way, and says
 * how many pages the process has: in the middle and in the end. Arguments: the components with `echo` of a record, `relay` of
 * text, `counter`, `bucket` and `callback`, and how many rounds.
 */
#define _POSIX_C_SOURCE 200809L
#include <unistd.h>
#include "checking.h"

#define COUNTERS "test:guests/counters"
#define BUCKETS "test:guests/buckets"

static int alive;

static void ended(void *context, uint64_t resource) {
  (void)context;
  free((void *)(uintptr_t)resource);
  alive--;
}

static int32_t make(void *context, const uint8_t *arguments, size_t length, wherry_caller *caller) {
  uint8_t bytes[9];
  (void)context;
  (void)arguments;
  (void)length;
  alive++;
  put_u64(bytes, 0x20, (uint64_t)(uintptr_t)calloc(1, 8));
  return wherry_caller_return(caller, bytes, sizeof bytes, NULL);
}

static int32_t one(void *context, const uint8_t *arguments, size_t length, wherry_caller *caller) {
  uint8_t bytes[5];
  (void)context;
  (void)arguments;
  (void)length;
  put_u32(bytes, 0x07, 1);
  return wherry_caller_return(caller, bytes, sizeof bytes, NULL);
}

static int32_t same(void *context, const uint8_t *arguments, size_t length, wherry_caller *caller) {
  (void)context;
  return wherry_caller_return(caller, arguments + 5, length - 5, NULL);
}

static int32_t half_way(void *context, const uint8_t *arguments, size_t length, wherry_caller *caller) {
  (void)context;
  wherry_caller_return(caller, arguments, length, NULL);
  wherry_caller_fail(caller, "on purpose");
  return 3;
}

static void pages(const char *when) {
  long whole, resident;
  FILE *file = fopen("/proc/self/statm", "r");
  CHECK(file != NULL && fscanf(file, "%ld %ld", &whole, &resident) == 2);
  fclose(file);
  printf("%s %ld\n", when, resident);
}

static wherry_imports *table(void) {
  wherry_imports *imports;
  CHECK(wherry_imports_new(&imports, NULL) == WHERRY_OK);
  CHECK(wherry_imports_resource(imports, BUCKETS, "bucket", ended, NULL, NULL, NULL) == WHERRY_OK);
  CHECK(wherry_imports_function(imports, BUCKETS, "[constructor]bucket", make, NULL, NULL, NULL) == WHERRY_OK);
  CHECK(wherry_imports_function(imports, BUCKETS, "[static]bucket.shared", make, NULL, NULL, NULL) == WHERRY_OK);
  CHECK(wherry_imports_function(imports, BUCKETS, "[method]bucket.add", one, NULL, NULL, NULL) == WHERRY_OK);
  CHECK(wherry_imports_function(imports, BUCKETS, "total", one, NULL, NULL, NULL) == WHERRY_OK);
  CHECK(wherry_imports_function(imports, NULL, "host", same, NULL, NULL, NULL) == WHERRY_OK);
  return imports;
}

/* A guest whose callback fails ends: it is made anew each time. */
static void failing(wherry_component *component) {
  wherry_imports *imports;
  wherry_instance *instance;
  wherry_function *function;
  wherry_error *error = NULL;
  CHECK(wherry_imports_new(&imports, NULL) == WHERRY_OK);
  CHECK(wherry_imports_function(imports, NULL, "host", half_way, NULL, NULL, NULL) == WHERRY_OK);
  instance = made(component, NULL, imports);
  function = found(instance, NULL, "call");
  EXPECT(WHERRY_HOST, call(function, one_u32(1), &error).status);
  wherry_function_free(function);
  wherry_instance_free(instance);
  wherry_imports_free(imports);
}

int main(int argc, char **argv) {
  wherry_component *components[5];
  wherry_instance *instances[4];
  wherry_imports *imports = table();
  wherry_function *echo, *relay, *construct, *peek, *use;
  wherry_error *error = NULL;
  uint8_t record[64];
  size_t record_length;
  int rounds;
  CHECK(argc == 7);
  rounds = atoi(argv[6]);
  for (int i = 0; i < 5; i++)
    components[i] = loaded(argv[i + 1]);
  for (int i = 0; i < 4; i++)
    instances[i] = made(components[i], NULL, imports);
  echo = found(instances[0], NULL, "echo");
  relay = found(instances[1], NULL, "relay");
  construct = found(instances[2], COUNTERS, "[constructor]counter");
  peek = found(instances[2], COUNTERS, "peek");
  use = found(instances[3], NULL, "use-own");
  /* record {name: string, tags: list<u16>} */
  {
    uint8_t *end = put_u32(put_u32(put_u32(record, 0x14, 1), 0x13, 2), 0x10, 4);
    memcpy(end, "name", 4);
    end = put_u32(end + 4, 0x45, 2);
    memcpy(end, "\1\0\2\0", 4);
    record_length = (size_t)(end + 4 - record);
  }
  for (int round = 0; round < rounds; round++) {
    const uint8_t *result;
    size_t length;
    uint64_t counter;
    EXPECT(WHERRY_OK, wherry_function_call(echo, record, record_length, &result, &length, &error));
    CHECK(length == record_length - 5 && memcmp(result, record + 5, length) == 0);
    EXPECT(WHERRY_VALUE, wherry_function_call(echo, record, record_length - 1, &result, &length, &error));
    EXPECT(WHERRY_OK, call(relay, one_text("0123456789abcdef"), &error).status);
    counter = owned(construct, one_u32(1));
    CHECK(number(peek, one_handle(0x21, counter)) == 1);
    EXPECT(WHERRY_OK, wherry_resource_drop(instances[2], counter, &error));
    CHECK(number(use, one_u32(1)) == 1 && alive == 0);
    if (round % 100 == 0)
      failing(components[4]);
    /* Guests that only give out memory are made anew before that is used up. */
    if (round % 1000 == 999) {
      wherry_function_free(construct);
      wherry_function_free(peek);
      wherry_instance_free(instances[2]);
      instances[2] = made(components[2], NULL, imports);
      construct = found(instances[2], COUNTERS, "[constructor]counter");
      peek = found(instances[2], COUNTERS, "peek");
    }
    if (round == rounds / 2)
      pages("middle");
  }
  pages("end");
  wherry_function_free(echo);
  wherry_function_free(relay);
  wherry_function_free(construct);
  wherry_function_free(peek);
  wherry_function_free(use);
  for (int i = 0; i < 4; i++)
    wherry_instance_free(instances[i]);
  for (int i = 0; i < 5; i++)
    wherry_component_free(components[i]);
  wherry_imports_free(imports);
  return 0;
}
