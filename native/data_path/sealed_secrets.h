// Secrets sealed under another secret, as a keystore holds them: their bytes are never seen by JavaScript.
#pragma once

#include <node_api.h>

namespace coffer {

/** Adds sealSecrets and openSecrets to the exports. */
void RegisterSealedSecrets(napi_env env, napi_value exports);

}  // namespace coffer
