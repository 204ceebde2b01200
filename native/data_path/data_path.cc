// The functions that JavaScript sees: arguments in, a job into the pool, a promise out.

#include "data_path/data_path.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "common/arena.h"
#include "common/job_pool.h"
#include "common/napi_util.h"
#include "common/secret_memory.h"
#include "data_path/fingerprint.h"
#include "data_path/jobs.h"
#include "data_path/sealed_secrets.h"
#include "data_path/thread_memory.h"

namespace coffer {

namespace {

/** What belongs to one JavaScript environment. */
struct DataPath {
  JobPool* pool;
};

DataPath& StateOf(Call& call) { return *static_cast<DataPath*>(call.data); }

std::unique_ptr<CutJob> CutJobOf(Call& call) {
  auto job = std::make_unique<CutJob>();
  napi_value* const arguments = call.arguments;
  job->data = BytesOf(call.env, arguments[0]);
  job->TakeKey(SecretBytesOf(call.env, arguments[1], kChunkKeyBytes));
  job->parameters.window = Uint32Of(call.env, arguments[2]);
  job->parameters.bytes_max = Uint32Of(call.env, arguments[3]);
  if (job->parameters.window == 0 || job->parameters.bytes_max == 0) throw ArgumentError("A size is at least 1");
  if (job->parameters.bytes_max > kChunkBytesMax) throw ArgumentError("Chunks have 256 KiB at most");
  job->is_end = BoolOf(call.env, arguments[4]);
  job->instruction_set = CurrentInstructionSet();
  return job;
}

/** cutAndFingerprint(data, key, window, maxBytes, isEnd) */
napi_value CutAndFingerprint(Call& call) {
  return StateOf(call).pool->Submit(CutJobOf(call), Lane::kWork, {call.arguments[0]});
}

/** The same in this turn, for data so small that a thread's wake-up costs more. */
napi_value CutAndFingerprintNow(Call& call) {
  const auto job = CutJobOf(call);
  job->Run();
  return job->Result(call.env);
}

BlockIdentity IdentityOf(napi_env env, napi_value object) {
  BlockIdentity identity;
  identity.group = static_cast<uint16_t>(Uint32Of(env, Property(env, object, "group")));
  identity.key_id = static_cast<uint16_t>(Uint32Of(env, Property(env, object, "keyId")));
  identity.block = Uint32Of(env, Property(env, object, "block"));
  identity.has_key = identity.key_id != 0;
  if (identity.has_key) identity.content_key.Fill(SecretBytesOf(env, Property(env, object, "key"), kKeyBytes));
  return identity;
}

/** createBlockFile(path, identity, createdSeconds): Promise<handle> */
napi_value CreateBlockFile(Call& call) {
  auto job = std::make_unique<FileJob>();
  job->path = StringOf(call.env, call.arguments[0]);
  job->identity = IdentityOf(call.env, call.arguments[1]);
  job->created_seconds = Uint53Of(call.env, call.arguments[2]);
  job->is_new = true;
  return StateOf(call).pool->Submit(std::move(job), Lane::kUrgent, {});
}

/** openBlockFile(path, identity): Promise<handle> */
napi_value OpenBlockFile(Call& call) {
  auto job = std::make_unique<FileJob>();
  job->path = StringOf(call.env, call.arguments[0]);
  job->identity = IdentityOf(call.env, call.arguments[1]);
  return StateOf(call).pool->Submit(std::move(job), Lane::kUrgent, {});
}

/** closeBlockFile(handle) */
napi_value CloseBlockFile(Call& call) {
  CloseFile(call.env, call.arguments[0]);
  return MakeUndefined(call.env);
}

void FillChunks(napi_env env, napi_value datas, napi_value fingerprints, std::vector<ChunkSlice>& chunks) {
  uint32_t count = 0;
  if (napi_get_array_length(env, datas, &count) != napi_ok) throw ArgumentError("An array is expected");
  const auto names = BytesOf(env, fingerprints);
  if (names.size() != count * kFingerprintBytes) throw ArgumentError("A fingerprint has 32 bytes");
  chunks.reserve(count);
  for (uint32_t index = 0; index < count; index++) {
    napi_handle_scope scope;
    Check(napi_open_handle_scope(env, &scope));
    napi_value data;
    Check(napi_get_element(env, datas, index, &data));
    const auto bytes = BytesOf(env, data);
    if (bytes.empty() || bytes.size() > kChunkBytesMax) throw ArgumentError("A chunk has 1 byte to 256 KiB");
    chunks.push_back({names.data() + index * kFingerprintBytes, bytes});
    Check(napi_close_handle_scope(env, scope));
  }
}

void CheckCounts(const AppendJob& job) {
  if (job.counts.empty() || job.counts.size() > kBatchRegionsMax) throw ArgumentError("A batch has 1 to 8 regions");
  size_t first = 0;
  for (const uint32_t count : job.counts) {
    if (count == 0 || count > kRegionChunksMax || count > job.chunks.size() - first) {
      throw ArgumentError("A region has 1 to 1024 of the chunks");
    }
    size_t raw_bytes = 0;
    for (size_t slot = 0; slot < count; slot++) raw_bytes += job.chunks[first + slot].data.size();
    if (raw_bytes > kRegionRawBytesMax) throw ArgumentError("A region has 512 KiB at most");
    first += count;
  }
  if (first != job.chunks.size()) throw ArgumentError("Every chunk belongs to a region");
}

/** appendRegions(handle, sequence, algorithm, verify, datas, fingerprints, counts) */
napi_value AppendRegions(Call& call) {
  auto job = std::make_unique<AppendJob>();
  napi_value* const arguments = call.arguments;
  job->file = FileOf(call.env, arguments[0]);
  job->sequence = Uint53Of(call.env, arguments[1]);
  const uint32_t algorithm = Uint32Of(call.env, arguments[2]);
  if (algorithm > static_cast<uint32_t>(Algorithm::kZstd)) throw ArgumentError("No such compression");
  job->algorithm = static_cast<Algorithm>(algorithm);
  job->verify = BoolOf(call.env, arguments[3]);
  FillChunks(call.env, arguments[4], arguments[5], job->chunks);
  const auto counts = WordsOf(call.env, arguments[6]);
  job->counts.assign(counts.begin(), counts.end());
  CheckCounts(*job);
  return StateOf(call).pool->Submit(std::move(job), Lane::kWork, {arguments[4], arguments[5]});
}

/** readRegion(handle, page, guessBytes, out): Promise<chunk count> */
napi_value ReadRegion(Call& call) {
  auto job = std::make_unique<ReadJob>();
  job->file = FileOf(call.env, call.arguments[0]);
  job->page = Uint32Of(call.env, call.arguments[1]);
  job->guess_bytes = Uint32Of(call.env, call.arguments[2]);
  job->out = BytesOf(call.env, call.arguments[3]);
  // Unauthenticated lengths decide how much of it is written, so it must hold the largest region.
  if (job->out.size() < kPayloadBytesMax) throw ArgumentError("The target is smaller than the largest region");
  return StateOf(call).pool->Submit(std::move(job), Lane::kUrgent, {call.arguments[3]});
}

/** syncBlockFile(handle): Promise<void> */
napi_value SyncBlockFile(Call& call) {
  auto job = std::make_unique<SyncJob>();
  job->file = FileOf(call.env, call.arguments[0]);
  return StateOf(call).pool->Submit(std::move(job), Lane::kWait, {});
}

/** syncDirectory(path): Promise<void> */
napi_value SyncDirectoryByName(Call& call) {
  auto job = std::make_unique<SyncJob>();
  job->directory = StringOf(call.env, call.arguments[0]);
  return StateOf(call).pool->Submit(std::move(job), Lane::kWait, {});
}

/** trimMemory(): Promise<void> */
napi_value TrimMemory(Call& call) {
  return StateOf(call).pool->Submit(std::make_unique<TrimJob>(), Lane::kWait, {});
}

/** parseBlockHeader(bytes): object | null */
napi_value ParseBlock(Call& call) {
  const auto bytes = BytesOf(call.env, call.arguments[0]);
  BlockHeader header;
  napi_value result;
  if (bytes.size() < kPageBytes || !ParseBlockHeader(bytes.data(), header)) {
    Check(napi_get_null(call.env, &result));
    return result;
  }
  Check(napi_create_object(call.env, &result));
  SetProperty(call.env, result, "group", MakeNumber(call.env, header.group));
  SetProperty(call.env, result, "keyId", MakeNumber(call.env, header.key_id));
  SetProperty(call.env, result, "block", MakeNumber(call.env, header.block));
  SetProperty(call.env, result, "createdSeconds", MakeNumber(call.env, static_cast<double>(header.created_seconds)));
  return result;
}

/** parseRegionHeader(bytes): object | null */
napi_value ParseRegion(Call& call) {
  const auto bytes = BytesOf(call.env, call.arguments[0]);
  RegionHeader header;
  napi_value result;
  if (bytes.size() < kRegionHeaderBytes || !ParseRegionHeader(bytes.data(), header)) {
    Check(napi_get_null(call.env, &result));
    return result;
  }
  Check(napi_create_object(call.env, &result));
  const auto set = [&](const char* name, double value) {
    SetProperty(call.env, result, name, MakeNumber(call.env, value));
  };
  set("group", header.group);
  set("keyId", header.key_id);
  set("block", header.block);
  set("page", header.page);
  set("sequence", static_cast<double>(header.sequence));
  set("algorithm", static_cast<double>(header.algorithm));
  set("rawBytes", header.raw_bytes);
  set("storedBytes", header.stored_bytes);
  set("chunkCount", header.chunk_count);
  set("firstOrdinal", header.first_ordinal);
  set("fileBytes", static_cast<double>(header.file_bytes()));
  return result;
}

}  // namespace

void RegisterDataPath(napi_env env, napi_value exports) {
  auto* state = new DataPath{JobPool::Create(env)};
  napi_add_env_cleanup_hook(env, [](void* data) { delete static_cast<DataPath*>(data); }, state);
  RegisterArena(env, exports);
  RegisterSecretMemory(env, exports);
  RegisterSealedSecrets(env, exports);
  Export<CutAndFingerprint>(env, exports, "cutAndFingerprint", state);
  Export<CutAndFingerprintNow>(env, exports, "cutAndFingerprintNow", state);
  Export<CreateBlockFile>(env, exports, "createBlockFile", state);
  Export<OpenBlockFile>(env, exports, "openBlockFile", state);
  Export<CloseBlockFile>(env, exports, "closeBlockFile", state);
  Export<AppendRegions>(env, exports, "appendRegions", state);
  Export<ReadRegion>(env, exports, "readRegion", state);
  Export<SyncBlockFile>(env, exports, "syncBlockFile", state);
  Export<SyncDirectoryByName>(env, exports, "syncDirectory", state);
  Export<TrimMemory>(env, exports, "trimMemory", state);
  Export<ParseBlock>(env, exports, "parseBlockHeader", state);
  Export<ParseRegion>(env, exports, "parseRegionHeader", state);
}

}  // namespace coffer
