/* The versions that the library says, and whether the header is of the same one. */
#include <inttypes.h>
#include <stdio.h>
#include <wherry.h>

int main(void) {
  printf("%" PRIu32 " %s\n", wherry_abi_version(), wherry_version());
  return wherry_abi_version() == WHERRY_ABI_VERSION ? 0 : 1;
}
