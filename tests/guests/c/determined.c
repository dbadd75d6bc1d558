// Prints what differs from run to run and from machine to machine, unless someone sees to it: time, chance, bits of NaN,
// relaxed SIMD, the order of a hash table, of variables and of the entries of /data, inode numbers, times of files, sizes of reads, addresses.
#include "variety.h"
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

void say(const char *name, uint64_t word) { printf("%s %016llx\n", name, (unsigned long long)word); }

int main(int argc, char **argv) {
  for (int i = 0; i < 3; i++) {
    struct timespec now;
    clock_gettime(i % 2 ? CLOCK_MONOTONIC : CLOCK_REALTIME, &now);
    printf("time %lld.%09ld\n", (long long)now.tv_sec, now.tv_nsec);
    struct timespec nap = {.tv_sec = 3600};
    nanosleep(&nap, NULL);
  }
  uint8_t chance[8];
  getentropy(chance, sizeof chance);
  for (size_t i = 0; i < sizeof chance; i++)
    printf("%02x", chance[i]);
  printf("\n");

  nan_bits();
  relaxed();
  uint64_t seed;
  getentropy(&seed, sizeof seed);
  hash_order(seed);

  for (char **variable = environ; *variable; variable++)
    printf("%s\n", *variable);
  for (int i = 0; i < argc; i++)
    printf("%s\n", argv[i]);
  printf("terminals %d %d %d\n", isatty(0), isatty(1), isatty(2));

  char buffer[5000];
  for (ssize_t got; (got = read(0, buffer, sizeof buffer)) > 0;)
    printf("read %zd\n", got);

  DIR *folder = opendir("/data");
  if (folder == NULL)
    return 7;
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    struct stat about;
    char path[512];
    snprintf(path, sizeof path, "/data/%s", entry->d_name);
    stat(path, &about);
    printf("%s", entry->d_name);
    if (argc > 1)
      printf(" %llu %lld", (unsigned long long)about.st_ino, (long long)about.st_mtim.tv_sec);
    printf("\n");
  }
  closedir(folder);
  int file = open("/data/written", O_CREAT | O_WRONLY, 0644);
  if (file >= 0)
    dprintf(file, "%p", (void *)&file);
  return 7;
}
