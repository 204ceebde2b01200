// The FUSE device for JavaScript: mounting, the session, and what the process asks of the kernel.

#pragma once

#include <node_api.h>

namespace coffer {

void RegisterFuseDevice(napi_env env, napi_value exports);

}  // namespace coffer
