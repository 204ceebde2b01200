// The addon's door: one initialiser a folder, nothing else.

#include <node_api.h>

#include "data_path/data_path.h"
#include "fuse_device/fuse_device.h"
#include "leveldb/leveldb.h"

NAPI_MODULE_INIT() {
  coffer::RegisterFuseDevice(env, exports);
  coffer::RegisterDataPath(env, exports);
  coffer::RegisterLevelDb(env, exports);
  return exports;
}
