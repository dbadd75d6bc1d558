// Ends with the code in its first argument, after a word on stdout and one on stderr.
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    puts("out");
    fputs("err\n", stderr);
    exit(atoi(argv[1]));
}
