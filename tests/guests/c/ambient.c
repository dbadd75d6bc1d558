// Prints what it can learn of time and chance: `ambient read` once, `ambient wait` after waits of hours.
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <wasi/api.h>

static void clock_(const char *name, clockid_t id) {
  struct timespec now;
  if (clock_gettime(id, &now) != 0)
    printf("%s: errno %d\n", name, errno);
  else
    printf("%s: %lld.%09ld\n", name, (long long)now.tv_sec, now.tv_nsec);
}

static __wasi_subscription_t timer(uint64_t userdata, __wasi_clockid_t id, uint64_t timeout, int absolute) {
  __wasi_subscription_t subscription = {.userdata = userdata};
  subscription.u.tag = __WASI_EVENTTYPE_CLOCK;
  subscription.u.u.clock.id = id;
  subscription.u.u.clock.timeout = timeout;
  subscription.u.u.clock.flags = absolute ? __WASI_SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME : 0;
  return subscription;
}

static __wasi_subscription_t descriptor(uint64_t userdata, __wasi_eventtype_t tag, __wasi_fd_t fd) {
  __wasi_subscription_t subscription = {.userdata = userdata};
  subscription.u.tag = tag;
  subscription.u.u.fd_read.file_descriptor = fd;
  return subscription;
}

static void wait_(const char *name, const __wasi_subscription_t *subscriptions, size_t count) {
  __wasi_event_t events[8];
  __wasi_size_t came = 0;
  __wasi_errno_t error = __wasi_poll_oneoff(subscriptions, events, count, &came);
  printf("%s:", name);
  if (error != 0)
    printf(" error %d", error);
  else
    for (size_t i = 0; i < came; i++)
      printf(" %llu", (unsigned long long)events[i].userdata);
  printf("\n");
}

#define HOUR 3600000000000ull

int main(int argc, char **argv) {
  uint8_t bytes[16];
  clock_("wall", CLOCK_REALTIME);
  clock_("monotonic", CLOCK_MONOTONIC);
  __wasi_errno_t error = __wasi_random_get(bytes, sizeof bytes);
  printf("random:");
  if (error != 0)
    printf(" error %d", error);
  else
    for (size_t i = 0; i < sizeof bytes; i++)
      printf("%s%02x", i == 0 ? " " : "", bytes[i]);
  printf("\n");
  if (argc < 2 || strcmp(argv[1], "wait") != 0)
    return 0;
  struct timespec hours = {.tv_sec = 7200};
  printf("nanosleep: %d\n", nanosleep(&hours, NULL));
  clock_("wall", CLOCK_REALTIME);
  __wasi_subscription_t timers[] = {
      timer(1, __WASI_CLOCKID_MONOTONIC, 5 * HOUR, 0),
      timer(2, __WASI_CLOCKID_MONOTONIC, 3 * HOUR, 1),
      timer(3, __WASI_CLOCKID_REALTIME, 4 * HOUR, 0),
  };
  wait_("timers", timers, 3);
  clock_("monotonic", CLOCK_MONOTONIC);
  __wasi_subscription_t both[] = {
      timer(1, __WASI_CLOCKID_MONOTONIC, HOUR, 0),
      descriptor(2, __WASI_EVENTTYPE_FD_WRITE, 1),
      timer(3, __WASI_CLOCKID_MONOTONIC, 0, 0),
      descriptor(4, __WASI_EVENTTYPE_FD_READ, 0),
  };
  wait_("timers and streams", both, 4);
  clock_("monotonic", CLOCK_MONOTONIC);
  return 0;
}
