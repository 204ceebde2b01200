// What the daemon asks of the kernel for its own process; see process.h.

#include "common/process.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/prctl.h>

#include <cerrno>

#include "common/file_descriptor.h"
#include "common/napi_util.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57  // Linux 5.6; older headers lack it
#endif

namespace coffer {
namespace {

napi_value Argument(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value value;
  napi_get_cb_info(env, info, &count, &value, nullptr, nullptr);
  return value;
}

/** lockFileExclusive(path): fd. The lock lives as long as the descriptor: a dead process never leaves one. */
napi_value LockFileExclusive(napi_env env, napi_callback_info info) {
  return Guarded(env, [&] {
    const std::string path = StringOf(env, Argument(env, info));
    FileDescriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!file.IsOpen()) throw SystemError(errno, "can't open " + path);
    if (flock(file.Get(), LOCK_EX | LOCK_NB) != 0) throw SystemError(errno, "can't lock " + path);
    return MakeNumber(env, static_cast<uint32_t>(file.Release()));
  });
}

/** setDumpable(flag): boolean. Off: no core dump and no ptrace by the same user, so keys stay in memory. */
napi_value SetDumpable(napi_env env, napi_callback_info info) {
  return Guarded(env, [&] {
    const bool dumpable = BoolOf(env, Argument(env, info));
    return MakeBool(env, prctl(PR_SET_DUMPABLE, dumpable ? 1 : 0, 0, 0, 0) == 0);
  });
}

/**
 * setIoFlusher(): boolean. Memory that this thread needs is never found by writing back through our own mount.
 * Needs CAP_SYS_RESOURCE; false = not granted.
 */
napi_value SetIoFlusher(napi_env env, napi_callback_info) {
  return MakeBool(env, prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) == 0);
}

}  // namespace

void RegisterProcess(napi_env env, napi_value exports) {
  SetFunction(env, exports, "lockFileExclusive", LockFileExclusive);
  SetFunction(env, exports, "setDumpable", SetDumpable);
  SetFunction(env, exports, "setIoFlusher", SetIoFlusher);
}

}  // namespace coffer
