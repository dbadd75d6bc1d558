// The mean of each city, from lines of city,date,celsius with a heading.
#include <stdio.h>
#include <string.h>

enum { CITIES = 100 };

struct city {
  char name[40];
  double sum;
  int days;
};

int main(void) {
  static struct city cities[CITIES];
  int count = 0;
  char name[40];
  double celsius;
  scanf("%*[^\n]");
  while (scanf(" %39[^,],%*[^,],%lf", name, &celsius) == 2) {
    int at = 0;
    while (at < count && strcmp(cities[at].name, name) != 0) at++;
    if (at == CITIES) {
      fprintf(stderr, "more than %d cities\n", CITIES);
      return 1;
    }
    if (at == count) strcpy(cities[count++].name, name);
    cities[at].sum += celsius;
    cities[at].days++;
  }
  for (int at = 0; at < count; at++)
    printf("%s %.1f\n", cities[at].name, cities[at].sum / cities[at].days);
  return 0;
}
