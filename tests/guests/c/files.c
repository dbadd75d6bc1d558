// `files read PATH`, `files write PATH TEXT`, `files list PATH`; says the system's error and ends with 1.
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int failed(const char *path) {
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    return 1;
}

static int read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) return failed(path);
    char bytes[4096];
    for (size_t have; (have = fread(bytes, 1, sizeof bytes, file)) > 0;) fwrite(bytes, 1, have, stdout);
    return fclose(file) ? failed(path) : 0;
}

static int write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "wb");
    if (!file) return failed(path);
    fputs(text, file);
    return fclose(file) ? failed(path) : 0;
}

static int list_folder(const char *path) {
    DIR *folder = opendir(path);
    if (!folder) return failed(path);
    for (struct dirent *entry; (entry = readdir(folder));) puts(entry->d_name);
    return closedir(folder) ? failed(path) : 0;
}

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "read")) return read_file(argv[2]);
    if (argc == 4 && !strcmp(argv[1], "write")) return write_file(argv[2], argv[3]);
    if (argc == 3 && !strcmp(argv[1], "list")) return list_folder(argv[2]);
    return 2;
}
