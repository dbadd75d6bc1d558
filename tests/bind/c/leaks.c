/*
 * Calls by the thousand with text, lists, resources of both sides and callbacks, some of which fail half-way, in instances that come
 * and go. Told to lose memory it does, so that it can be seen to be noticed. Prints how much memory the process has after a first round and at the end.
 */
#include <buckets.h>
#include <corpus_text.h>
#include <counter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int wrong, losing;
static void *volatile lost;

#define NEED(call)                                                                                                                 \
  do {                                                                                                                             \
    if (!(call)) {                                                                                                                 \
      fprintf(stderr, "not so: %s\n", #call);                                                                                      \
      wrong = 1;                                                                                                                   \
    }                                                                                                                              \
  } while (0)

static long resident(void) {
  long pages = 0, ignored;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL || fscanf(file, "%ld %ld", &ignored, &pages) != 2)
    pages = -1;
  if (file != NULL)
    fclose(file);
  return pages * 4;
}

/* Gives back what it is given, from memory of its own; fails each hundredth time, after it has taken some. */
static int32_t give_back(void *context, corpus_text_caller *caller, corpus_text_list_string x, corpus_text_list_string *out) {
  int *calls = context;
  corpus_text_string *copy = corpus_text_lend(caller, x.length * sizeof *copy);
  for (size_t i = 0; i < x.length; i++) {
    char *text = corpus_text_lend(caller, x.data[i].length);
    if (*calls % 100 == 99 && i == 1)
      return 1;
    memcpy(text, x.data[i].data, x.data[i].length);
    copy[i].data = text;
    copy[i].length = x.data[i].length;
  }
  ++*calls;
  out->data = copy;
  out->length = x.length;
  return 0;
}

static void texts(int count) {
  int calls = 0;
  corpus_text_imports imports = {&calls, {give_back}};
  corpus_text_instance *instance = NULL;
  corpus_text_string given[3];
  corpus_text_list_string list = {given, 3}, got;
  char *letters = malloc(3000);
  memset(letters, 'x', 3000);
  given[0] = corpus_text_text("a short text");
  given[1] = corpus_text_text("another");
  given[2].data = letters;
  given[2].length = 3000;
  for (int i = 0; i < count; i++) {
    wherry_error *error = NULL;
    wherry_status status;
    if (instance == NULL)
      NEED(corpus_text_open(NULL, &imports, &instance, &error) == WHERRY_OK);
    if (losing)
      lost = memset(malloc(1000), 1, 1000);
    status = corpus_text_relay(instance, list, &got, &error);
    if (calls % 100 == 99 && status != WHERRY_OK) {
      NEED(status == WHERRY_HOST);
      wherry_error_free(error);
      corpus_text_close(instance);
      instance = NULL;
      calls++;
    } else {
      NEED(status == WHERRY_OK && got.length == 3 && got.data[2].length == 3000);
    }
  }
  corpus_text_close(instance);
  free(letters);
}

static void resources(int count) {
  counter_instance *instance = NULL;
  for (int i = 0; i < count; i++) {
    counter_counter one, two, sum;
    uint32_t value;
    wherry_error *error;
    if (i % 1000 == 0) {
      counter_close(instance);
      NEED(counter_open(NULL, &instance, NULL) == WHERRY_OK);
    }
    NEED(counter_counter_new(instance, 1, &one, NULL) == WHERRY_OK);
    NEED(counter_counter_new(instance, 2, &two, NULL) == WHERRY_OK);
    NEED(counter_counter_merge(instance, one, two, &sum, NULL) == WHERRY_OK);
    NEED(counter_counter_value(instance, sum, &value, NULL) == WHERRY_OK && value == 3);
    NEED(counter_counter_value(instance, one, &value, &error) == WHERRY_CLOSED);
    wherry_error_free(error);
    /* Each tenth stays open: it goes with its instance. */
    if (i % 10 != 0)
      NEED(counter_counter_close(instance, sum, NULL) == WHERRY_OK);
  }
  counter_close(instance);
}

struct buckets_bucket {
  uint32_t total;
};

static int alive;

static int32_t bucket_new(void *context, buckets_caller *caller, buckets_string name, buckets_bucket **out) {
  (void)context;
  (void)caller;
  (void)name;
  *out = calloc(1, sizeof **out);
  alive++;
  return 0;
}

/* Thirteen fails, while the guest owns the bucket. */
static int32_t bucket_add(void *context, buckets_caller *caller, buckets_bucket *self, uint32_t by, uint32_t *out) {
  (void)context;
  *out = self->total += by;
  if (by == 13)
    buckets_fail(caller, "thirteen");
  return 0;
}

static int32_t bucket_shared(void *context, buckets_caller *caller, buckets_bucket **out) {
  return bucket_new(context, caller, buckets_text(""), out);
}

static int32_t total(void *context, buckets_caller *caller, buckets_bucket *of, uint32_t *out) {
  (void)context;
  (void)caller;
  *out = of->total;
  return 0;
}

static void bucket_close(void *context, buckets_bucket *resource) {
  (void)context;
  free(resource);
  alive--;
}

static void hosts(int count) {
  buckets_imports imports = {NULL, {bucket_new, bucket_add, bucket_shared, total, bucket_close}};
  for (int i = 0; i < count; i++) {
    buckets_instance *instance = NULL;
    uint32_t value;
    wherry_error *error;
    NEED(buckets_open(NULL, &imports, &instance, NULL) == WHERRY_OK);
    for (int j = 0; j < 8; j++)
      NEED(buckets_use_own(instance, 5, &value, NULL) == WHERRY_OK && value == 6);
    NEED(buckets_use_own(instance, 13, &value, &error) == WHERRY_HOST);
    wherry_error_free(error);
    buckets_close(instance);
  }
  NEED(alive == 0);
}

static void round_of(int count) {
  texts(count / 2);
  resources(count / 8);
  hosts(count / 80);
}

int main(int argc, char **argv) {
  int count = argc > 1 ? atoi(argv[1]) : 1000;
  long before;
  losing = argc > 2;
  round_of(count / 10 + 80);
  before = resident();
  round_of(count);
  printf("%ld %ld\n", before, resident());
  return wrong;
}
