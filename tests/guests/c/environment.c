// Prints its arguments, one a line, then an empty line, then its environment variables.
#include <stdio.h>

extern char **environ;

int main(int argc, char **argv) {
    for (int at = 0; at < argc; at++) puts(argv[at]);
    puts("");
    for (char **variable = environ; variable && *variable; variable++) puts(*variable);
    return 0;
}
