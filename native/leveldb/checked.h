// Turns LevelDB's own checks on in classic-level, which has no options for them. scripts/setup compiles classic-level from
// its npm package with this file included first into every source (docs/decisions/0020-verified-metadata.md):
// - reads and compactions compare each block's checksum, and recovery refuses a damaged log;
// - an iterator ends at the first damaged block, where LevelDB's own ones skip it and report it after the last entry;
// - the binding exports `cofferChecks`, so that the daemon can tell this build from the prebuilt one.
#pragma once

// LevelDB's assertions abort the process where a table is damaged; its own release builds are without them.
#ifndef NDEBUG
#define NDEBUG
#endif

// Each read computes a checksum: with the processor's instruction that costs a tenth.
#if defined(__SSE4_2__)
#define LEVELDB_PLATFORM_POSIX_SSE
#endif

// Function-like macros match the constructors' initialisers only. A macro isn't expanded within itself.
#define verify_checksums(value) verify_checksums(true)
#define paranoid_checks(value) paranoid_checks(true)

// Only binding.cc is compiled with napi-macros at hand.
#if defined(__cplusplus) && __has_include(<napi-macros.h>)

#define NAPI_VERSION 3

#include <leveldb/db.h>
#include <leveldb/iterator.h>
#include <napi-macros.h>
#include <node_api.h>

#include <memory>
#include <string>

namespace leveldb {

/**
 * Ends at the first damage. LevelDB's iterator leaves a damaged block out and goes on behind it; the binding asks for its
 * status at the end only, which a reader that has seen enough never reaches.
 */
class CheckedIterator final : public Iterator {
 public:
  explicit CheckedIterator(Iterator* inner) : inner_(inner) {}

  bool Valid() const override { return is_sound_ && inner_->Valid(); }
  Slice key() const override { return inner_->key(); }
  Slice value() const override { return inner_->value(); }
  Status status() const override { return inner_->status(); }

  void SeekToFirst() override { Move([this] { inner_->SeekToFirst(); }); }
  void SeekToLast() override { Move([this] { inner_->SeekToLast(); }); }
  void Seek(const Slice& target) override { Move([&] { inner_->Seek(target); }); }
  // The binding moves an iterator that has ended, which LevelDB doesn't allow.
  void Next() override {
    if (Valid()) Move([this] { inner_->Next(); });
  }
  void Prev() override {
    if (Valid()) Move([this] { inner_->Prev(); });
  }

 private:
  template <typename Step>
  void Move(Step step) {
    step();
    is_sound_ = inner_->status().ok();
  }

  std::unique_ptr<Iterator> inner_;
  /** whether the position is right; LevelDB remembers a damage for the iterator's life */
  bool is_sound_ = true;
};

/** A database whose iterators are checked; everything else is handed on. */
class CheckedDb final : public DB {
 public:
  static Status Open(const Options& options, const std::string& name, CheckedDb** result) {
    DB* inner = nullptr;
    const Status status = DB::Open(options, name, &inner);
    *result = status.ok() ? new CheckedDb(inner) : nullptr;
    return status;
  }

  Status Put(const WriteOptions& options, const Slice& key, const Slice& value) override {
    return inner_->Put(options, key, value);
  }
  Status Delete(const WriteOptions& options, const Slice& key) override { return inner_->Delete(options, key); }
  Status Write(const WriteOptions& options, WriteBatch* updates) override { return inner_->Write(options, updates); }
  Status Get(const ReadOptions& options, const Slice& key, ValueSink* value) override {
    return inner_->Get(options, key, value);
  }
  Iterator* NewIterator(const ReadOptions& options) override {
    return new CheckedIterator(inner_->NewIterator(options));
  }
  const Snapshot* GetSnapshot() override { return inner_->GetSnapshot(); }
  void ReleaseSnapshot(const Snapshot* snapshot) override { inner_->ReleaseSnapshot(snapshot); }
  bool GetProperty(const Slice& property, std::string* value) override { return inner_->GetProperty(property, value); }
  void GetApproximateSizes(const Range* ranges, int count, uint64_t* sizes) override {
    inner_->GetApproximateSizes(ranges, count, sizes);
  }
  void CompactRange(const Slice* begin, const Slice* end) override { inner_->CompactRange(begin, end); }

 private:
  explicit CheckedDb(DB* inner) : inner_(inner) {}

  std::unique_ptr<DB> inner_;
};

}  // namespace leveldb

/** Whether the constructors above really have been changed: 1 or 0. */
static napi_value CofferChecks(napi_env env, napi_callback_info) {
  const bool is_checked = leveldb::ReadOptions().verify_checksums && leveldb::Options().paranoid_checks;
  napi_value result = nullptr;
  napi_create_int32(env, is_checked ? 1 : 0, &result);
  return result;
}

/** classic-level's own initialiser, and then one more export. */
#undef NAPI_INIT
#define NAPI_INIT()                                                                                \
  static void napi_macros_init(napi_env env, napi_value exports);                                  \
  static napi_value napi_macros_init_wrap(napi_env env, napi_value exports) {                      \
    napi_macros_init(env, exports);                                                                \
    napi_value function;                                                                           \
    if (napi_create_function(env, nullptr, 0, CofferChecks, nullptr, &function) == napi_ok) {      \
      napi_set_named_property(env, exports, "cofferChecks", function);                             \
    }                                                                                              \
    return exports;                                                                                \
  }                                                                                                \
  NAPI_MODULE(NODE_GYP_MODULE_NAME, napi_macros_init_wrap)                                         \
  static void napi_macros_init(napi_env env, napi_value exports)

#define DB CheckedDb

#endif
