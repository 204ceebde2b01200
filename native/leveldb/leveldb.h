// Checks of LevelDB's files, for JavaScript.
#pragma once

#include <node_api.h>

namespace coffer {

/** Adds verifyTable and crc32c to the exports. */
void RegisterLevelDb(napi_env env, napi_value exports);

}  // namespace coffer
