// Preloaded into a process: some writes of block files end early, as a disk's may. See short-writes.test.ts.
//
//   SHORT_WRITES=HOW:SKIP   after so many writes of block files; HOW is
//     half    every write from then on writes half of its pages
//     odd     every write from then on ends within a page
//     none    one write returns 0
//     ENOSPC  one write writes half, and what follows it fails
//     EIO     the same with that error

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAGE = 4096 };

static atomic_int writes;
/** writes that are to fail, since the one before was cut short */
static atomic_int failing;

static int is_block_file(int descriptor) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 4) return 0;
  path[length] = 0;
  return strcmp(path + length - 4, ".blk") == 0;
}

static ssize_t write_some(int descriptor, const void *bytes, size_t size, off64_t offset) {
  static ssize_t (*real)(int, const void *, size_t, off64_t);
  if (real == NULL) real = (ssize_t(*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
  const char *how = getenv("SHORT_WRITES");
  if (how == NULL || !is_block_file(descriptor)) return real(descriptor, bytes, size, offset);
  const char *colon = strchr(how, ':');
  const int skip = colon == NULL ? 0 : atoi(colon + 1);
  if (atomic_exchange(&failing, 0)) {
    errno = strncmp(how, "EIO", 3) == 0 ? EIO : ENOSPC;
    return -1;
  }
  const int number = atomic_fetch_add(&writes, 1);
  if (number < skip) return real(descriptor, bytes, size, offset);
  const size_t half = size / 2 / PAGE * PAGE;
  if (strncmp(how, "half", 4) == 0) return real(descriptor, bytes, half > 0 ? half : size, offset);
  if (strncmp(how, "odd", 3) == 0) {
    if (size <= 100) return real(descriptor, bytes, size, offset);
    // Direct I/O knows whole pages only.
    fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_DIRECT);
    return real(descriptor, bytes, size - 100, offset);
  }
  if (number > skip) return real(descriptor, bytes, size, offset);
  if (strncmp(how, "none", 4) == 0) return 0;
  atomic_store(&failing, 1);
  return half > 0 ? real(descriptor, bytes, half, offset) : real(descriptor, bytes, size, offset);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t size, off64_t offset) {
  return write_some(descriptor, bytes, size, offset);
}

ssize_t pwrite(int descriptor, const void *bytes, size_t size, off_t offset) {
  return write_some(descriptor, bytes, size, offset);
}
