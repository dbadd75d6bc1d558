/* Resources of the guest and of the host. Arguments: the components with `counter` and with `bucket`. */
#include "checking.h"

#define COUNTERS "test:guests/counters"
#define BUCKETS "test:guests/buckets"
#define OWN 0x20
#define BORROW 0x21

static void of_the_guest(const char *path) {
  wherry_error *error = NULL;
  wherry_component *component = loaded(path);
  wherry_instance *instance = made(component, NULL, NULL), *other = made(component, NULL, NULL);
  wherry_function *make = found(instance, COUNTERS, "[constructor]counter");
  wherry_function *peek = found(instance, COUNTERS, "peek");
  wherry_function *live = found(instance, COUNTERS, "live");
  wherry_function *merge = found(instance, COUNTERS, "[static]counter.merge");
  wherry_function *several = found(instance, COUNTERS, "several");
  wherry_function *elsewhere = found(other, COUNTERS, "peek");
  uint64_t first = owned(make, one_u32(5)), second = owned(make, one_u32(2)), sum;
  struct arguments both;
  struct answer list;
  uint64_t handles[3];
  CHECK(number(live, none()) == 2);
  CHECK(number(peek, one_handle(BORROW, first)) == 5);

  /* Wrong ones: of another instance, no handle at all, own where borrow is wanted. */
  EXPECT(WHERRY_VALUE, call(elsewhere, one_handle(BORROW, first), &error).status);
  EXPECT(WHERRY_VALUE, call(peek, one_handle(BORROW, 0), &error).status);
  EXPECT(WHERRY_VALUE, call(peek, one_handle(BORROW, UINT64_MAX), &error).status);
  EXPECT(WHERRY_VALUE, call(peek, one_handle(OWN, first), &error).status);
  EXPECT(WHERRY_VALUE, wherry_resource_drop(other, first, &error));

  /* Given away: the handles are none any more. */
  both.length = (size_t)(put_u64(put_u64(put_u32(both.bytes, 0x14, 2), OWN, first), OWN, second) - both.bytes);
  sum = owned(merge, both);
  CHECK(number(peek, one_handle(BORROW, sum)) == 7);
  EXPECT(WHERRY_CLOSED, call(peek, one_handle(BORROW, first), &error).status);
  EXPECT(WHERRY_CLOSED, call(merge, both, &error).status);
  CHECK(number(live, none()) == 1);

  /* Dropped: the destructor runs, and the place is used again under another number. */
  EXPECT(WHERRY_OK, wherry_resource_drop(instance, sum, &error));
  EXPECT(WHERRY_CLOSED, wherry_resource_drop(instance, sum, &error));
  CHECK(number(live, none()) == 0);
  first = owned(make, one_u32(1));
  CHECK(first != sum);
  EXPECT(WHERRY_CLOSED, call(peek, one_handle(BORROW, sum), &error).status);
  EXPECT(WHERRY_OK, wherry_resource_drop(instance, first, &error));

  /* In a list. */
  list = call(several, none(), &error);
  CHECK(list.status == WHERRY_OK && list.length == 5 + 3 * 9 && list.bytes[0] == 0x11);
  for (int i = 0; i < 3; i++)
    handles[i] = get(list.bytes + 5 + 9 * i + 1, 8);
  for (int i = 0; i < 3; i++) {
    CHECK(number(peek, one_handle(BORROW, handles[i])) == (uint32_t)i);
    EXPECT(WHERRY_OK, wherry_resource_drop(instance, handles[i], &error));
  }
  CHECK(number(live, none()) == 0);
  wherry_function_free(make);
  wherry_function_free(peek);
  wherry_function_free(live);
  wherry_function_free(merge);
  wherry_function_free(several);
  wherry_function_free(elsewhere);
  wherry_instance_free(other);
  wherry_instance_free(instance);
  wherry_component_free(component);
}

/* A resource of the host: its handle is its address. */
struct bucket {
  uint32_t total;
};

static int alive, destroyed;

static void bucket_ended(void *context, uint64_t resource) {
  (void)context;
  free((struct bucket *)(uintptr_t)resource);
  alive--;
}

static void context_ended(void *context) {
  (void)context;
  destroyed++;
}

static struct bucket *argument(const uint8_t *arguments) {
  CHECK(arguments[0] == 0x14 && arguments[5] == BORROW);
  return (struct bucket *)(uintptr_t)get(arguments + 6, 8);
}

static int32_t answer_number(wherry_caller *caller, uint32_t value) {
  uint8_t bytes[5];
  return wherry_caller_return(caller, bytes, (size_t)(put_u32(bytes, 0x07, value) - bytes), NULL);
}

static struct bucket *new_bucket(void) {
  struct bucket *bucket = (struct bucket *)calloc(1, sizeof *bucket);
  alive++;
  return bucket;
}

static int32_t constructor(void *context, const uint8_t *arguments, size_t length, wherry_caller *caller) {
  uint8_t *bytes;
  (void)context;
  (void)arguments;
  (void)length;
  CHECK(wherry_caller_reserve(caller, 9, &bytes, NULL) == WHERRY_OK);
  put_u64(bytes, OWN, (uint64_t)(uintptr_t)new_bucket());
  return 0;
}

static int32_t add(void *context, const uint8_t *arguments, size_t length, wherry_caller *caller) {
  struct bucket *bucket = argument(arguments);
  (void)context;
  (void)length;
  bucket->total += (uint32_t)get(arguments + 15, 4);
  return answer_number(caller, bucket->total);
}

static int32_t total(void *context, const uint8_t *arguments, size_t length, wherry_caller *caller) {
  (void)context;
  (void)length;
  return answer_number(caller, argument(arguments)->total);
}

static void of_the_host(const char *path) {
  wherry_error *error = NULL;
  wherry_component *component = loaded(path);
  wherry_imports *imports = NULL;
  wherry_instance *instance;
  wherry_function *use, *borrowed, *give_back;
  struct bucket *mine;
  EXPECT(WHERRY_LINK, wherry_instance_new(component, NULL, NULL, &instance, &error));
  EXPECT(WHERRY_OK, wherry_imports_new(&imports, &error));
  EXPECT(WHERRY_OK, wherry_imports_resource(imports, BUCKETS, "bucket", bucket_ended, NULL, context_ended, &error));
  EXPECT(WHERRY_OK, wherry_imports_function(imports, BUCKETS, "[constructor]bucket", constructor, NULL, context_ended, &error));
  EXPECT(WHERRY_OK, wherry_imports_function(imports, BUCKETS, "[static]bucket.shared", constructor, NULL, context_ended, &error));
  EXPECT(WHERRY_OK, wherry_imports_function(imports, BUCKETS, "[method]bucket.add", add, NULL, context_ended, &error));
  EXPECT(WHERRY_OK, wherry_imports_function(imports, BUCKETS, "total", total, NULL, context_ended, &error));
  instance = made(component, NULL, imports);
  EXPECT(WHERRY_OK, wherry_imports_free(imports));
  use = found(instance, NULL, "use-own");
  borrowed = found(instance, NULL, "borrowed");
  give_back = found(instance, NULL, "give-back");

  /* Made by a callback, dropped by the guest. */
  CHECK(number(use, one_u32(5)) == 6);
  CHECK(alive == 0);
  /* Lent to the guest: it stays the host's. */
  mine = new_bucket();
  CHECK(number(borrowed, one_handle(BORROW, (uint64_t)(uintptr_t)mine)) == 10);
  CHECK(alive == 1 && mine->total == 10);
  /* Given to the guest and back. */
  CHECK(owned(give_back, one_handle(OWN, (uint64_t)(uintptr_t)mine)) == (uint64_t)(uintptr_t)mine);
  CHECK(alive == 1 && mine->total == 10);
  bucket_ended(NULL, (uint64_t)(uintptr_t)mine);

  wherry_function_free(use);
  wherry_function_free(borrowed);
  wherry_function_free(give_back);
  wherry_component_free(component);
  CHECK(destroyed == 0);
  EXPECT(WHERRY_OK, wherry_instance_free(instance));
  CHECK(destroyed == 5 && alive == 0);
}

int main(int argc, char **argv) {
  CHECK(argc == 3);
  of_the_guest(argv[1]);
  of_the_host(argv[2]);
  return 0;
}
