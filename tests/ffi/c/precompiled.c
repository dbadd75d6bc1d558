/* Code that was compiled ahead of time. Arguments: the compiled component with `add`, and whether there is a compiler for `add.wat`. */
#include "checking.h"

int main(int argc, char **argv) {
  wherry_error *error = NULL;
  wherry_component *component = NULL;
  wherry_context *context = NULL;
  wherry_instance *instance;
  wherry_function *add;
  struct arguments arguments;
  const char *json;
  CHECK(argc == 4);
  /* It is code that is trusted, so that has to be said. */
  EXPECT(WHERRY_PRECOMPILED, wherry_component_load_file(NULL, argv[1], 0, &component, &error));
  EXPECT(WHERRY_OK, wherry_component_load_file(NULL, argv[1], WHERRY_LOAD_PRECOMPILED, &component, &error));
  instance = made(component, NULL, NULL);
  add = found(instance, NULL, "add");
  arguments.length = (size_t)(put_u32(put_u32(put_u32(arguments.bytes, 0x14, 2), 7, 2), 7, 3) - arguments.bytes);
  CHECK(number(add, arguments) == 5);
  EXPECT(WHERRY_PRECOMPILED, wherry_component_interface(component, &json, &error));
  wherry_function_free(add);
  wherry_instance_free(instance);
  wherry_component_free(component);
  EXPECT(WHERRY_OK, wherry_context_new(&context, &error));
  EXPECT(WHERRY_OK, wherry_context_set(context, "cache", "off", &error));
  if (strcmp(argv[3], "compiler") == 0) {
    EXPECT(WHERRY_OK, wherry_component_load_file(context, argv[2], 0, &component, &error));
    wherry_component_free(component);
  } else {
    CHECK(wherry_component_load_file(context, argv[2], 0, &component, &error) == WHERRY_UNSUPPORTED);
    CHECK(strstr(wherry_error_hint(error), "wherry compile --mode interruptible") != NULL);
    wherry_error_free(error);
  }
  wherry_context_free(context);
  return 0;
}
