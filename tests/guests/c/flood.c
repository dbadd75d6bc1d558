// Writes as many bytes as its first argument says, numbered lines cut to that length, or without end when it is 0.
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    unsigned long long left = strtoull(argv[1], NULL, 10);
    int endless = left == 0;
    for (unsigned number = 0; endless || left > 0; number++) {
        char line[64];
        size_t length = snprintf(line, sizeof line, "line %u\n", number);
        if (!endless && length > left) length = left;
        if (fwrite(line, 1, length, stdout) != length) return 1;
        left -= length;
    }
    return 0;
}
