/*
 * Changes an encoded value at random and passes it on: what is accepted comes back as it went in, as a value has one encoding, and
 * all else is refused as a value. Arguments: a component with `echo` of one parameter, the file with its encoded arguments, how
 * many seconds at the most, how many calls at the most, and a seed.
 */
#include <time.h>
#include "checking.h"

#define MOST 4096
/* The guest gives out memory for what is refused in the end, and never takes it back. */
#define CALLS_PER_INSTANCE 500

static uint64_t state;

static uint32_t chance(uint32_t below) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (uint32_t)((state >> 32) % below);
}

/* Values that lengths and tags go wrong by. */
static const uint32_t telling[] = {0, 1, 2, 127, 128, 255, 256, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};

static size_t changed(uint8_t *bytes, size_t length) {
  size_t at = length == 0 ? 0 : chance((uint32_t)length), count;
  switch (chance(7)) {
  case 0:
    return at;
  case 1:
    if (length > 0)
      bytes[at] ^= (uint8_t)(1u << chance(8));
    return length;
  case 2:
    if (length > 0)
      bytes[at] = (uint8_t)chance(256);
    return length;
  case 3:
    if (length > 0)
      bytes[at] = (uint8_t)chance(0x50);
    return length;
  case 4:
    if (at + 4 <= length)
      memcpy(bytes + at, &telling[chance(sizeof telling / sizeof *telling)], 4);
    return length;
  case 5:
    /* A part once more, somewhere else. */
    count = length == 0 ? 0 : chance((uint32_t)(length - at)) + 1;
    if (length + count > MOST)
      return length;
    memmove(bytes + at + count, bytes + at, length - at);
    return length + count;
  default:
    /* A part taken out. */
    count = length == 0 ? 0 : chance((uint32_t)(length - at)) + 1;
    memmove(bytes + at, bytes + at + count, length - at - count);
    return length - count;
  }
}

int main(int argc, char **argv) {
  static uint8_t whole[MOST], bytes[MOST];
  wherry_component *component;
  wherry_instance *instance = NULL;
  wherry_function *echo = NULL;
  unsigned long accepted = 0, refused = 0, most;
  size_t whole_length, length;
  time_t end;
  FILE *file;
  CHECK(argc == 6);
  component = loaded(argv[1]);
  file = fopen(argv[2], "rb");
  CHECK(file != NULL);
  whole_length = fread(whole, 1, sizeof whole, file);
  fclose(file);
  end = time(NULL) + atoi(argv[3]);
  most = strtoul(argv[4], NULL, 10);
  state = strtoull(argv[5], NULL, 10) * 2 + 1;
  for (unsigned long round = 0; round < most && time(NULL) < end; round++) {
    const uint8_t *result = NULL;
    size_t result_length = 0;
    wherry_status status;
    if (round % CALLS_PER_INSTANCE == 0) {
      wherry_function_free(echo);
      wherry_instance_free(instance);
      instance = made(component, NULL, NULL);
      echo = found(instance, NULL, "echo");
      CHECK(wherry_function_call(echo, whole, whole_length, &result, &result_length, NULL) == WHERRY_OK);
      CHECK(result_length == whole_length - 5 && memcmp(result, whole + 5, result_length) == 0);
    }
    memcpy(bytes, whole, whole_length);
    length = whole_length;
    for (uint32_t changes = 1 + chance(4); changes > 0; changes--)
      length = changed(bytes, length);
    status = wherry_function_call(echo, bytes, length, &result, &result_length, NULL);
    if (status == WHERRY_OK) {
      accepted++;
      CHECK(result_length == length - 5 && memcmp(result, bytes + 5, result_length) == 0);
    } else {
      refused++;
      CHECK(status == WHERRY_VALUE);
    }
  }
  wherry_function_free(echo);
  wherry_instance_free(instance);
  wherry_component_free(component);
  printf("%lu accepted, %lu refused\n", accepted, refused);
  return 0;
}
