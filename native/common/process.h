// What the daemon asks of the kernel for its own process: a lock on the store, no core dumps, no waiting on itself,
// its resource limits.

#pragma once

#include <node_api.h>

namespace coffer {

void RegisterProcess(napi_env env, napi_value exports);

}  // namespace coffer
