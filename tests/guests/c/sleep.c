// Says that it sleeps, then sleeps for the milliseconds in its first argument, in the host.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    long milliseconds = atol(argv[1]);
    puts("sleeping");
    fflush(stdout);
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    nanosleep(&time, NULL);
    puts("awake");
    return 0;
}
