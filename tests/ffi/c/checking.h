/* What the programs of the tests share: a check that says where it failed, and values of the encoding. */
#ifndef CHECKING_H
#define CHECKING_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wherry.h>

#define CHECK(condition)                                                                  \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);       \
      exit(1);                                                                            \
    }                                                                                     \
  } while (0)

/* The status is the one that is wanted; else the error is printed. */
#define EXPECT(wanted, call) expect(__LINE__, (wanted), (call), &error)

static inline void expect(int line, wherry_status wanted, wherry_status status, wherry_error **error) {
  if (status != wanted) {
    fprintf(stderr, "line %d: status %d and not %d: %s\n", line, status, wanted,
            *error == NULL ? "" : wherry_error_message(*error));
    exit(1);
  }
  if (*error != NULL)
    wherry_error_free(*error);
  *error = NULL;
}

static inline uint8_t *put_u32(uint8_t *at, uint8_t tag, uint32_t value) {
  *at++ = tag;
  for (int i = 0; i < 4; i++)
    *at++ = (uint8_t)(value >> 8 * i);
  return at;
}

static inline uint8_t *put_u64(uint8_t *at, uint8_t tag, uint64_t value) {
  *at++ = tag;
  for (int i = 0; i < 8; i++)
    *at++ = (uint8_t)(value >> 8 * i);
  return at;
}

static inline uint64_t get(const uint8_t *at, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; i++)
    value |= (uint64_t)at[i] << 8 * i;
  return value;
}

/* The arguments of one call. */
struct arguments {
  uint8_t bytes[256];
  size_t length;
};

static inline struct arguments none(void) {
  struct arguments made;
  made.length = (size_t)(put_u32(made.bytes, 0x14, 0) - made.bytes);
  return made;
}

static inline struct arguments one_u32(uint32_t value) {
  struct arguments made;
  made.length = (size_t)(put_u32(put_u32(made.bytes, 0x14, 1), 0x07, value) - made.bytes);
  return made;
}

static inline struct arguments one_handle(uint8_t tag, uint64_t handle) {
  struct arguments made;
  made.length = (size_t)(put_u64(put_u32(made.bytes, 0x14, 1), tag, handle) - made.bytes);
  return made;
}

static inline struct arguments one_text(const char *text) {
  struct arguments made;
  uint8_t *end = put_u32(put_u32(made.bytes, 0x14, 1), 0x10, (uint32_t)strlen(text));
  memcpy(end, text, strlen(text));
  made.length = (size_t)(end + strlen(text) - made.bytes);
  return made;
}

/* What a call came to. */
struct answer {
  wherry_status status;
  const uint8_t *bytes;
  size_t length;
};

static inline struct answer call(wherry_function *function, struct arguments arguments, wherry_error **error) {
  struct answer answer = {0, NULL, 0};
  answer.status =
      wherry_function_call(function, arguments.bytes, arguments.length, &answer.bytes, &answer.length, error);
  return answer;
}

/* The number that a call has to return. */
static inline uint32_t number(wherry_function *function, struct arguments arguments) {
  wherry_error *error = NULL;
  struct answer answer = call(function, arguments, &error);
  expect(0, WHERRY_OK, answer.status, &error);
  CHECK(answer.length == 5 && answer.bytes[0] == 0x07);
  return (uint32_t)get(answer.bytes + 1, 4);
}

/* The handle that a call has to return. */
static inline uint64_t owned(wherry_function *function, struct arguments arguments) {
  wherry_error *error = NULL;
  struct answer answer = call(function, arguments, &error);
  expect(0, WHERRY_OK, answer.status, &error);
  CHECK(answer.length == 9 && answer.bytes[0] == 0x20);
  return get(answer.bytes + 1, 8);
}

static inline wherry_component *loaded(const char *path) {
  wherry_error *error = NULL;
  wherry_component *component = NULL;
  EXPECT(WHERRY_OK, wherry_component_load_file(NULL, path, 0, &component, &error));
  return component;
}

static inline wherry_function *found(wherry_instance *instance, const char *interface_name, const char *name) {
  wherry_error *error = NULL;
  wherry_function *function = NULL;
  EXPECT(WHERRY_OK, wherry_function_find(instance, interface_name, name, &function, &error));
  return function;
}

static inline wherry_instance *made(wherry_component *component, wherry_policy *policy, wherry_imports *imports) {
  wherry_error *error = NULL;
  wherry_instance *instance = NULL;
  EXPECT(WHERRY_OK, wherry_instance_new(component, policy, imports, &instance, &error));
  return instance;
}

#endif
