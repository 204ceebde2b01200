// What the daemon asks of the kernel for its own process; see process.h.

#include "common/process.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <limits>

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

/** The kernel's name of a limit. */
int ResourceOf(const std::string& name) {
  if (name == "core") return RLIMIT_CORE;
  if (name == "fileSize") return RLIMIT_FSIZE;
  if (name == "openFiles") return RLIMIT_NOFILE;
  if (name == "cpuTime") return RLIMIT_CPU;
  if (name == "addressSpace") return RLIMIT_AS;
  if (name == "dataSize") return RLIMIT_DATA;
  throw ArgumentError("unknown limit " + name);
}

double NumberOf(rlim_t limit) {
  return limit == RLIM_INFINITY ? std::numeric_limits<double>::infinity() : static_cast<double>(limit);
}

rlim_t LimitOf(napi_env env, napi_value value) {
  double number;
  if (napi_get_value_double(env, value, &number) != napi_ok) throw ArgumentError("a limit is a number");
  if (number == std::numeric_limits<double>::infinity()) return RLIM_INFINITY;
  if (!(number >= 0 && number <= 9007199254740991.0)) throw ArgumentError("a limit is not negative");
  return static_cast<rlim_t>(number);
}

/** getLimit(name): [soft, hard]. Infinity = unlimited. */
napi_value GetLimit(Call& call) {
  rlimit limit;
  const std::string name = StringOf(call.env, call.arguments[0]);
  if (getrlimit(ResourceOf(name), &limit) != 0) throw SystemError(errno, "can't read the limit " + name);
  napi_value pair;
  Check(napi_create_array_with_length(call.env, 2, &pair));
  Check(napi_set_element(call.env, pair, 0, MakeNumber(call.env, NumberOf(limit.rlim_cur))));
  Check(napi_set_element(call.env, pair, 1, MakeNumber(call.env, NumberOf(limit.rlim_max))));
  return pair;
}

/** setLimit(name, soft, hard): boolean. false = not permitted. */
napi_value SetLimit(Call& call) {
  const std::string name = StringOf(call.env, call.arguments[0]);
  const rlimit limit = {LimitOf(call.env, call.arguments[1]), LimitOf(call.env, call.arguments[2])};
  if (setrlimit(ResourceOf(name), &limit) == 0) return MakeBool(call.env, true);
  if (errno == EPERM) return MakeBool(call.env, false);
  throw SystemError(errno, "can't set the limit " + name);
}

/** notifySupervisor(address, message): boolean. As sd_notify(3): a datagram to a path, or to `@name` without one. */
napi_value NotifySupervisor(Call& call) {
  const std::string address = StringOf(call.env, call.arguments[0]);
  const std::string message = StringOf(call.env, call.arguments[1]);
  sockaddr_un target{};
  target.sun_family = AF_UNIX;
  const bool is_known = !address.empty() && (address[0] == '/' || address[0] == '@');
  if (!is_known || address.size() >= sizeof(target.sun_path)) throw ArgumentError("no address of a supervisor");
  std::memcpy(target.sun_path, address.data(), address.size());
  if (address[0] == '@') target.sun_path[0] = '\0';
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
  const FileDescriptor sender(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!sender.IsOpen()) return MakeBool(call.env, false);
  // A supervisor that takes nothing must not hold up the daemon.
  constexpr int kFlags = MSG_NOSIGNAL | MSG_DONTWAIT;
  const auto* to = reinterpret_cast<const sockaddr*>(&target);
  const ssize_t count = sendto(sender.Get(), message.data(), message.size(), kFlags, to, length);
  return MakeBool(call.env, count == static_cast<ssize_t>(message.size()));
}

}  // namespace

void RegisterProcess(napi_env env, napi_value exports) {
  SetFunction(env, exports, "lockFileExclusive", LockFileExclusive);
  SetFunction(env, exports, "setDumpable", SetDumpable);
  SetFunction(env, exports, "setIoFlusher", SetIoFlusher);
  Export<GetLimit>(env, exports, "getLimit", nullptr);
  Export<SetLimit>(env, exports, "setLimit", nullptr);
  Export<NotifySupervisor>(env, exports, "notifySupervisor", nullptr);
}

}  // namespace coffer
