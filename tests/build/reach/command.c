// Copies a file with a greeting and standard input in capitals, and ends with 7.
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
  char line[100];
  FILE *in = fopen(argv[1], "r");
  FILE *out = fopen(argv[2], "w");
  if (argc != 3 || in == NULL || out == NULL || fgets(line, sizeof line, in) == NULL) {
    perror("cannot copy");
    return 3;
  }
  fprintf(out, "%s, %s", getenv("GREETING"), line);
  fclose(out);
  for (int letter; (letter = getchar()) != EOF;) {
    putchar(toupper(letter));
  }
  return 7;
}
