/* Loads a package: its store and its name are given. Prints the digest of its component, or what is wrong. */
#include "checking.h"

int main(int argc, char **argv) {
  wherry_error *error = NULL;
  wherry_context *context = NULL;
  wherry_component *component = NULL;
  const char *digest;
  CHECK(argc == 3);
  EXPECT(WHERRY_OK, wherry_context_new(&context, &error));
  EXPECT(WHERRY_USAGE, wherry_context_set(context, "colour", "blue", &error));
  EXPECT(WHERRY_OK, wherry_context_set(context, "store", argv[1], &error));
  EXPECT(WHERRY_OK, wherry_context_set(context, "cache", "off", &error));
  if (wherry_component_load_package(context, argv[2], &component, &error) == WHERRY_OK) {
    EXPECT(WHERRY_OK, wherry_component_digest(component, &digest, &error));
    printf("%s\n", digest);
  } else {
    printf("error %d %s\n", wherry_error_status(error), wherry_error_message(error));
    wherry_error_free(error);
  }
  wherry_component_free(component);
  wherry_context_free(context);
  return 0;
}
