// One mounted /dev/fuse; see session.h.

#include "fuse_device/session.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <system_error>
#include <thread>

#include "common/napi_util.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57  // Linux 5.6; older headers lack it
#endif

namespace coffer {
namespace {

constexpr size_t kOutHeaderBytes = 16;
// The kernel takes IOV_MAX (1024) vectors at most; a reply of more pieces is gathered first.
constexpr size_t kPiecesMax = 1000;
// A thread that hasn't ended by then is stuck in the kernel; the process ends without it.
constexpr std::chrono::seconds kAbandonPatience{2};

// How long the owner waits awake for the next request: the time in which a program that has got its answer usually asks
// again. Measured: see docs/decisions/0011-waiting-awake.md.
constexpr std::chrono::microseconds kOwnerPatience{50};
// So many requests in a row are read by the owner before other events have their turn.
constexpr uint32_t kRowMax = 128;
// Waiting that doesn't pay off is given up: each success adds 1 to the credit, each failure takes so much from it.
constexpr int32_t kCreditPerFailure = 2;
// Without credit it is tried again once in so many requests.
constexpr uint32_t kTrialInterval = 64;

// From linux/fuse.h: where the header has its opcode, and where a read has its size.
constexpr size_t kOpcodeOffset = 4;
constexpr size_t kReadSizeOffset = 56;
constexpr uint32_t kForget = 2;
constexpr uint32_t kRead = 15;
constexpr uint32_t kInterrupt = 36;
constexpr uint32_t kBatchForget = 42;
// What is longer is worth a thread of its own, which copies while JavaScript works.
constexpr uint32_t kSmallBytesMax = 64 * 1024;

enum class RequestKind { kUnanswered, kSmall, kBulk };

uint32_t WordAt(const uint8_t* request, size_t offset) {
  uint32_t word;
  std::memcpy(&word, request + offset, sizeof word);
  return word;
}

RequestKind KindOf(const uint8_t* request, uint32_t length) {
  const auto has = [length](size_t offset) { return length >= offset + sizeof(uint32_t); };
  if (!has(kOpcodeOffset)) return RequestKind::kUnanswered;
  const uint32_t opcode = WordAt(request, kOpcodeOffset);
  if (opcode == kForget || opcode == kBatchForget || opcode == kInterrupt) return RequestKind::kUnanswered;
  const bool is_long_read =
      opcode == kRead && has(kReadSizeOffset) && WordAt(request, kReadSizeOffset) > kSmallBytesMax;
  return is_long_read || length > kSmallBytesMax ? RequestKind::kBulk : RequestKind::kSmall;
}

int WriteVectors(int number, const std::vector<iovec>& vectors) {
  ssize_t count;
  do {
    count = writev(number, vectors.data(), static_cast<int>(vectors.size()));
  } while (count < 0 && errno == EINTR);
  return count < 0 ? errno : 0;
}

void Watch(int poller, int number, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = number;
  if (epoll_ctl(poller, EPOLL_CTL_ADD, number, &event) != 0) {
    throw SystemError(errno, "can't watch /dev/fuse");
  }
}

}  // namespace

SharedArea::SharedArea(uint32_t slot_count) : size_(kSlotsOffset + slot_count * kSlotStride) {
  void* address =
      mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED) throw SystemError(errno, "can't map memory for requests");
  // A fork (child_process) must not turn pages that the kernel writes to into copies.
  madvise(address, size_, MADV_DONTFORK);
  data_ = static_cast<uint8_t*>(address);
}

SharedArea::~SharedArea() { munmap(data_, size_); }

Session::Session(FileDescriptor device, uint32_t slot_count)
    : device_(std::move(device)),
      stop_event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      area_(std::make_shared<SharedArea>(slot_count)),
      slot_count_(slot_count) {
  if (!stop_event_.IsOpen()) throw SystemError(errno, "can't make an eventfd");
  for (uint32_t slot = slot_count; slot > 0; --slot) free_slots_.push_back(slot - 1);
}

void Session::Start(uint32_t reader_count, std::function<void()> wake) {
  wake_ = std::move(wake);
  // All counted before any starts: otherwise the first to end would be taken for the last.
  thread_count_ = reader_count + 2;
  uint32_t started = 0;
  try {
    for (; started < reader_count; ++started) RunThread([this] { ReadRequests(); });
    RunThread([this] { WriteOutputs(replies_); });
    ++started;
    RunThread([this] { WriteOutputs(notifications_); });
  } catch (...) {
    {
      std::lock_guard lock(events_mutex_);
      thread_count_ -= reader_count + 2 - started;
    }
    Abandon();
    throw;
  }
}

void Session::RunThread(std::function<void()> body) {
  std::thread([self = shared_from_this(), body = std::move(body)] {
    pthread_setname_np(pthread_self(), "coffer-fuse");
    // Needs a capability; without it the kernel's own safeguards must do.
    prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
    try {
      body();
    } catch (const std::exception&) {
      // No memory or no descriptors: the mount can't be served, which the end of the session tells.
    }
    self->Stop();
    std::unique_lock lock(self->events_mutex_);
    --self->thread_count_;
    self->threads_changed_.notify_all();
    if (self->thread_count_ == 0) self->Wake(lock);
  }).detach();
}

void Session::ReadRequests() {
  FileDescriptor poller(epoll_create1(EPOLL_CLOEXEC));
  if (!poller.IsOpen()) throw SystemError(errno, "can't make an epoll");
  // Exclusive: one request wakes one reader, not all.
  Watch(poller.Get(), device_.Get(), EPOLLIN | EPOLLEXCLUSIVE);
  Watch(poller.Get(), stop_event_.Get(), EPOLLIN);
  while (const std::optional<uint32_t> slot = TakeSlot()) {
    ssize_t length = 0;
    for (;;) {
      AwaitTurn();
      if (Stopping()) return;
      length = TryRead(*slot);
      if (length != 0) break;
      epoll_event event;
      epoll_wait(poller.Get(), &event, 1, -1);
    }
    if (length < 0) return;
    std::unique_lock lock(events_mutex_);
    Deliver(lock, *slot, static_cast<uint32_t>(length));
    Wake(lock);
  }
}

ssize_t Session::TryRead(uint32_t slot) const {
  for (;;) {
    const ssize_t length = read(device_.Get(), area_->Request(slot),
                                SharedArea::kWriteHeaderBytes + SharedArea::kWriteBytesMax);
    if (length >= 0) return length;
    if (errno == EAGAIN) return 0;
    // ENOENT: the request was interrupted while it was being read. ENODEV: unmounted; whatever else fails, there is no
    // going on either.
    if (errno != EINTR && errno != ENOENT) return -1;
  }
}

void Session::Deliver(std::unique_lock<std::mutex>&, uint32_t slot, uint32_t length) {
  requests_.push_back({slot, length});
  const RequestKind kind = KindOf(area_->Request(slot), length);
  if (kind != RequestKind::kUnanswered) unanswered_.fetch_add(1, std::memory_order_relaxed);
  if (kind == RequestKind::kSmall) {
    if (credit_ > 0 || ++small_count_ % kTrialInterval == 0) owner_reads_ = true;
  } else if (kind == RequestKind::kBulk && owner_reads_) {
    owner_reads_ = false;
    turn_.notify_all();
  }
}

void Session::AwaitTurn() {
  std::unique_lock lock(events_mutex_);
  turn_.wait(lock, [this] { return !owner_reads_; });
}

void Session::HandBack() {
  std::lock_guard lock(events_mutex_);
  owner_reads_ = false;
  turn_.notify_one();
}

void Session::Remember(bool succeeded) {
  credit_ = std::clamp(credit_ + (succeeded ? 1 : -kCreditPerFailure), 0, kCreditMax);
}

bool Session::ReadOne() {
  {
    std::lock_guard lock(events_mutex_);
    if (!owner_reads_) return false;
  }
  const bool is_worthwhile = unanswered_.load(std::memory_order_relaxed) == 0 && ++row_ < kRowMax;
  const std::optional<uint32_t> slot = is_worthwhile ? TakeSlotAtOnce() : std::nullopt;
  if (!slot) {
    row_ = 0;
    HandBack();
    return false;
  }
  const auto end = std::chrono::steady_clock::now() + kOwnerPatience;
  ssize_t length = 0;
  do {
    length = TryRead(*slot);
  } while (length == 0 && std::chrono::steady_clock::now() < end);
  if (length > 0) {
    std::unique_lock lock(events_mutex_);
    Deliver(lock, *slot, static_cast<uint32_t>(length));
    wake_pending_ = true;
    Remember(true);
    return true;
  }
  row_ = 0;
  ReleaseSlots(&*slot, 1);
  {
    std::lock_guard lock(events_mutex_);
    Remember(false);
  }
  HandBack();
  return false;
}

std::optional<uint32_t> Session::TakeSlot() {
  std::unique_lock lock(slots_mutex_);
  slot_freed_.wait(lock, [this] { return stopping_ || !free_slots_.empty(); });
  if (stopping_) return std::nullopt;
  const uint32_t slot = free_slots_.back();
  free_slots_.pop_back();
  return slot;
}

std::optional<uint32_t> Session::TakeSlotAtOnce() {
  std::lock_guard lock(slots_mutex_);
  if (stopping_ || free_slots_.empty()) return std::nullopt;
  const uint32_t slot = free_slots_.back();
  free_slots_.pop_back();
  return slot;
}

void Session::ReleaseSlots(const uint32_t* slots, uint32_t count) {
  {
    std::lock_guard lock(slots_mutex_);
    for (uint32_t index = 0; index < count; ++index) {
      // A slot that doesn't exist, or more than there are, would let two readers share memory.
      if (slots[index] >= slot_count_ || free_slots_.size() >= slot_count_) {
        throw CodedError("ERR_OUT_OF_RANGE", "no such slot is out");
      }
      free_slots_.push_back(slots[index]);
    }
  }
  if (count == 1) {
    slot_freed_.notify_one();
  } else {
    slot_freed_.notify_all();
  }
}

int Session::Reply(size_t length) {
  unanswered_.fetch_sub(1, std::memory_order_relaxed);
  ssize_t count;
  do {
    count = write(device_.Get(), area_->Data(), length);
  } while (count < 0 && errno == EINTR);
  return count < 0 ? errno : 0;
}

int Session::ReplyGathered(const std::vector<iovec>& pieces) {
  unanswered_.fetch_sub(1, std::memory_order_relaxed);
  std::vector<iovec> vectors;
  vectors.reserve(pieces.size() + 1);
  vectors.push_back({area_->Data(), kOutHeaderBytes});
  vectors.insert(vectors.end(), pieces.begin(), pieces.end());
  return WriteVectors(device_.Get(), vectors);
}

bool Session::QueueReply(uint32_t id, const std::vector<iovec>& pieces) {
  const uint8_t* head = area_->Data();
  return Queue(replies_, {id, std::vector<uint8_t>(head, head + kOutHeaderBytes), pieces, true});
}

bool Session::QueueNotification(uint32_t id, size_t length) {
  const uint8_t* head = area_->Data();
  return Queue(notifications_, {id, std::vector<uint8_t>(head, head + length), {}, false});
}

bool Session::Queue(Outbox& outbox, Output output) {
  std::lock_guard lock(outbox.mutex);
  if (outbox.closed) return false;
  outbox.outputs.push_back(std::move(output));
  outbox.changed.notify_one();
  return true;
}

void Session::WriteOutputs(Outbox& outbox) {
  std::unique_lock lock(outbox.mutex);
  for (;;) {
    outbox.changed.wait(lock, [&] { return outbox.closed || !outbox.outputs.empty(); });
    // Even when closed, what was taken is reported: its owner waits to release it.
    if (outbox.outputs.empty()) return;
    Output output = std::move(outbox.outputs.front());
    outbox.outputs.pop_front();
    lock.unlock();
    WriteOutput(output);
    {
      std::unique_lock events_lock(events_mutex_);
      completions_.push_back(output.id);
      Wake(events_lock);
    }
    lock.lock();
  }
}

void Session::WriteOutput(Output& output) {
  if (output.is_reply) unanswered_.fetch_sub(1, std::memory_order_relaxed);
  if (output.pieces.size() > kPiecesMax) {
    for (const iovec& piece : output.pieces) {
      const auto* bytes = static_cast<const uint8_t*>(piece.iov_base);
      output.head.insert(output.head.end(), bytes, bytes + piece.iov_len);
    }
    output.pieces.clear();
  }
  output.pieces.insert(output.pieces.begin(), {output.head.data(), output.head.size()});
  const int error = WriteVectors(device_.Get(), output.pieces);
  // An interrupted request (ENOENT) or an unmounted device wants no answer, and an object that a notification names
  // may be unknown to the kernel. But nobody may wait for ever for bytes that could not be handed over.
  if (error == 0 || error == ENOENT || error == ENODEV || !output.is_reply) return;
  const uint32_t length = kOutHeaderBytes;
  const int32_t failure = -EIO;
  std::memcpy(output.head.data(), &length, sizeof length);
  std::memcpy(output.head.data() + sizeof length, &failure, sizeof failure);
  WriteVectors(device_.Get(), {{output.head.data(), kOutHeaderBytes}});
}

void Session::Wake(std::unique_lock<std::mutex>& events_lock) {
  const bool wanted = !wake_pending_;
  wake_pending_ = true;
  events_lock.unlock();
  if (!wanted) return;
  std::lock_guard lock(wake_mutex_);
  if (wake_) wake_();
}

Session::Batch Session::TakeBatch() {
  Batch batch;
  uint32_t* words = area_->Batch();
  std::lock_guard lock(events_mutex_);
  // No more requests than slots, so there is room for all of them.
  for (const Request& request : requests_) {
    words[2 * batch.requests] = request.slot;
    words[2 * batch.requests + 1] = request.length;
    ++batch.requests;
  }
  requests_.clear();
  while (!completions_.empty() && batch.completions < kCompletionsPerBatch) {
    words[2 * slot_count_ + batch.completions++] = completions_.front();
    completions_.pop_front();
  }
  batch.more = !completions_.empty();
  batch.closed = !batch.more && thread_count_ == 0;
  wake_pending_ = batch.more;
  return batch;
}

bool Session::Stopping() {
  std::lock_guard lock(slots_mutex_);
  return stopping_;
}

void Session::Stop() {
  {
    std::lock_guard lock(slots_mutex_);
    stopping_ = true;
  }
  slot_freed_.notify_all();
  HandBack();
  // Never read: it stays readable, so every reader sees it.
  eventfd_write(stop_event_.Get(), 1);
  for (Outbox* outbox : {&replies_, &notifications_}) {
    std::lock_guard lock(outbox->mutex);
    outbox->closed = true;
    outbox->changed.notify_all();
  }
}

void Session::Abandon() {
  Stop();
  {
    std::lock_guard lock(wake_mutex_);
    wake_ = nullptr;
  }
  std::unique_lock lock(events_mutex_);
  threads_changed_.wait_for(lock, kAbandonPatience, [this] { return thread_count_ == 0; });
}

}  // namespace coffer
