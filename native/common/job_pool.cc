// The job pool. Completions reach JavaScript in batches: the first one after an idle moment wakes the loop, those that
// follow before it gets there ride along.

#include "common/job_pool.h"

#include <pthread.h>

#include <algorithm>
#include <stdexcept>

#include "common/napi_util.h"

namespace coffer {

namespace {

/** fdatasync of one file must not wait for the one of another; more would only queue in the kernel. */
constexpr size_t kWaitThreads = 2;
/**
 * One work thread more than there are processors, so that one which waits for a disk leaves none of them idle; each further
 * one takes them from JavaScript, whom all wait for (docs/decisions/0018). More than the upper limit has not been measured.
 */
constexpr size_t kWorkThreadsMin = 3;
constexpr size_t kWorkThreadsMax = 8;
/** So many urgent jobs may pass a waiting one: reads go first but can't stop a backup altogether. */
constexpr size_t kUrgentRunMax = 4;

}  // namespace

size_t JobPool::DefaultWorkThreads() {
  return std::clamp<size_t>(std::thread::hardware_concurrency() + 1, kWorkThreadsMin, kWorkThreadsMax);
}

JobPool::JobPool(napi_env env) : env_(env) {
  napi_value name = MakeString(env, "coffer jobs");
  Check(napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this, OnCompletions,
                                        &completions_));
  // An idle pool doesn't keep the process alive.
  Check(napi_unref_threadsafe_function(env, completions_));
}

JobPool* JobPool::Create(napi_env env) {
  auto* pool = new JobPool(env);
  // Added after the threadsafe function, so it runs before that one's own hook.
  napi_add_env_cleanup_hook(env, [](void* data) { delete static_cast<JobPool*>(data); }, pool);
  return pool;
}

JobPool::~JobPool() {
  Stop();
  napi_release_threadsafe_function(completions_, napi_tsfn_abort);
}

void JobPool::Start() {
  for (size_t index = 0; index < work_threads_; index++) threads_.emplace_back([this] { WorkLoop(); });
  for (size_t index = 0; index < kWaitThreads; index++) threads_.emplace_back([this] { WaitLoop(); });
}

void JobPool::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    urgent_.clear();
    work_.clear();
    wait_.clear();
  }
  work_signal_.notify_all();
  wait_signal_.notify_all();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

napi_value JobPool::Submit(std::unique_ptr<Job> job, Lane lane, std::initializer_list<napi_value> kept) {
  if (threads_.empty()) Start();
  napi_value promise;
  napi_value array;
  Check(napi_create_array_with_length(env_, kept.size(), &array));
  uint32_t index = 0;
  for (napi_value value : kept) Check(napi_set_element(env_, array, index++, value));
  Check(napi_create_reference(env_, array, 1, &job->kept_));
  Check(napi_create_promise(env_, &job->deferred_, &promise));
  if (pending_++ == 0) Check(napi_ref_threadsafe_function(env_, completions_));
  {
    std::lock_guard lock(mutex_);
    auto& queue = lane == Lane::kWait ? wait_ : lane == Lane::kUrgent ? urgent_ : work_;
    queue.push_back(std::move(job));
  }
  (lane == Lane::kWait ? wait_signal_ : work_signal_).notify_one();
  return promise;
}

std::unique_ptr<Job> JobPool::TakeWork(std::unique_lock<std::mutex>& lock) {
  work_signal_.wait(lock, [this] { return stopping_ || !urgent_.empty() || !work_.empty(); });
  if (stopping_) return nullptr;
  const bool is_urgent = !urgent_.empty() && (work_.empty() || urgent_run_ < kUrgentRunMax);
  urgent_run_ = is_urgent && !work_.empty() ? urgent_run_ + 1 : 0;
  auto& queue = is_urgent ? urgent_ : work_;
  auto job = std::move(queue.front());
  queue.pop_front();
  return job;
}

void JobPool::WorkLoop() {
  pthread_setname_np(pthread_self(), "coffer-work");
  for (;;) {
    std::unique_lock lock(mutex_);
    auto job = TakeWork(lock);
    lock.unlock();
    if (!job) return;
    Execute(std::move(job));
  }
}

void JobPool::WaitLoop() {
  pthread_setname_np(pthread_self(), "coffer-sync");
  for (;;) {
    std::unique_lock lock(mutex_);
    wait_signal_.wait(lock, [this] { return stopping_ || !wait_.empty(); });
    if (stopping_) return;
    auto job = std::move(wait_.front());
    wait_.pop_front();
    lock.unlock();
    Execute(std::move(job));
  }
}

void JobPool::Execute(std::unique_ptr<Job> job) {
  try {
    job->Run();
  } catch (const CodedError& error) {
    job->error_code_ = error.code();
    job->error_message_ = error.what();
  } catch (const std::exception& error) {
    job->error_code_ = "ADDON_FAILURE";
    job->error_message_ = error.what();
  }
  bool is_first = false;
  {
    std::lock_guard lock(done_mutex_);
    is_first = done_.empty();
    done_.push_back(std::move(job));
  }
  if (is_first) napi_call_threadsafe_function(completions_, nullptr, napi_tsfn_nonblocking);
}

void JobPool::OnCompletions(napi_env env, napi_value, void* context, void*) {
  // Without an environment it is being torn down, and the pool with it.
  if (env != nullptr) static_cast<JobPool*>(context)->SettleAll();
}

void JobPool::SettleAll() {
  std::vector<std::unique_ptr<Job>> done;
  {
    std::lock_guard lock(done_mutex_);
    done.swap(done_);
  }
  for (auto& job : done) {
    napi_handle_scope scope;
    if (napi_open_handle_scope(env_, &scope) != napi_ok) return;
    Settle(*job);
    napi_close_handle_scope(env_, scope);
  }
}

void JobPool::Settle(Job& job) {
  try {
    if (--pending_ == 0) Check(napi_unref_threadsafe_function(env_, completions_));
    Check(napi_delete_reference(env_, job.kept_));
    if (job.error_code_.empty()) {
      Check(napi_resolve_deferred(env_, job.deferred_, job.Result(env_)));
    } else {
      Check(napi_reject_deferred(env_, job.deferred_, MakeError(env_, job.error_code_, job.error_message_)));
    }
  } catch (const std::exception&) {
    // Only an environment that is going away refuses these calls; nobody waits for the promise then.
  }
}

}  // namespace coffer
