// Copies stdin to stdout as bytes, as they come, without a buffer of its own between.
#include <unistd.h>

int main(void) {
    char bytes[65536];
    ssize_t have;
    while ((have = read(0, bytes, sizeof bytes)) > 0) {
        for (ssize_t at = 0; at < have;) {
            ssize_t wrote = write(1, bytes + at, have - at);
            if (wrote < 0) return 1;
            at += wrote;
        }
    }
    return have < 0;
}
