// Exports the checks of LevelDB's files.

#include "leveldb/leveldb.h"

#include "common/job_pool.h"
#include "common/napi_util.h"
#include "leveldb/crc32c.h"
#include "leveldb/verify_job.h"

namespace coffer {

namespace {

/** verifyTable(path, expectedBytes, fromDisk): Promise<object> */
napi_value VerifyTable(Call& call) {
  auto job = std::make_unique<VerifyJob>();
  job->path = StringOf(call.env, call.arguments[0]);
  job->expected_bytes = Uint53Of(call.env, call.arguments[1]);
  job->from_disk = BoolOf(call.env, call.arguments[2]);
  return static_cast<JobPool*>(call.data)->Submit(std::move(job), Lane::kWork, {});
}

/** verifyTableIndex(path, expectedBytes): Promise<object> */
napi_value VerifyTableIndex(Call& call) {
  auto job = std::make_unique<VerifyJob>();
  job->path = StringOf(call.env, call.arguments[0]);
  job->expected_bytes = Uint53Of(call.env, call.arguments[1]);
  job->index_only = true;
  return static_cast<JobPool*>(call.data)->Submit(std::move(job), Lane::kWork, {});
}

/** crc32c(bytes): the masked checksum */
napi_value MaskedCrc32c(Call& call) {
  return MakeNumber(call.env, MaskCrc32c(Crc32c(BytesOf(call.env, call.arguments[0]))));
}

}  // namespace

void RegisterLevelDb(napi_env env, napi_value exports) {
  // A pool of its own with one thread: reading a whole table must not hold up those that serve clients.
  JobPool* const pool = JobPool::Create(env);
  pool->set_work_threads(1);
  Export<VerifyTable>(env, exports, "verifyTable", pool);
  Export<VerifyTableIndex>(env, exports, "verifyTableIndex", pool);
  Export<MaskedCrc32c>(env, exports, "crc32c", nullptr);
}

}  // namespace coffer
