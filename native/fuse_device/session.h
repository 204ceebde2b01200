// One mounted /dev/fuse: reader threads that fill slots, a thread that writes big replies, one for notifications.
// Knows nothing of JavaScript: it wakes its owner, who then takes a batch of events.
//
// Small requests come one after another from programs that wait for each answer, and there the waking of threads costs
// more than the work. So after such a request the owner, awake anyway, may read the device itself for a moment, while
// the readers rest (see ReadOne).
//
// Nothing is joined: threads hold the session alive and the last one out reports the end, so that closing never
// waits for a thread which itself waits for an answer of ours (a notification can block on a lock in the kernel).

#pragma once

#include <sys/uio.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "common/file_descriptor.h"

namespace coffer {

/** The memory that both sides see: reply area, batch area, slots. Touched lazily, so it costs what is used. */
class SharedArea {
 public:
  static constexpr size_t kPageBytes = 4096;
  // Holds the largest reply that is encoded in place: 64 KiB of xattr or directory and its header.
  static constexpr size_t kReplyBytes = 256 * 1024;
  static constexpr size_t kBatchBytes = 16 * 1024;
  static constexpr size_t kSlotsOffset = kReplyBytes + kBatchBytes;
  // fuse_in_header and fuse_write_in: a request starts so that the data of a write is page-aligned.
  static constexpr size_t kWriteHeaderBytes = 80;
  static constexpr size_t kRequestOffset = kPageBytes - kWriteHeaderBytes;
  static constexpr size_t kWriteBytesMax = 1024 * 1024;
  static constexpr size_t kSlotStride = kPageBytes + kWriteBytesMax;

  explicit SharedArea(uint32_t slot_count);
  ~SharedArea();
  SharedArea(const SharedArea&) = delete;
  SharedArea& operator=(const SharedArea&) = delete;

  uint8_t* Data() const { return data_; }
  size_t Size() const { return size_; }
  uint8_t* Request(uint32_t slot) const {
    return data_ + kSlotsOffset + slot * kSlotStride + kRequestOffset;
  }
  uint32_t* Batch() const { return reinterpret_cast<uint32_t*>(data_ + kReplyBytes); }

 private:
  uint8_t* data_;
  size_t size_;
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  static constexpr uint32_t kSlotCountMax = 1024;
  static constexpr uint32_t kCompletionsPerBatch = 1024;

  struct Batch {
    uint32_t requests = 0;
    uint32_t completions = 0;
    /** the last batch of all: every thread has ended */
    bool closed = false;
    bool more = false;
  };

  Session(FileDescriptor device, uint32_t slot_count);

  /** `wake` is called from any thread, once until TakeBatch is called. */
  void Start(uint32_t reader_count, std::function<void()> wake);
  /** Writes slot and length of each request, and behind the room for all slots the completed ids. */
  Batch TakeBatch();
  void ReleaseSlots(const uint32_t* slots, uint32_t count);
  /**
   * For the owner, after a batch: when all requests are answered and the readers rest, waits for the next request
   * without sleeping, some microseconds at most. True: there is one, take the next batch. False: the readers go on.
   */
  bool ReadOne();
  /** Writes the reply area's first bytes to the kernel; 0 or an errno. */
  int Reply(size_t length);
  /** As Reply, followed by pieces that stay where they are. For replies that aren't worth a thread. */
  int ReplyGathered(const std::vector<iovec>& pieces);
  /** Hands a reply to the writing thread, which reports `id` when done. False: closed, nothing was taken. */
  bool QueueReply(uint32_t id, const std::vector<iovec>& pieces);
  /** The same for a notification, whose bytes are copied from the reply area. */
  bool QueueNotification(uint32_t id, size_t length);
  /** Asks all threads to end; the end itself is reported by a batch. */
  void Stop();
  /** Stops, never wakes the owner again and waits for the threads, but not for ever. For the end of the process. */
  void Abandon();
  /** After the last batch: closing the device ends what is left of the mount. */
  void CloseDevice() { device_.Close(); }

  const std::shared_ptr<SharedArea>& area() const { return area_; }
  uint32_t slot_count() const { return slot_count_; }

 private:
  static constexpr int32_t kCreditMax = 8;

  struct Output {
    uint32_t id;
    std::vector<uint8_t> head;
    std::vector<iovec> pieces;
    /** somebody waits for it, unlike a notification */
    bool is_reply;
  };
  /** Work of one writing thread. */
  struct Outbox {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<Output> outputs;
    bool closed = false;
  };
  struct Request {
    uint32_t slot;
    uint32_t length;
  };

  void RunThread(std::function<void()> body);
  void ReadRequests();
  void WriteOutputs(Outbox& outbox);
  void WriteOutput(Output& output);
  /** Length of the request that came, or 0 when none waits; negative when the device is gone. */
  ssize_t TryRead(uint32_t slot) const;
  /** Hands a request to the owner, who may be asked to read the next one itself. */
  void Deliver(std::unique_lock<std::mutex>& events_lock, uint32_t slot, uint32_t length);
  void AwaitTurn();
  void Remember(bool succeeded);
  /** Ends the owner's turn at the device. */
  void HandBack();
  bool Queue(Outbox& outbox, Output output);
  std::optional<uint32_t> TakeSlot();
  std::optional<uint32_t> TakeSlotAtOnce();
  void Wake(std::unique_lock<std::mutex>& events_lock);
  bool Stopping();

  FileDescriptor device_;
  FileDescriptor stop_event_;
  std::shared_ptr<SharedArea> area_;
  const uint32_t slot_count_;

  std::mutex slots_mutex_;
  std::condition_variable slot_freed_;
  // Last in, first out: the slot whose pages are in the processor's cache is used again first.
  std::vector<uint32_t> free_slots_;
  bool stopping_ = false;

  Outbox replies_;
  Outbox notifications_;

  std::mutex events_mutex_;
  std::condition_variable threads_changed_;
  std::deque<Request> requests_;
  std::deque<uint32_t> completions_;
  uint32_t thread_count_ = 0;
  bool wake_pending_ = false;
  /** the owner reads the device, the readers rest */
  bool owner_reads_ = false;
  std::condition_variable turn_;
  /** requests that wait for their replies */
  std::atomic<int64_t> unanswered_ = 0;
  /** how well the owner's waiting has paid off lately */
  int32_t credit_ = kCreditMax;
  uint32_t small_count_ = 0;
  /** of the owner's thread alone: requests that it has read in a row */
  uint32_t row_ = 0;

  std::mutex wake_mutex_;
  std::function<void()> wake_;
};

}  // namespace coffer
