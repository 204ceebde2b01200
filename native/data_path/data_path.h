// The data path's door: cutting, fingerprinting, sealing, opening and file I/O of regions.
#pragma once

#include <node_api.h>

namespace coffer {

/** Adds the functions that src/native/data-path.ts types to the exports. */
void RegisterDataPath(napi_env env, napi_value exports);

}  // namespace coffer
