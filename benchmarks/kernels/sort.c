// Sorts three million numbers with the C library's qsort, then checks the order.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { COUNT = 3000000 };
static uint32_t numbers[COUNT];

static int compare(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

int main(void) {
    uint32_t state = 2463534242;
    for (int at = 0; at < COUNT; at++) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        numbers[at] = state;
    }
    qsort(numbers, COUNT, sizeof *numbers, compare);
    uint64_t sum = 0;
    for (int at = 1; at < COUNT; at++) {
        if (numbers[at - 1] > numbers[at]) return 1;
        sum += (uint64_t)numbers[at] * at;
    }
    printf("%llu\n", (unsigned long long)sum);
    return 0;
}
