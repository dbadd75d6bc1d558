// Takes memory, a megabyte at a time and each byte written, until there is none.
// `greedy handle` says how many megabytes it got and ends with 0; without it, the guest traps as `abort` does.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Keeps the compiler from seeing that nobody reads the blocks.
static char *volatile last;

int main(int argc, char **argv) {
    (void)argv;
    const size_t megabyte = 1 << 20;
    for (int megabytes = 0;; megabytes++) {
        char *block = malloc(megabyte);
        if (!block) {
            if (argc < 2) abort();
            printf("%d\n", megabytes);
            return 0;
        }
        memset(block, 1, megabyte);
        last = block;
    }
}
