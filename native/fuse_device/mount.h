// Mounting and unmounting: mount(2) as root, fusermount3 otherwise. Blocking; called off the event loop.

#pragma once

#include <string>

#include "common/file_descriptor.h"

namespace coffer {

struct MountOptions {
  std::string mount_point;
  bool allow_other = false;
};

/** The mounted /dev/fuse, non-blocking. Throws CodedError (FUSE_MISSING, MOUNT_REFUSED, an errno's name). */
FileDescriptor MountFuse(const MountOptions& options);

/** `lazy` detaches a mount that is in use. Throws CodedError (EBUSY, EINVAL, ...). */
void UnmountFuse(const std::string& mount_point, bool lazy);

}  // namespace coffer
