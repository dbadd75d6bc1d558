/* Generated C with streams and futures: read, filled, given back, closed early, wrong. */
#include <flows.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                              \
  do {                                                                                \
    if (!(condition)) {                                                               \
      fprintf(stderr, "line %d: %s does not hold\n", __LINE__, #condition);           \
      exit(1);                                                                        \
    }                                                                                 \
  } while (0)

#define EXPECT(wanted, call) expect(__LINE__, (wanted), (call), &error)

static void expect(int line, wherry_status wanted, wherry_status status, wherry_error **error) {
  if (status != wanted) {
    fprintf(stderr, "line %d: status %d: %s\n", line, status, *error == NULL ? "" : wherry_error_message(*error));
    exit(1);
  }
  if (*error != NULL)
    wherry_error_free(*error);
  *error = NULL;
}

static bool is(flows_string text, const char *wanted) {
  return text.length == strlen(wanted) && memcmp(text.data, wanted, text.length) == 0;
}

static int done;

static void ended(void *context) {
  (void)context;
  done++;
}

/* Points to the number in `context`, in batches of two; first there is nothing once. */
static int32_t points(void *context, size_t most, flows_stream_point_batch *out) {
  static flows_point batch[2];
  uint32_t *left = (uint32_t *)context;
  CHECK(most > 0);
  for (out->length = 0; out->length < 2 && *left > 0; out->length++, --*left) {
    batch[out->length].x = (int32_t)*left;
    batch[out->length].y = 0.5;
    batch[out->length].label = flows_text("here");
  }
  out->data = batch;
  return 0;
}

static int32_t bytes(void *context, size_t most, flows_stream_u8_batch *out) {
  uint32_t *left = (uint32_t *)context;
  static const uint8_t piece[] = {1, 2, 3};
  (void)most;
  out->data = piece;
  out->length = *left > 0 ? 3 : 0;
  *left -= *left > 0;
  return 0;
}

static int32_t units(void *context, size_t most, size_t *out) {
  uint32_t *left = (uint32_t *)context;
  (void)most;
  *out = *left;
  *left = 0;
  return 0;
}

static int32_t word(void *context, flows_string *out) {
  *out = flows_text((const char *)context);
  return 0;
}

static int32_t signal_it(void *context) {
  (void)context;
  return 0;
}

static int32_t broken(void *context, flows_string *out) {
  (void)context, (void)out;
  return 9;
}

static int32_t fetch(void *context, flows_caller *caller, flows_string name, flows_string *out) {
  (void)context, (void)caller;
  *out = name;
  return 0;
}

static int32_t check(void *context, flows_caller *caller, uint32_t value, flows_result_u32_string *out) {
  (void)context, (void)caller;
  out->is_err = value > 3;
  if (out->is_err)
    out->value.err = flows_text("too much");
  else
    out->value.ok = value;
  return 0;
}

static flows_stream_u8 kept;

static int32_t store(void *context, flows_caller *caller, flows_string name, flows_stream_u8 body, uint64_t *out) {
  (void)context, (void)caller, (void)name;
  kept = body;
  *out = 7;
  return 0;
}

static flows_future_point answered;

static int32_t point_later(void *context, flows_point *out) {
  *out = *(flows_point *)context;
  return 0;
}

static int32_t answer(void *context, flows_caller *caller, const flows_point *question, flows_future_point *out) {
  static flows_point given;
  (void)context, (void)caller;
  given.x = question->x + 1;
  given.label = flows_text("answer");
  if (flows_future_point_new(point_later, &given, ended, &answered, NULL) != WHERRY_OK)
    return 1;
  *out = answered;
  return 0;
}

static int32_t lines(void *context, flows_caller *caller, flows_string name, flows_stream_string *out) {
  (void)context, (void)name, (void)out;
  flows_fail(caller, "no lines here");
  return 1;
}

static int32_t quick(void *context, flows_caller *caller, flows_stream_u8 stream, uint32_t *out) {
  (void)context, (void)caller;
  *out = 7;
  return flows_stream_u8_close(stream);
}

static flows_instance *opened(void) {
  wherry_error *error = NULL;
  flows_imports imports;
  flows_instance *instance = NULL;
  memset(&imports, 0, sizeof imports);
  imports.host.fetch = fetch;
  imports.host.check = check;
  imports.host.lines = lines;
  imports.host.store = store;
  imports.host.answer = answer;
  imports.host.quick = quick;
  EXPECT(WHERRY_OK, flows_open(NULL, &imports, &instance, &error));
  return instance;
}

static void from_the_guest(flows_instance *instance) {
  wherry_error *error = NULL;
  flows_stream_u8 pieces;
  flows_stream_u8_batch piece;
  EXPECT(WHERRY_OK, flows_flows_bytes(instance, 2, 3, &pieces, &error));
  for (uint8_t i = 0; i < 2; i++) {
    EXPECT(WHERRY_OK, flows_stream_u8_read(instance, pieces, &piece, &error));
    CHECK(piece.length == 3 && piece.data[2] == i);
  }
  EXPECT(WHERRY_OK, flows_stream_u8_read(instance, pieces, &piece, &error));
  CHECK(piece.length == 0);
  EXPECT(WHERRY_OK, flows_stream_u8_close(pieces));
  EXPECT(WHERRY_WRONG_HANDLE, flows_stream_u8_read(instance, pieces, &piece, &error));

  flows_stream_point given;
  flows_stream_point_batch batch;
  EXPECT(WHERRY_OK, flows_points(instance, 3, &given, &error));
  for (int32_t seen = 0; seen < 3;) {
    EXPECT(WHERRY_OK, flows_stream_point_read(instance, given, &batch, &error));
    CHECK(batch.length > 0 && batch.data[0].x == -seen);
    seen += (int32_t)batch.length;
  }
  EXPECT(WHERRY_OK, flows_stream_point_close(given));

  flows_stream_void ticks;
  size_t count = 0, some = 1;
  EXPECT(WHERRY_OK, flows_ticks(instance, 4, &ticks, &error));
  for (; some > 0; count += some)
    EXPECT(WHERRY_OK, flows_stream_void_read(instance, ticks, &some, &error));
  CHECK(count == 4);
  EXPECT(WHERRY_OK, flows_stream_void_close(ticks));

  flows_future_string later;
  flows_string text;
  EXPECT(WHERRY_OK, flows_later(instance, flows_text("you"), &later, &error));
  EXPECT(WHERRY_OK, flows_future_string_read(instance, later, &text, &error));
  CHECK(is(text, "later you"));
  EXPECT(WHERRY_OK, flows_future_string_close(later));
  flows_future_void done_now;
  EXPECT(WHERRY_OK, flows_signal(instance, &done_now, &error));
  EXPECT(WHERRY_OK, flows_future_void_read(instance, done_now, &error));
  EXPECT(WHERRY_OK, flows_future_void_close(done_now));
}

static void into_the_guest(flows_instance *instance) {
  wherry_error *error = NULL;
  uint32_t left = 5;
  uint64_t total = 0;
  flows_stream_u8 pieces;
  flows_stream_point given, back;
  flows_stream_point_batch batch;
  EXPECT(WHERRY_OK, flows_stream_u8_new(bytes, &left, ended, &pieces, &error));
  EXPECT(WHERRY_OK, flows_total(instance, pieces, &total, &error));
  CHECK(total == 30 && done == 1);
  EXPECT(WHERRY_OK, flows_stream_u8_close(pieces));

  left = 7;
  EXPECT(WHERRY_OK, flows_stream_point_new(points, &left, ended, &given, &error));
  EXPECT(WHERRY_OK, flows_echo_points(instance, given, &back, &error));
  for (int32_t wanted = 7; wanted > 0; wanted -= (int32_t)batch.length) {
    EXPECT(WHERRY_OK, flows_stream_point_read(instance, back, &batch, &error));
    CHECK(batch.length > 0 && batch.data[0].x == wanted && is(batch.data[0].label, "here"));
  }
  EXPECT(WHERRY_OK, flows_stream_point_close(given));
  EXPECT(WHERRY_OK, flows_stream_point_close(back));

  flows_stream_void ticks;
  uint32_t counted = 0;
  left = 9;
  EXPECT(WHERRY_OK, flows_stream_void_new(units, &left, NULL, &ticks, &error));
  EXPECT(WHERRY_OK, flows_counted(instance, ticks, &counted, &error));
  CHECK(counted == 9);
  EXPECT(WHERRY_OK, flows_stream_void_close(ticks));

  flows_future_string later;
  flows_string text;
  EXPECT(WHERRY_OK, flows_future_string_new(word, "me", ended, &later, &error));
  EXPECT(WHERRY_OK, flows_awaited(instance, later, &text, &error));
  CHECK(is(text, "got me"));
  EXPECT(WHERRY_OK, flows_future_string_close(later));
  flows_future_void ready;
  bool signalled = false;
  EXPECT(WHERRY_OK, flows_future_void_new(signal_it, NULL, NULL, &ready, &error));
  EXPECT(WHERRY_OK, flows_signalled(instance, ready, &signalled, &error));
  CHECK(signalled);
  EXPECT(WHERRY_OK, flows_future_void_close(ready));
  EXPECT(WHERRY_USAGE, flows_future_void_new(NULL, NULL, ended, &ready, &error));
}

static void imported(flows_instance *instance) {
  wherry_error *error = NULL;
  flows_stream_u8_batch piece;
  flows_result_u32_string checked;
  flows_bytes body = {(const uint8_t *)"abc", 3};
  flows_point question = {1, 0, {NULL, 0}}, found;
  uint64_t stored;
  uint32_t number;
  EXPECT(WHERRY_OK, flows_checked(instance, 4, &checked, &error));
  CHECK(checked.is_err && is(checked.value.err, "too much"));
  EXPECT(WHERRY_OK, flows_store(instance, flows_text("x"), body, &stored, &error));
  EXPECT(WHERRY_OK, flows_stream_u8_read(instance, kept, &piece, &error));
  CHECK(stored == 7 && piece.length == 3 && piece.data[0] == 'a');
  EXPECT(WHERRY_OK, flows_stream_u8_close(kept));
  EXPECT(WHERRY_OK, flows_answer(instance, &question, &found, &error));
  CHECK(found.x == 2 && is(found.label, "answer"));
  EXPECT(WHERRY_OK, flows_future_point_close(answered));
  EXPECT(WHERRY_OK, flows_quick(instance, body, &number, &error));
  CHECK(number == 7);
}

int main(void) {
  wherry_error *error = NULL;
  flows_instance *instance = opened();
  from_the_guest(instance);
  into_the_guest(instance);
  imported(instance);
  flows_future_string never;
  flows_string text;
  EXPECT(WHERRY_OK, flows_future_string_new(broken, NULL, ended, &never, &error));
  EXPECT(WHERRY_HOST, flows_awaited(instance, never, &text, &error));
  EXPECT(WHERRY_OK, flows_future_string_close(never));
  flows_close(instance);

  instance = opened();
  flows_stream_string words;
  flows_stream_string_batch batch;
  EXPECT(WHERRY_OK, flows_words(instance, 3, &words, &error));
  EXPECT(WHERRY_USAGE, flows_stream_string_read(instance, words, NULL, &error));
  flows_close(instance);
  EXPECT(WHERRY_CLOSED, flows_stream_string_read(instance, words, &batch, &error));
  EXPECT(WHERRY_OK, flows_stream_string_close(words));
  CHECK(done == 6);
  printf("fine\n");
  return 0;
}
