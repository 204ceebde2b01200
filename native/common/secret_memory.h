// Memory for keys: never swapped where the limits allow it, never in a core dump, wiped before it is given back.
#pragma once

#include <node_api.h>

namespace coffer {

/** Adds allocateSecret to the exports. */
void RegisterSecretMemory(napi_env env, napi_value exports);

}  // namespace coffer
