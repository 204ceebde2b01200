// Mounting and unmounting; see mount.h.

#include "fuse_device/mount.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "common/napi_util.h"

extern char** environ;

namespace coffer {
namespace {

constexpr const char* kDevice = "/dev/fuse";
// What fusermount3 finds its end of the hand-over socket under.
constexpr int kHandOverNumber = 3;
// Enough of a tool's complaint for one error message.
constexpr size_t kComplaintBytesMax = 1024;

void MakeNonBlocking(int number) {
  const int flags = fcntl(number, F_GETFL);
  if (flags < 0 || fcntl(number, F_SETFL, flags | O_NONBLOCK) != 0) {
    throw SystemError(errno, "can't make /dev/fuse non-blocking");
  }
}

FileDescriptor MountAsRoot(const MountOptions& options) {
  FileDescriptor device(open(kDevice, O_RDWR | O_CLOEXEC));
  if (!device.IsOpen()) {
    if (errno == ENOENT || errno == ENODEV || errno == ENXIO) {
      throw CodedError("FUSE_MISSING", "/dev/fuse is missing: load the kernel's module (modprobe fuse).");
    }
    throw SystemError(errno, "can't open /dev/fuse");
  }
  MakeNonBlocking(device.Get());
  std::string data = "fd=" + std::to_string(device.Get()) + ",rootmode=40000" +
                     ",user_id=" + std::to_string(getuid()) +
                     ",group_id=" + std::to_string(getgid()) + ",default_permissions";
  if (options.allow_other) data += ",allow_other";
  // As libfuse: a mount that programs fill must not hand out devices or setuid programs.
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV;
  const char* const target = options.mount_point.c_str();
  if (mount("coffer", target, "fuse.coffer", kFlags, data.c_str()) == 0) return device;
  // A kernel that knows no subtype in the type's name may know it as an option, or not at all.
  if (errno == ENODEV) {
    if (mount("coffer", target, "fuse", kFlags, (data + ",subtype=coffer").c_str()) == 0) return device;
    if (mount("coffer", target, "fuse", kFlags, data.c_str()) == 0) return device;
  }
  if (errno == ENODEV) throw CodedError("FUSE_MISSING", "This kernel has no FUSE.");
  if (errno == EPERM) {
    throw CodedError("MOUNT_REFUSED", "The kernel refuses to mount here (a container without CAP_SYS_ADMIN?).");
  }
  throw SystemError(errno, "can't mount " + options.mount_point);
}

class SpawnActions {
 public:
  SpawnActions() { posix_spawn_file_actions_init(&actions_); }
  ~SpawnActions() { posix_spawn_file_actions_destroy(&actions_); }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
  void Duplicate(int from, int to) { posix_spawn_file_actions_adddup2(&actions_, from, to); }
  const posix_spawn_file_actions_t* Get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

/** Starts fusermount3 (or its FUSE 2 namesake). `hand_over` is -1 when there is no socket to pass. */
pid_t SpawnFusermount(std::vector<std::string> arguments, int hand_over, int complaints) {
  SpawnActions actions;
  // complaints may be number 3 itself, so it moves first.
  actions.Duplicate(complaints, STDERR_FILENO);
  if (hand_over >= 0) actions.Duplicate(hand_over, kHandOverNumber);
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (strncmp(*variable, "_FUSE_COMMFD=", 13) != 0) variables.emplace_back(*variable);
  }
  if (hand_over >= 0) variables.push_back("_FUSE_COMMFD=" + std::to_string(kHandOverNumber));
  std::vector<char*> environment = Pointers(variables);
  for (const char* program : {"fusermount3", "fusermount"}) {
    arguments[0] = program;
    std::vector<char*> argv = Pointers(arguments);
    pid_t child = 0;
    const int error = posix_spawnp(&child, program, actions.Get(), nullptr, argv.data(), environment.data());
    if (error == 0) return child;
    if (error != ENOENT) throw SystemError(error, std::string("can't run ") + program);
  }
  throw CodedError("FUSE_MISSING", "fusermount3 is missing: install the package fuse3.");
}

std::string ReadComplaints(int number) {
  std::string text(kComplaintBytesMax, '\0');
  size_t length = 0;
  while (length < text.size()) {
    const ssize_t count = read(number, text.data() + length, text.size() - length);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    length += static_cast<size_t>(count);
  }
  text.resize(length);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

/** The tool's exit status; -1 when a signal ended it. */
int WaitFor(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return -1;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/** Receives the descriptor that fusermount3 sends; not open when it hung up instead. */
FileDescriptor ReceiveDescriptor(int socket) {
  char byte = 0;
  iovec vector{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  ssize_t count;
  do {
    count = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (count < 0 && errno == EINTR);
  if (count <= 0) return FileDescriptor();
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return FileDescriptor();
  int number = -1;
  memcpy(&number, CMSG_DATA(header), sizeof(number));
  return FileDescriptor(number);
}

struct Pipe {
  FileDescriptor reading;
  FileDescriptor writing;

  Pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw SystemError(errno, "can't make a pipe");
    reading = FileDescriptor(ends[0]);
    writing = FileDescriptor(ends[1]);
  }
};

FileDescriptor MountWithFusermount(const MountOptions& options) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    throw SystemError(errno, "can't make a socket pair");
  }
  FileDescriptor ours(ends[0]);
  FileDescriptor theirs(ends[1]);
  Pipe complaints;
  std::string words = "fsname=coffer,subtype=coffer,default_permissions";
  if (options.allow_other) words += ",allow_other";
  const pid_t child = SpawnFusermount({"", "-o", words, "--", options.mount_point}, theirs.Get(),
                                      complaints.writing.Get());
  theirs.Close();
  complaints.writing.Close();
  FileDescriptor device = ReceiveDescriptor(ours.Get());
  const std::string text = ReadComplaints(complaints.reading.Get());
  const int status = WaitFor(child);
  if (!device.IsOpen()) {
    throw CodedError("MOUNT_REFUSED", text.empty() ? "fusermount3 failed, status " + std::to_string(status) : text);
  }
  MakeNonBlocking(device.Get());
  return device;
}

}  // namespace

FileDescriptor MountFuse(const MountOptions& options) {
  return geteuid() == 0 ? MountAsRoot(options) : MountWithFusermount(options);
}

void UnmountFuse(const std::string& mount_point, bool lazy) {
  if (geteuid() == 0) {
    if (umount2(mount_point.c_str(), UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) != 0) {
      throw SystemError(errno, "can't unmount " + mount_point);
    }
    return;
  }
  std::vector<std::string> arguments{"", "-u"};
  if (lazy) arguments.push_back("-z");
  arguments.push_back("--");
  arguments.push_back(mount_point);
  Pipe complaints;
  const pid_t child = SpawnFusermount(std::move(arguments), -1, complaints.writing.Get());
  complaints.writing.Close();
  const std::string text = ReadComplaints(complaints.reading.Get());
  if (WaitFor(child) == 0) return;
  const bool busy = text.find("busy") != std::string::npos;
  throw CodedError(busy ? "EBUSY" : "UNMOUNT_REFUSED", text.empty() ? "fusermount3 -u failed" : text);
}

}  // namespace coffer
