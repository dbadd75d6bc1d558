/*
 * Calls functions of one instance as it is told on standard input, with encoded values in hexadecimal: what the tests in Python
 * speak to. Each line is `call INTERFACE NAME BYTES`, where `-` stands for no interface and for no bytes. The answer is
 * `ok BYTES`, or `error STATUS MESSAGE`, with the hint after a tab.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wherry.h>

#define LONGEST (64u << 20)

static char line[LONGEST];
static uint8_t bytes[LONGEST / 2];

static void failed(wherry_status status, wherry_error *error) {
  const char *hint = wherry_error_hint(error);
  printf("error %d %s\t%s\n", status, wherry_error_message(error), hint == NULL ? "" : hint);
  wherry_error_free(error);
}

static int digit(char letter) { return letter <= '9' ? letter - '0' : letter - 'a' + 10; }

static size_t decoded(const char *text) {
  size_t length = 0;
  if (strcmp(text, "-") == 0)
    return 0;
  for (; text[2 * length] != '\0'; length++)
    bytes[length] = (uint8_t)(digit(text[2 * length]) << 4 | digit(text[2 * length + 1]));
  return length;
}

static void printed(const uint8_t *result, size_t length) {
  static const char digits[] = "0123456789abcdef";
  fputs("ok ", stdout);
  for (size_t i = 0; i < length; i++) {
    putchar(digits[result[i] >> 4]);
    putchar(digits[result[i] & 15]);
  }
  putchar('\n');
}

/* Gives its arguments back as its result: the one value of the tuple, which has five bytes before it. */
static int32_t same(void *context, const uint8_t *arguments, size_t length, wherry_caller *caller) {
  (void)context;
  return wherry_caller_return(caller, arguments + 5, length - 5, NULL);
}

static void call(wherry_instance *instance, const char *interface_name, const char *name, const char *text) {
  wherry_error *error;
  wherry_function *function;
  const uint8_t *result;
  size_t length;
  wherry_status status = wherry_function_find(instance, strcmp(interface_name, "-") == 0 ? NULL : interface_name, name,
                                              &function, &error);
  if (status != WHERRY_OK) {
    failed(status, error);
    return;
  }
  status = wherry_function_call(function, bytes, decoded(text), &result, &length, &error);
  if (status != WHERRY_OK)
    failed(status, error);
  else
    printed(result, length);
  wherry_function_free(function);
}

int main(int argc, char **argv) {
  wherry_error *error = NULL;
  wherry_component *component;
  wherry_instance *instance;
  wherry_imports *imports;
  wherry_status status;
  if (argc != 2 && argc != 3)
    return 2;
  status = wherry_component_load_file(NULL, argv[1], 0, &component, &error);
  if (status == WHERRY_OK)
    status = wherry_imports_new(&imports, &error);
  if (status == WHERRY_OK)
    status = wherry_imports_function(imports, NULL, "host", same, NULL, NULL, &error);
  if (status == WHERRY_OK)
    status = wherry_instance_new(component, NULL, imports, &instance, &error);
  if (status != WHERRY_OK) {
    failed(status, error);
    return 1;
  }
  while (fgets(line, sizeof line, stdin) != NULL) {
    char *what = strtok(line, " \n");
    char *interface_name = strtok(NULL, " \n");
    char *name = strtok(NULL, " \n");
    char *text = strtok(NULL, " \n");
    if (what == NULL || strcmp(what, "call") != 0 || text == NULL)
      return 2;
    call(instance, interface_name, name, text);
    fflush(stdout);
  }
  wherry_instance_free(instance);
  wherry_imports_free(imports);
  wherry_component_free(component);
  return 0;
}
