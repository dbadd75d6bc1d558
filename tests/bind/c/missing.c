/* Lists and texts with a length, whose data is NULL: each call says so, and one in between is like any other. */
#include <corpus_text.h>
#include <stdio.h>
#include <string.h>
static int32_t host(void *context, corpus_text_caller *caller, corpus_text_list_string x, corpus_text_list_string *out) {
  (void)caller;
  *out = x;
  if (*(int *)context)
    out->data = NULL;
  return 0;
}
int main(void) {
  int missing = 0;
  corpus_text_imports imports = {&missing, {host}};
  corpus_text_instance *instance = NULL;
  corpus_text_string given[1] = {{NULL, 3}};
  corpus_text_list_string texts = {NULL, 3}, got;
  wherry_error *error;
  if (corpus_text_open(NULL, &imports, &instance, NULL) != WHERRY_OK)
    return 1;
  for (int i = 0; i < 4; i++) {
    wherry_status status = corpus_text_relay(instance, texts, &got, &error);
    printf("%d %s\n", (int)status, strstr(wherry_error_message(error), "its data is NULL") != NULL ? "said" : "");
    wherry_error_free(error);
    texts.data = given;
    texts.length = 1;
    if (i == 1)
      given[0] = corpus_text_text("there");
    if (i == 2)
      missing = 1;
  }
  return corpus_text_close(instance) != WHERRY_OK;
}
