/* Calls three interfaces of one name, whose guest calls two of the host's. */
#include <corpus_versions.h>
#include <stdio.h>
#include <string.h>

static int32_t one(void *context, corpus_versions_caller *caller, const corpus_versions_log_1_0_0_line *line, uint32_t *out) {
  (void)context;
  (void)caller;
  *out = (uint32_t)printf("%.*s ", (int)line->text.length, line->text.data);
  return 0;
}

static int32_t two(void *context, corpus_versions_caller *caller, const corpus_versions_log_2_1_0_line *line, uint32_t *out) {
  (void)context;
  (void)caller;
  *out = line->level == 2 ? (uint32_t)printf("%.*s ", (int)line->text.length, line->text.data) : 0;
  return 0;
}

int main(void) {
  corpus_versions_imports imports = {NULL, {one}, {two}};
  corpus_versions_instance *instance;
  const corpus_versions_codec_1_0_0_frame first = {{(const uint8_t *)"data", 4}};
  const corpus_versions_codec_2_0_0_frame second = {{(const uint8_t *)"data", 4}};
  const corpus_versions_codec_1_0_0_beta_2_frame other = {corpus_versions_text("text")};
  corpus_versions_codec_1_0_0_frame first_back;
  corpus_versions_codec_2_0_0_frame second_back;
  corpus_versions_codec_1_0_0_beta_2_frame other_back;
  if (corpus_versions_open(NULL, &imports, &instance, NULL) != WHERRY_OK)
    return 1;
  if (corpus_versions_codec_1_0_0_swap(instance, &first, &first_back, NULL) == WHERRY_OK)
    printf("%.4s\n", (const char *)first_back.data.data);
  if (corpus_versions_codec_2_0_0_swap(instance, &second, &second_back, NULL) == WHERRY_OK)
    printf("%.4s\n", (const char *)second_back.data.data);
  if (corpus_versions_codec_1_0_0_beta_2_swap(instance, &other, &other_back, NULL) == WHERRY_OK)
    printf("%.4s\n", other_back.data.data);
  return corpus_versions_close(instance) != WHERRY_OK;
}
