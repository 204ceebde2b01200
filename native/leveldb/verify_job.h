// Reads one table and checks it, on a pool thread.
#pragma once

#include <string>

#include "common/job_pool.h"
#include "leveldb/table_check.h"

namespace coffer {

class VerifyJob : public Job {
 public:
  std::string path;
  /** the file's size according to the manifest */
  uint64_t expected_bytes = 0;
  /** read past the page cache */
  bool from_disk = false;
  /** read nothing but what LevelDB reads when it opens the table */
  bool index_only = false;

  /** @throws CodedError with the errno's name when the file can't be opened */
  void Run() override;
  /** A sound table's {entries, smallestKey, largestKey}, or {reason, offset, from?, to?}. */
  napi_value Result(napi_env env) override;

 private:
  TableReport CheckWhole(int descriptor, uint64_t bytes) const;
  TableReport CheckIndex(int descriptor, uint64_t bytes) const;

  TableReport report_;
};

}  // namespace coffer
