/* Streams and futures of the guest and of the caller. Arguments: the component `streams`, how many rounds; pages of memory in the middle and in the end are printed. */
#include "checking.h"
#include <pthread.h>

#define FLOWS "test:streams/flows@1.0.0"
#define GUEST "test:streams/guest@1.0.0"
#define HOST "test:streams/host@1.0.0"
#define STREAM 0x22
#define FUTURE 0x23

static wherry_instance *instance;
static int destroyed;

static void counted(void *context) {
  (void)context;
  destroyed++;
}

/* The stream or future that a call has to return. */
static wherry_stream *given(const char *interface_name, const char *name, struct arguments arguments, uint8_t tag) {
  wherry_error *error = NULL;
  wherry_function *function = found(instance, interface_name, name);
  struct answer answer = call(function, arguments, &error);
  expect(__LINE__, WHERRY_OK, answer.status, &error);
  CHECK(answer.length == 9 && answer.bytes[0] == tag);
  wherry_function_free(function);
  return (wherry_stream *)(uintptr_t)get(answer.bytes + 1, 8);
}

/* The next batch, which has to begin with a tag; no bytes are the end. */
static struct answer next(wherry_stream *stream) {
  struct answer answer = {0, NULL, 0};
  wherry_error *error = NULL;
  answer.status = wherry_stream_read(stream, &answer.bytes, &answer.length, &error);
  if (error != NULL)
    wherry_error_free(error);
  return answer;
}

static struct arguments two_u32(uint32_t first, uint32_t second) {
  struct arguments made;
  made.length = (size_t)(put_u32(put_u32(put_u32(made.bytes, 0x14, 2), 0x07, first), 0x07, second) - made.bytes);
  return made;
}

/* A source of the numbers to `last`, each by itself; one that waits asks for a thread before each. */
struct numbers {
  uint32_t next, last;
  uint8_t tag;
  int waits, asked;
  wherry_stream *stream;
  pthread_t thread;
};

static void *ready(void *context) {
  struct numbers *numbers = (struct numbers *)context;
  numbers->asked = 2;
  CHECK(wherry_stream_ready(numbers->stream) == WHERRY_OK);
  return NULL;
}

static int32_t fill(void *context, size_t most, wherry_caller *caller) {
  struct numbers *numbers = (struct numbers *)context;
  uint8_t value[16];
  CHECK(most > 0);
  if (numbers->next > numbers->last)
    return 0;
  if (numbers->waits && numbers->asked < 2) {
    if (numbers->asked == 0) {
      numbers->asked = 1;
      CHECK(pthread_create(&numbers->thread, NULL, ready, numbers) == 0);
    }
    return wherry_caller_later(caller);
  }
  if (numbers->waits)
    CHECK(pthread_join(numbers->thread, NULL) == 0);
  numbers->asked = 0;
  uint8_t *end = put_u32(value, numbers->tag, 1);
  for (int i = 0; i < (numbers->tag == 0x43 ? 1 : 4); i++)
    *end++ = (uint8_t)(numbers->next >> 8 * i);
  numbers->next++;
  return wherry_caller_return(caller, value, (size_t)(end - value), NULL);
}

static int32_t fail(void *context, size_t most, wherry_caller *caller) {
  (void)context, (void)most;
  wherry_caller_fail(caller, "no more numbers");
  return 7;
}

static int32_t text_later(void *context, size_t most, wherry_caller *caller) {
  (void)context, (void)most;
  return wherry_caller_return(caller, (const uint8_t *)"\x10\x02\0\0\0hi", 7, NULL);
}

static wherry_stream *source(wherry_source function, void *context) {
  wherry_error *error = NULL;
  wherry_stream *made = NULL;
  EXPECT(WHERRY_OK, wherry_stream_new(function, context, counted, &made, &error));
  return made;
}

static struct answer taken(const char *name, uint8_t tag, wherry_stream *stream, wherry_error **error) {
  wherry_function *function = found(instance, FLOWS, name);
  struct answer answer = call(function, one_handle(tag, (uint64_t)(uintptr_t)stream), error);
  wherry_function_free(function);
  return answer;
}

static void of_the_guest(void) {
  struct answer batch;
  wherry_stream *stream = given(FLOWS, "bytes", two_u32(2, 3), STREAM);
  for (uint8_t piece = 0; piece < 2; piece++) {
    batch = next(stream);
    CHECK(batch.status == WHERRY_OK && batch.length == 8);
    CHECK(batch.bytes[0] == 0x43 && get(batch.bytes + 1, 4) == 3 && batch.bytes[5] == piece);
  }
  for (int i = 0; i < 2; i++) {
    batch = next(stream);
    CHECK(batch.status == WHERRY_OK && batch.length == 0);
  }
  CHECK(wherry_stream_free(stream) == WHERRY_OK);
  CHECK(next(stream).status == WHERRY_WRONG_HANDLE);

  stream = given(FLOWS, "words", one_u32(2), STREAM);
  batch = next(stream);
  CHECK(batch.status == WHERRY_OK && batch.length == 16 && memcmp(batch.bytes, "\x11\1\0\0\0\x10\6\0\0\0word 0", 16) == 0);
  CHECK(wherry_stream_free(stream) == WHERRY_OK);

  uint32_t ticks = 0;
  stream = given(FLOWS, "ticks", one_u32(5), STREAM);
  while ((batch = next(stream)).length > 0) {
    CHECK(batch.status == WHERRY_OK && batch.length == 5 && batch.bytes[0] == 0x07);
    ticks += (uint32_t)get(batch.bytes + 1, 4);
  }
  CHECK(ticks == 5);
  CHECK(wherry_stream_free(stream) == WHERRY_OK);

  stream = given(FLOWS, "later", one_text("you"), FUTURE);
  batch = next(stream);
  CHECK(batch.length == 14 && memcmp(batch.bytes, "\x10\x9\0\0\0later you", 14) == 0);
  CHECK(wherry_stream_free(stream) == WHERRY_OK);
  stream = given(FLOWS, "signal", none(), FUTURE);
  batch = next(stream);
  CHECK(batch.length == 5 && memcmp(batch.bytes, "\x07\1\0\0\0", 5) == 0);
  CHECK(wherry_stream_free(stream) == WHERRY_OK);
}

static void of_the_caller(void) {
  wherry_error *error = NULL;
  struct answer answer;
  for (int waits = 0; waits < 2; waits++) {
    struct numbers bytes = {1, 10, 0x43, waits, 0, NULL, 0}, words = {1, 10, 0x47, waits, 0, NULL, 0};
    bytes.stream = source(fill, &bytes);
    answer = taken("total", STREAM, bytes.stream, &error);
    expect(__LINE__, WHERRY_OK, answer.status, &error);
    CHECK(answer.length == 9 && answer.bytes[0] == 0x09 && get(answer.bytes + 1, 8) == 55);
    words.stream = source(fill, &words);
    answer = taken("sum", STREAM, words.stream, &error);
    expect(__LINE__, WHERRY_OK, answer.status, &error);
    CHECK(get(answer.bytes + 1, 8) == 55);
    if (waits) /* the last thing that this guest does */
      EXPECT(WHERRY_CLOSED, taken("sum", STREAM, words.stream, &error).status);
    CHECK(wherry_stream_free(bytes.stream) == WHERRY_OK && wherry_stream_free(words.stream) == WHERRY_OK);
  }
  CHECK(destroyed == 4);
}

static void back_in(void) {
  wherry_error *error = NULL;
  wherry_stream *words = given(FLOWS, "words", one_u32(3), STREAM);
  struct answer answer = taken("joined", STREAM, words, &error);
  expect(__LINE__, WHERRY_OK, answer.status, &error);
  CHECK(answer.length == 25 && memcmp(answer.bytes + 5, "word 0 word 1 word 2", 20) == 0);
  CHECK(wherry_stream_free(words) == WHERRY_OK);

  wherry_stream *value = source(text_later, NULL);
  answer = taken("awaited", FUTURE, value, &error);
  expect(__LINE__, WHERRY_OK, answer.status, &error);
  CHECK(answer.length == 11 && memcmp(answer.bytes + 5, "got hi", 6) == 0);
  CHECK(wherry_stream_free(value) == WHERRY_OK);
}

static int32_t fetch(void *context, const uint8_t *arguments, size_t length, wherry_caller *caller) {
  (void)context;
  CHECK(length > 5 && arguments[0] == 0x14);
  return wherry_caller_return(caller, arguments + 5, length - 5, NULL);
}

static int32_t lines(void *context, const uint8_t *arguments, size_t length, wherry_caller *caller) {
  static struct numbers unused = {1, 0, 0x43, 0, 0, NULL, 0};
  uint8_t value[9];
  (void)context, (void)arguments, (void)length;
  wherry_stream *stream = source(fill, &unused);
  put_u64(value, STREAM, (uint64_t)(uintptr_t)stream);
  wherry_caller_return(caller, value, 9, NULL);
  /* Its handle may go only when the value was read: after the call. */
  *(wherry_stream **)context = stream;
  return 0;
}

static int32_t unused(void *context, const uint8_t *arguments, size_t length, wherry_caller *caller) {
  (void)context, (void)arguments, (void)length;
  wherry_caller_fail(caller, "not in this test");
  return 1;
}

static wherry_stream *kept;

static wherry_instance *fresh(wherry_component *component) {
  wherry_error *error = NULL;
  wherry_imports *imports = NULL;
  EXPECT(WHERRY_OK, wherry_imports_new(&imports, &error));
  EXPECT(WHERRY_OK, wherry_imports_function(imports, HOST, "fetch", fetch, NULL, NULL, &error));
  EXPECT(WHERRY_OK, wherry_imports_function(imports, HOST, "lines", lines, &kept, NULL, &error));
  const char *rest[] = {"check", "store", "answer", "quick"};
  for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
    EXPECT(WHERRY_OK, wherry_imports_function(imports, HOST, rest[i], unused, NULL, NULL, &error));
  wherry_instance *fresh = made(component, NULL, imports);
  wherry_imports_free(imports);
  return fresh;
}

static void imported(void) {
  wherry_stream *stream = given(GUEST, "lines", one_text("x"), STREAM);
  struct answer batch = next(stream);
  CHECK(batch.status == WHERRY_OK && batch.length == 0);
  CHECK(wherry_stream_free(stream) == WHERRY_OK && wherry_stream_free(kept) == WHERRY_OK);
}

static void ended(wherry_component *component) {
  wherry_error *error = NULL;
  struct answer batch;
  wherry_stream *stream = given(FLOWS, "breaking", one_u32(1), STREAM);
  batch = next(stream);
  CHECK(batch.status == WHERRY_OK && batch.length == 9 && batch.bytes[0] == 0x47);
  CHECK(next(stream).status == WHERRY_TRAP && next(stream).status == WHERRY_CLOSED);
  CHECK(wherry_stream_free(stream) == WHERRY_OK);
  wherry_instance_free(instance);

  instance = fresh(component);
  wherry_stream *broken = source(fail, NULL);
  struct answer answer = taken("sum", STREAM, broken, &error);
  CHECK(answer.status == WHERRY_HOST && wherry_error_code(error) == 7);
  CHECK(strstr(wherry_error_message(error), "no more numbers") != NULL);
  wherry_error_free(error);
  error = NULL;
  CHECK(wherry_stream_free(broken) == WHERRY_OK);
  wherry_instance_free(instance);

  /* Wrong ones: what the caller fills is not read, a guest's is not filled, another instance's does not go in. */
  instance = fresh(component);
  stream = given(FLOWS, "words", one_u32(1), STREAM);
  wherry_stream *own = source(fail, NULL);
  CHECK(next(own).status == WHERRY_USAGE && wherry_stream_ready(stream) == WHERRY_USAGE);
  wherry_instance *first = instance;
  instance = fresh(component);
  EXPECT(WHERRY_VALUE, taken("joined", STREAM, stream, &error).status);
  wherry_instance_free(instance);
  instance = fresh(component);
  EXPECT(WHERRY_VALUE, taken("joined", STREAM, (wherry_stream *)(uintptr_t)12345, &error).status);
  wherry_instance_free(instance);
  wherry_instance_free(first);
  CHECK(next(stream).status == WHERRY_CLOSED);
  CHECK(wherry_stream_free(stream) == WHERRY_OK && wherry_stream_free(own) == WHERRY_OK);
  EXPECT(WHERRY_USAGE, wherry_stream_new(NULL, NULL, counted, &own, &error));
  instance = fresh(component);
}

static void pages(const char *when) {
  long whole, resident;
  FILE *file = fopen("/proc/self/statm", "r");
  CHECK(file != NULL && fscanf(file, "%ld %ld", &whole, &resident) == 2);
  fclose(file);
  printf("%s %ld\n", when, resident);
}

int main(int count, char **words) {
  CHECK(count == 3);
  wherry_component *component = loaded(words[1]);
  instance = fresh(component);
  int rounds = atoi(words[2]);
  for (int round = 0; round < rounds; round++) {
    if (round == rounds / 2)
      pages("middle");
    of_the_guest();
    back_in();
    imported();
    destroyed = 0;
    of_the_caller();
    wherry_instance_free(instance);
    instance = fresh(component);
    ended(component);
  }
  wherry_instance_free(instance);
  wherry_component_free(component);
  pages("end");
  return 0;
}
