// Traps two calls deep; built with debug information, so that a stack names functions, files and lines.
#include <stdio.h>

__attribute__((noinline)) static void give_up(int why) {
    printf("giving up: %d\n", why);
    fflush(stdout);
    __builtin_trap();
}

__attribute__((noinline)) static void work(int argc) {
    give_up(argc);
    puts("never reached");
}

int main(int argc, char **argv) {
    (void)argv;
    work(argc);
    return 0;
}
