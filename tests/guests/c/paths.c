// `paths OPERATION ARGUMENT...`, several divided by `--`: does one after another and prints `ok` or the system's error for
// each; ends with 1 when one failed.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char bytes[65536];

static int closed(int file, long done) {
    int error = errno;
    if (file >= 0) close(file);
    errno = error;
    return file < 0 || done < 0 ? -1 : 0;
}

static int opened(char **a) {
    int flags = O_RDONLY;
    if (!strcmp(a[0], "write")) flags = O_WRONLY | O_CREAT;
    if (!strcmp(a[0], "update")) flags = O_RDWR;
    if (!strcmp(a[0], "append")) flags = O_WRONLY | O_APPEND;
    if (!strcmp(a[0], "empty")) flags = O_WRONLY | O_TRUNC;
    if (!strcmp(a[0], "new")) flags = O_WRONLY | O_CREAT | O_EXCL;
    if (!strcmp(a[0], "nofollow")) flags = O_RDONLY | O_NOFOLLOW;
    int file = open(a[1], flags, 0666);
    if (file < 0) return -1;
    if (flags & O_TRUNC) return closed(file, 0);
    if (flags & (O_WRONLY | O_RDWR) && !(flags & O_RDONLY)) return closed(file, write(file, "guest", 5));
    long have = read(file, bytes, sizeof bytes - 1);
    if (have > 0) printf("%.*s\n", (int)have, bytes);
    return closed(file, have);
}

static int listed(const char *path) {
    DIR *folder = opendir(path);
    if (!folder) return -1;
    for (struct dirent *entry; (entry = readdir(folder));)
        if (entry->d_name[0] != '.') puts(entry->d_name);
    return closedir(folder);
}

// In pieces of `piece`, as many as `total` takes; says how much was written.
static int filled(const char *path, long total, long piece) {
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (file < 0) return -1;
    long done = 0, have = 0;
    while (done < total) {
        long want = total - done < piece ? total - done : piece;
        have = write(file, bytes, want);
        if (have <= 0) break;
        done += have;
    }
    int error = errno;
    printf("%ld\n", done);
    errno = error;
    return closed(file, have);
}

static int sized(const char *path, long long size) {
    int file = open(path, O_RDWR | O_CREAT, 0666);
    return closed(file, file < 0 ? -1 : ftruncate(file, size));
}

// Opens a file again and again; says how often that went well, and closes all.
static int held(const char *path, int most) {
    int *files = calloc(most, sizeof *files), count = 0, error = 0;
    while (count < most && (files[count] = open(path, O_RDONLY)) >= 0) count++;
    error = errno;
    printf("%d\n", count);
    for (int i = 0; i < count; i++) close(files[i]);
    errno = error;
    return count < most ? -1 : 0;
}

// Opens and reads a file `times` times, whatever comes of it, unless it says `text`.
static int never(const char *path, long times, const char *text) {
    for (long i = 0; i < times; i++) {
        int file = open(path, O_RDONLY);
        long have = file < 0 ? 0 : read(file, bytes, sizeof bytes);
        if (file >= 0) close(file);
        if (have >= (long)strlen(text) && !strncmp(bytes, text, strlen(text))) return errno = EILSEQ, -1;
    }
    return 0;
}

// Changes the times of a file that is open to be read.
static int dated(const char *path) {
    struct timespec times[2] = {{1000, 0}, {1000, 0}};
    int file = open(path, O_RDONLY);
    return closed(file, file < 0 ? -1 : futimens(file, times));
}

static int put(const char *path) {
    int file = open(path, O_WRONLY | O_CREAT, 0666);
    return closed(file, file < 0 ? -1 : write(file, "guest", 5));
}

static const char *in(const char *folder, const char *name) {
    static char paths[4][512];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

// Does all that can be done in a folder, and between it and another one, again and again; says how often it went well. What
// it reads must not say `outside`.
static int raced(const char *folder, const char *other, long times) {
    long reads = 0, changes = 0;
    for (long i = 0; i < times; i++) {
        int file = open(in(folder, "file"), O_RDONLY);
        long have = file < 0 ? -1 : read(file, bytes, sizeof bytes);
        if (file >= 0) close(file);
        if (have >= 7 && !memcmp(bytes, "outside", 7)) return errno = EILSEQ, -1;
        reads += have >= 0;
        changes += !put(in(folder, "made"));
        changes += !link(in(folder, "made"), in(folder, "linked"));
        changes += !rename(in(folder, "made"), in(other, "moved"));
        changes += !rename(in(other, "moved"), in(folder, "back"));
        changes += !mkdir(in(folder, "deep"), 0777);
        changes += !symlink("file", in(folder, "link"));
        changes += !truncate(in(folder, "back"), 3);
        changes += !rmdir(in(folder, "deep"));
        changes += !unlink(in(folder, "link"));
        changes += !unlink(in(folder, "linked"));
        changes += !unlink(in(folder, "back"));
        unlink(in(other, "moved"));
    }
    printf("%ld %ld\n", reads, changes);
    return 0;
}

// Opens, reads and closes a file `times` times.
static int reread(const char *path, long times) {
    for (long i = 0; i < times; i++) {
        int file = open(path, O_RDONLY);
        if (closed(file, file < 0 ? -1 : read(file, bytes, sizeof bytes))) return -1;
    }
    return 0;
}

// From the folder itself, so that the C library does not look for a better one.
static int below(const char *folder, const char *path, int writes) {
    int start = open(folder, O_RDONLY | O_DIRECTORY);
    if (start < 0) return -1;
    int file = openat(start, path, writes ? O_WRONLY | O_CREAT : O_RDONLY, 0666);
    int error = errno;
    close(start);
    errno = error;
    return closed(file, file < 0 ? -1 : writes ? write(file, "guest", 5) : read(file, bytes, sizeof bytes));
}

static int run(char **a) {
    struct stat found;
    struct timespec times[2] = {{1000, 0}, {1000, 0}};
    if (!strcmp(a[0], "stat")) return stat(a[1], &found);
    if (!strcmp(a[0], "list")) return listed(a[1]);
    if (!strcmp(a[0], "mkdir")) return mkdir(a[1], 0777);
    if (!strcmp(a[0], "rmdir")) return rmdir(a[1]);
    if (!strcmp(a[0], "unlink")) return unlink(a[1]);
    if (!strcmp(a[0], "rename")) return rename(a[1], a[2]);
    if (!strcmp(a[0], "link")) return link(a[1], a[2]);
    if (!strcmp(a[0], "symlink")) return symlink(a[1], a[2]);
    if (!strcmp(a[0], "open-times")) return dated(a[1]);
    if (!strcmp(a[0], "input")) return read(0, bytes, 64) < 0;
    if (!strcmp(a[0], "race")) return raced(a[1], a[2], atol(a[3]));
    if (!strcmp(a[0], "times")) return utimensat(AT_FDCWD, a[1], times, 0);
    if (!strcmp(a[0], "fill")) return filled(a[1], atol(a[2]), atol(a[3]));
    if (!strcmp(a[0], "size")) return sized(a[1], atoll(a[2]));
    if (!strcmp(a[0], "hold")) return held(a[1], atoi(a[2]));
    if (!strcmp(a[0], "reread")) return reread(a[1], atol(a[2]));
    if (!strcmp(a[0], "never")) return never(a[1], atol(a[2]), a[3]);
    if (!strcmp(a[0], "below")) return below(a[1], a[2], 0);
    if (!strcmp(a[0], "write-below")) return below(a[1], a[2], 1);
    return opened(a);
}

int main(int argc, char **argv) {
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        char **operation = argv + i;
        while (i < argc && strcmp(argv[i], "--")) i++;
        argv[i] = NULL;
        int result = run(operation);
        printf("%s: %s\n", operation[0], result ? strerror(errno) : "ok");
        failed |= result != 0;
    }
    return failed;
}
