// Says that it runs, then never ends and never calls the host again.
#include <stdio.h>

int main(void) {
    puts("spinning");
    fflush(stdout);
    for (volatile unsigned turns = 0;; turns++) {
    }
}
