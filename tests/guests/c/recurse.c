// Calls itself until there is no stack left.
#include <stdlib.h>

static volatile int depth;

__attribute__((noinline)) static int deeper(int at) {
    volatile char frame[64];
    frame[at % 64] = (char)at;
    depth = at;
    return deeper(at + 1) + frame[0];
}

int main(void) { return deeper(0) & 1; }
