// Implements library.wit; each function is described there.
#include "greeter.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IN(interface, name) exports_acme_greeter_##interface##_##name
#define SAME(interface, name, type)                                            \
  type IN(interface, same_##name)(type value) { return value; }
#define SAME_AT(interface, name, type)                                         \
  void IN(interface, same_##name)(type * value, type * ret) { *ret = *value; }

// Adds bytes to a text that has room for them.
static void append(greeter_string_t *text, greeter_string_t more) {
  memcpy(text->ptr + text->len, more.ptr, more.len);
  text->len += more.len;
}

void exports_greeter_greet(greeter_string_t *name, greeter_string_t *ret) {
  greeter_string_t host, greeting;
  acme_greeter_host_name(&host);
  char *text;
  int length = asprintf(&text, "%.*s greets %.*s", (int)host.len,
                        (char *)host.ptr, (int)name->len, (char *)name->ptr);
  greeting = (greeter_string_t){(uint8_t *)text, (size_t)length};
  greeter_shout(&greeting, ret);
  greeter_string_free(&host);
  greeter_string_free(&greeting);
  greeter_string_free(name);
}

SAME(numbers, bool, bool)
SAME(numbers, u8, uint8_t)
SAME(numbers, u16, uint16_t)
SAME(numbers, u32, uint32_t)
SAME(numbers, u64, uint64_t)
SAME(numbers, s8, int8_t)
SAME(numbers, s16, int16_t)
SAME(numbers, s32, int32_t)
SAME(numbers, s64, int64_t)
SAME(numbers, f32, float)
SAME(numbers, f64, double)
SAME(numbers, char, uint32_t)
SAME_AT(numbers, bytes, greeter_list_u8_t)
SAME_AT(numbers, rows, exports_acme_greeter_numbers_rows_t)

void IN(numbers, twenty)(uint8_t a, uint16_t b, uint32_t c, uint64_t d,
                         int8_t e, int16_t f, int32_t g, int64_t h, float i,
                         double j, bool k, greeter_string_t *l, uint8_t m,
                         uint16_t n, uint32_t o, uint64_t p, int8_t q,
                         int16_t r, greeter_string_t *s, greeter_string_t *t,
                         greeter_tuple2_f64_string_t *ret) {
  ret->f0 = (double)(a + b + (uint64_t)c + d + k + m + n + o + p) +
            (double)(e + f + (int64_t)g + h + q + r) + (double)i + j;
  ret->f1 = (greeter_string_t){malloc(l->len + s->len + t->len), 0};
  append(&ret->f1, *l);
  append(&ret->f1, *s);
  append(&ret->f1, *t);
  greeter_string_free(l);
  greeter_string_free(s);
  greeter_string_free(t);
}

static uint32_t calls;
void IN(numbers, count)(void) { calls++; }
uint32_t IN(numbers, counted)(void) { return calls; }

SAME_AT(texts, string, greeter_string_t)
SAME_AT(texts, strings, greeter_list_string_t)

void IN(texts, encoded)(greeter_string_t *text, greeter_list_u8_t *ret) {
  *ret = (greeter_list_u8_t){text->ptr, text->len};
}

void IN(texts, joined)(greeter_list_string_t *texts,
                       greeter_string_t *separator, greeter_string_t *ret) {
  size_t length = 0;
  for (size_t i = 0; i < texts->len; i++) {
    length += separator->len + texts->ptr[i].len;
  }
  *ret = (greeter_string_t){malloc(length), 0};
  for (size_t i = 0; i < texts->len; i++) {
    if (i > 0) {
      append(ret, *separator);
    }
    append(ret, texts->ptr[i]);
  }
  greeter_list_string_free(texts);
  greeter_string_free(separator);
}

SAME_AT(shapes, point, exports_acme_greeter_shapes_point_t)
SAME_AT(shapes, segment, exports_acme_greeter_shapes_segment_t)
SAME_AT(shapes, shape, exports_acme_greeter_shapes_shape_t)
SAME_AT(shapes, shapes, exports_acme_greeter_shapes_list_shape_t)
SAME(shapes, colour, exports_acme_greeter_shapes_colour_t)
SAME(shapes, one, exports_acme_greeter_shapes_one_t)
SAME(shapes, nine, exports_acme_greeter_shapes_nine_t)
SAME(shapes, most, exports_acme_greeter_shapes_most_t)
SAME_AT(shapes, pair, exports_acme_greeter_shapes_pair_t)
SAME_AT(
    shapes, tuple,
    exports_acme_greeter_shapes_tuple3_u8_tuple2_string_char32_list_colour_t)

bool IN(shapes, looks)(exports_acme_greeter_shapes_shape_t *shape,
                       exports_acme_greeter_shapes_tuple2_colour_u32_t *ret) {
  bool known = true;
  switch (shape->tag) {
  case EXPORTS_ACME_GREETER_SHAPES_SHAPE_DOT:
    ret->f0 = EXPORTS_ACME_GREETER_SHAPES_COLOUR_RED;
    ret->f1 = 1;
    break;
  case EXPORTS_ACME_GREETER_SHAPES_SHAPE_AT:
    ret->f0 = EXPORTS_ACME_GREETER_SHAPES_COLOUR_GREEN;
    ret->f1 = 2;
    break;
  case EXPORTS_ACME_GREETER_SHAPES_SHAPE_MANY:
    ret->f0 = EXPORTS_ACME_GREETER_SHAPES_COLOUR_DARK_BLUE;
    ret->f1 = shape->val.many.len;
    break;
  default:
    known = false;
  }
  exports_acme_greeter_shapes_shape_free(shape);
  return known;
}

void IN(shapes, turned)(exports_acme_greeter_shapes_point_t *point,
                        exports_acme_greeter_shapes_nine_t marks,
                        exports_acme_greeter_shapes_tuple2_point_bool_t *ret) {
  const exports_acme_greeter_shapes_nine_t both =
      EXPORTS_ACME_GREETER_SHAPES_NINE_A | EXPORTS_ACME_GREETER_SHAPES_NINE_I;
  ret->f0.x = (int32_t)lround(point->y);
  ret->f0.y = point->x;
  ret->f1 = (marks & both) == both;
}

// An option is a pointer that may be NULL when given, and whether it is there
// when returned; a result returns whether it is good.
#define SAME_OPTION(name, type)                                                \
  bool IN(maybes, same_##name)(type * value, type * ret) {                     \
    if (value != NULL) {                                                       \
      *ret = *value;                                                           \
    }                                                                          \
    return value != NULL;                                                      \
  }

SAME_OPTION(option, uint32_t)
SAME_OPTION(text, greeter_string_t)
SAME_OPTION(twice, greeter_option_u8_t)
SAME_AT(maybes, list, exports_acme_greeter_maybes_list_option_point_t)
SAME_AT(maybes, outcomes, exports_acme_greeter_maybes_outcomes_t)
SAME_AT(maybes, results, exports_acme_greeter_maybes_list_result_string_u8_t)

bool IN(maybes,
        same_both)(exports_acme_greeter_maybes_result_u32_string_t *value,
                   uint32_t *ret, greeter_string_t *err) {
  if (value->is_err) {
    *err = value->val.err;
  } else {
    *ret = value->val.ok;
  }
  return !value->is_err;
}

bool IN(maybes, same_ok)(exports_acme_greeter_maybes_result_point_void_t *value,
                         exports_acme_greeter_maybes_point_t *ret) {
  *ret = value->val.ok;
  return !value->is_err;
}

bool IN(maybes,
        same_err)(exports_acme_greeter_maybes_result_void_string_t *value,
                  greeter_string_t *err) {
  *err = value->val.err;
  return !value->is_err;
}

bool IN(maybes,
        same_neither)(exports_acme_greeter_maybes_result_void_void_t *value) {
  return !value->is_err;
}

bool IN(maybes, parsed)(greeter_string_t *text, uint16_t *ret,
                        greeter_string_t *err) {
  uint32_t number = 0;
  bool good = text->len > 0;
  for (size_t i = 0; good && i < text->len; i++) {
    number = number * 10 + text->ptr[i] - '0';
    good = text->ptr[i] >= '0' && text->ptr[i] <= '9' && number <= UINT16_MAX;
  }
  if (good) {
    *ret = (uint16_t)number;
  } else {
    greeter_string_dup(err, "no number");
  }
  greeter_string_free(text);
  return good;
}

struct exports_acme_greeter_counters_counter_t {
  uint32_t value;
};

typedef exports_acme_greeter_counters_counter_t counter_t;
typedef exports_acme_greeter_counters_own_counter_t own_counter_t;

static uint32_t alive;

own_counter_t IN(counters, constructor_counter)(uint32_t start) {
  counter_t *counter = malloc(sizeof *counter);
  counter->value = start;
  alive++;
  return exports_acme_greeter_counters_counter_new(counter);
}

void IN(counters, counter_destructor)(counter_t *counter) {
  alive--;
  free(counter);
}

uint32_t IN(counters, method_counter_add)(counter_t *self, uint32_t by) {
  return self->value += by;
}

uint32_t IN(counters, method_counter_value)(counter_t *self) {
  return self->value;
}

bool IN(counters, static_counter_sized)(greeter_string_t *text,
                                        own_counter_t *ret,
                                        greeter_string_t *err) {
  const bool good = text->len > 0;
  if (good) {
    *ret = IN(counters, constructor_counter)(text->len);
  } else {
    greeter_string_dup(err, "empty");
  }
  greeter_string_free(text);
  return good;
}

own_counter_t IN(counters, static_counter_merged)(own_counter_t first,
                                                  counter_t *second) {
  const uint32_t sum =
      exports_acme_greeter_counters_counter_rep(first)->value + second->value;
  exports_acme_greeter_counters_counter_drop_own(first);
  return IN(counters, constructor_counter)(sum);
}

bool IN(counters,
        largest)(exports_acme_greeter_counters_list_borrow_counter_t *counters,
                 uint32_t *ret) {
  const bool any = counters->len > 0;
  *ret = 0;
  for (size_t i = 0; i < counters->len; i++) {
    if (counters->ptr[i]->value > *ret) {
      *ret = counters->ptr[i]->value;
    }
  }
  exports_acme_greeter_counters_list_borrow_counter_free(counters);
  return any;
}

void IN(counters,
        several)(uint32_t count,
                 exports_acme_greeter_counters_list_own_counter_t *ret) {
  ret->ptr = malloc(count * sizeof *ret->ptr);
  ret->len = count;
  for (uint32_t i = 0; i < count; i++) {
    ret->ptr[i] = IN(counters, constructor_counter)(i);
  }
}

void IN(counters, renamed)(exports_acme_greeter_counters_named_t *named,
                           exports_acme_greeter_counters_named_t *ret) {
  ret->counter = named->counter;
  ret->name = (greeter_string_t){malloc(named->name.len + 1), 0};
  append(&ret->name, named->name);
  append(&ret->name, (greeter_string_t){(uint8_t *)"!", 1});
  greeter_string_free(&named->name);
}

uint32_t IN(counters, alive)(void) { return alive; }

SAME_AT(client, event, exports_acme_greeter_client_event_t)

bool IN(client, classified)(exports_acme_greeter_client_reading_t *reading,
                            exports_acme_greeter_client_level_t *ret,
                            greeter_string_t *err) {
  const bool good = acme_greeter_host_classify(reading, ret, err);
  exports_acme_greeter_client_reading_free(reading);
  return good;
}

void IN(client, totals)(greeter_list_list_u64_t *rows,
                        greeter_list_u64_t *ret) {
  ret->ptr = calloc(rows->len, sizeof *ret->ptr);
  ret->len = rows->len;
  for (size_t i = 0; i < rows->len; i++) {
    ret->ptr[i] = acme_greeter_host_total(&rows->ptr[i]);
  }
  greeter_list_list_u64_free(rows);
}

void IN(client, tell_all)(greeter_list_string_t *texts) {
  for (size_t i = 0; i < texts->len; i++) {
    acme_greeter_host_tell(&texts->ptr[i]);
  }
  greeter_list_string_free(texts);
}

exports_acme_greeter_client_own_log_t
IN(client, logged)(greeter_string_t *name,
                   exports_acme_greeter_client_list_event_t *events) {
  acme_greeter_host_own_log_t log = acme_greeter_host_constructor_log(name);
  for (size_t i = 0; i < events->len; i++) {
    acme_greeter_host_method_log_add(acme_greeter_host_borrow_log(log),
                                     &events->ptr[i]);
  }
  exports_acme_greeter_client_list_event_free(events);
  greeter_string_free(name);
  return log;
}

bool IN(client, last_line)(exports_acme_greeter_client_borrow_log_t log,
                           greeter_string_t *ret) {
  greeter_list_string_t lines;
  acme_greeter_host_method_log_lines(log, &lines);
  acme_greeter_host_log_drop_borrow(log);
  const bool any = lines.len > 0;
  if (any) {
    // It is the caller's now.
    *ret = lines.ptr[--lines.len];
  }
  greeter_list_string_free(&lines);
  return any;
}

exports_acme_greeter_client_own_log_t
IN(client, both)(exports_acme_greeter_client_own_log_t first,
                 exports_acme_greeter_client_borrow_log_t second) {
  acme_greeter_host_own_log_t merged =
      acme_greeter_host_static_log_merged(first, second);
  acme_greeter_host_log_drop_borrow(second);
  return merged;
}

SAME_AT(words, struct, exports_acme_greeter_words_struct_t)
SAME_AT(words, union, exports_acme_greeter_words_union_t)

uint32_t IN(words, return)(uint8_t for_, uint8_t class_, uint8_t fn,
                           uint8_t def, uint8_t var, uint8_t func,
                           uint8_t await) {
  return for_ + class_ + fn + def + var + func + await;
}

bool IN(words, delete)(exports_acme_greeter_words_default_t self) {
  return self == EXPORTS_ACME_GREETER_WORDS_DEFAULT_NIL;
}
