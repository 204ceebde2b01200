// Threads of our own for everything slow. libuv's four threads also serve LevelDB and node's fs, and a stalled
// compaction there must not stop reads here.
#pragma once

#include <node_api.h>

#include <condition_variable>
#include <deque>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/coded_error.h"

namespace coffer {

/** One piece of work and the promise that waits for it. */
class Job {
 public:
  virtual ~Job() = default;
  /** On a pool thread. No Node-API here. An exception rejects the promise. */
  virtual void Run() = 0;
  /** On the JavaScript thread, after Run: what the promise resolves to. */
  virtual napi_value Result(napi_env env) = 0;

 private:
  friend class JobPool;
  std::string error_code_;
  std::string error_message_;
  napi_deferred deferred_ = nullptr;
  /** an array of the objects whose memory the job uses */
  napi_ref kept_ = nullptr;
};

/** Which threads a job runs on, and before which others. */
enum class Lane {
  /** someone waits for it in a read: goes before kWork, on the same threads */
  kUrgent,
  /** cutting, sealing, appending */
  kWork,
  /** waits for a disk without using a core (fdatasync): threads of their own, so that it can't delay the others */
  kWait,
};

class JobPool {
 public:
  static JobPool* Create(napi_env env);
  ~JobPool();
  JobPool(const JobPool&) = delete;
  JobPool& operator=(const JobPool&) = delete;

  /** The work threads to start with the first job; later changes have no effect. */
  void set_work_threads(size_t count) { work_threads_ = count; }

  /** Queues the job and returns its promise. `kept` are the objects whose memory the job reads or writes. */
  napi_value Submit(std::unique_ptr<Job> job, Lane lane, std::initializer_list<napi_value> kept);

 private:
  static size_t DefaultWorkThreads();
  explicit JobPool(napi_env env);
  void Start();
  void Stop();
  void WorkLoop();
  void WaitLoop();
  std::unique_ptr<Job> TakeWork(std::unique_lock<std::mutex>& lock);
  void Execute(std::unique_ptr<Job> job);
  void SettleAll();
  void Settle(Job& job);
  static void OnCompletions(napi_env env, napi_value callback, void* context, void* data);

  napi_env env_;
  napi_threadsafe_function completions_ = nullptr;
  size_t work_threads_ = DefaultWorkThreads();
  /** jobs submitted and not settled; touched on the JavaScript thread only */
  size_t pending_ = 0;

  std::mutex mutex_;
  std::condition_variable work_signal_;
  std::condition_variable wait_signal_;
  std::deque<std::unique_ptr<Job>> urgent_;
  std::deque<std::unique_ptr<Job>> work_;
  std::deque<std::unique_ptr<Job>> wait_;
  /** urgent jobs taken in a row while others waited */
  size_t urgent_run_ = 0;
  bool stopping_ = false;

  std::mutex done_mutex_;
  std::vector<std::unique_ptr<Job>> done_;
  std::vector<std::thread> threads_;
};

}  // namespace coffer
