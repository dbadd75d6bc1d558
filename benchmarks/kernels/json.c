// Parses a JSON document (RFC 8259) of a few megabytes again and again and adds up what is in it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORDS = 20000, ROUNDS = 24 };

static const char *at;
static unsigned long strings, keys;
static double sum;

static void fail(void) {
    printf("malformed at %.20s\n", at);
    exit(1);
}

static void blank(void) {
    while (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r') at++;
}

static void expect(char c) {
    if (*at++ != c) fail();
}

static void string(void) {
    expect('"');
    for (; *at != '"'; at++) {
        if ((unsigned char)*at < 0x20) fail();
        if (*at == '\\' && !strchr("\"\\/bfnrtu", *++at)) fail();
        strings += (unsigned char)*at;
    }
    at++;
}

static void value(void);

static void members(char end, int named) {
    at++;
    blank();
    if (*at == end) {
        at++;
        return;
    }
    for (;;) {
        blank();
        if (named) {
            string();
            keys++;
            blank();
            expect(':');
        }
        value();
        blank();
        if (*at == end) break;
        expect(',');
    }
    at++;
}

static void word(const char *text) {
    for (; *text; text++) expect(*text);
}

static void value(void) {
    blank();
    switch (*at) {
        case '{': members('}', 1); break;
        case '[': members(']', 0); break;
        case '"': string(); break;
        case 't': word("true"); break;
        case 'f': word("false"); break;
        case 'n': word("null"); break;
        default: {
            char *end;
            sum += strtod(at, &end);
            if (end == at) fail();
            at = end;
        }
    }
}

int main(void) {
    char *text = malloc(RECORDS * 128), *end = text;
    *end++ = '[';
    for (int record = 0; record < RECORDS; record++)
        end += sprintf(end, "%s{\"id\": %d, \"name\": \"record \\\"%d\\\"\", \"score\": %d.%02de-1, \"tags\": [\"a\", true, null, [%d]]}\n",
                       record ? "," : "", record, record * 7, record % 1000, record % 97, -record);
    strcpy(end, "]");
    for (int round = 0; round < ROUNDS; round++) {
        at = text;
        value();
    }
    printf("%lu %lu %.6f\n", strings, keys, sum);
    return 0;
}
