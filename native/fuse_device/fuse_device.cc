// The FUSE device for JavaScript. The typed face and its documentation: src/native/fuse-device.ts.

#include "fuse_device/fuse_device.h"

#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <vector>

#include "common/napi_util.h"
#include "common/process.h"
#include "fuse_device/mount.h"
#include "fuse_device/session.h"

namespace coffer {
namespace {

// A gathered reply up to this size is written at once. Measured on a virtual machine with two processors: a thread
// that waits for a condition variable runs 15 us after the signal (median), copying 16 KiB takes 0.5 us. Where the
// best limit lies between the two was not measured.
constexpr size_t kInlineReplyBytesMax = 16 * 1024;

// ---- mount and unmount, off the event loop ----

struct MountWork {
  MountOptions options;
  bool unmount = false;
  bool lazy = false;
  FileDescriptor device;
  std::optional<CodedError> error;
  napi_deferred deferred = nullptr;
  napi_async_work work = nullptr;
};

void ExecuteMountWork(napi_env, void* data) {
  auto* work = static_cast<MountWork*>(data);
  try {
    if (work->unmount) {
      UnmountFuse(work->options.mount_point, work->lazy);
    } else {
      work->device = MountFuse(work->options);
    }
  } catch (const CodedError& error) {
    work->error = error;
  } catch (const std::exception& error) {
    work->error = CodedError("NATIVE_FAILURE", error.what());
  }
}

void CompleteMountWork(napi_env env, napi_status, void* data) {
  const std::unique_ptr<MountWork> work(static_cast<MountWork*>(data));
  if (work->error) {
    napi_reject_deferred(env, work->deferred, MakeError(env, work->error->code(), work->error->what()));
  } else if (work->unmount) {
    napi_resolve_deferred(env, work->deferred, MakeUndefined(env));
  } else {
    const auto number = static_cast<uint32_t>(work->device.Release());
    napi_resolve_deferred(env, work->deferred, MakeNumber(env, number));
  }
  napi_delete_async_work(env, work->work);
}

napi_value QueueMountWork(napi_env env, std::unique_ptr<MountWork> work) {
  napi_value promise, name;
  napi_create_promise(env, &work->deferred, &promise);
  napi_create_string_utf8(env, "coffer mount", NAPI_AUTO_LENGTH, &name);
  napi_create_async_work(env, nullptr, name, ExecuteMountWork, CompleteMountWork, work.get(), &work->work);
  napi_queue_async_work(env, work->work);
  work.release();
  return promise;
}

napi_value Mount(napi_env env, napi_callback_info info) {
  return Guarded(env, [&] {
    size_t count = 2;
    napi_value arguments[2];
    napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
    auto work = std::make_unique<MountWork>();
    work->options = {StringOf(env, arguments[0]), BoolOf(env, arguments[1])};
    return QueueMountWork(env, std::move(work));
  });
}

napi_value Unmount(napi_env env, napi_callback_info info) {
  return Guarded(env, [&] {
    size_t count = 2;
    napi_value arguments[2];
    napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
    auto work = std::make_unique<MountWork>();
    work->options.mount_point = StringOf(env, arguments[0]);
    work->lazy = BoolOf(env, arguments[1]);
    work->unmount = true;
    return QueueMountWork(env, std::move(work));
  });
}

// ---- the session ----

/** A session as one environment sees it. Shared by the functions of its object and by the wake-ups. */
struct Binding {
  std::shared_ptr<Session> session;
  napi_threadsafe_function wake = nullptr;
  bool closed = false;
};

void AbandonAtExit(void* data) { static_cast<Binding*>(data)->session->Abandon(); }

/** Runs on the JavaScript thread: hands one batch to the callback, which says how many slots it is done with. */
void DeliverBatch(napi_env env, napi_value callback, void* context, void*) {
  if (env == nullptr) return;
  auto* binding = static_cast<Binding*>(context);
  Session& session = *binding->session;
  const Session::Batch batch = session.TakeBatch();
  napi_value receiver = MakeUndefined(env);
  napi_value arguments[3] = {MakeNumber(env, batch.requests), MakeNumber(env, batch.completions),
                             MakeBool(env, batch.closed)};
  napi_value result;
  if (napi_call_function(env, receiver, callback, 3, arguments, &result) == napi_ok) {
    uint32_t done = 0;
    if (napi_get_value_uint32(env, result, &done) == napi_ok && done > 0 && done <= batch.requests) {
      try {
        session.ReleaseSlots(session.area()->Batch(), done);
      } catch (const CodedError& error) {
        napi_throw_error(env, error.code().c_str(), error.what());
      }
    }
  }
  const bool has_next = !batch.closed && session.ReadOne();
  if (batch.more || has_next) napi_call_threadsafe_function(binding->wake, nullptr, napi_tsfn_nonblocking);
  if (batch.closed && !binding->closed) {
    binding->closed = true;
    session.CloseDevice();
    napi_remove_env_cleanup_hook(env, AbandonAtExit, binding);
    napi_release_threadsafe_function(binding->wake, napi_tsfn_release);
  }
}

using SharedBinding = std::shared_ptr<Binding>;

struct Call {
  static constexpr size_t kArgumentsMax = 2;
  napi_value arguments[kArgumentsMax];
  Binding* binding;
};

Call Unpack(napi_env env, napi_callback_info info) {
  Call call;
  void* data = nullptr;
  size_t count = Call::kArgumentsMax;
  napi_get_cb_info(env, info, &count, call.arguments, nullptr, &data);
  call.binding = static_cast<SharedBinding*>(data)->get();
  return call;
}

void CheckReplyLength(size_t length) {
  if (length > SharedArea::kReplyBytes) throw CodedError("ERR_OUT_OF_RANGE", "the reply area is smaller");
}

/** reply(length): errno. Written on the JavaScript thread, so that no other has to be woken for a small reply. */
napi_value Reply(napi_env env, napi_callback_info info) {
  return Guarded(env, [&] {
    const Call call = Unpack(env, info);
    const uint32_t length = Uint32Of(env, call.arguments[0]);
    CheckReplyLength(length);
    return MakeNumber(env, static_cast<uint32_t>(call.binding->session->Reply(length)));
  });
}

/** replyPieces(id, pieces): boolean. True = written (or closed), false = `id` will be among the completions. */
napi_value ReplyPieces(napi_env env, napi_callback_info info) {
  return Guarded(env, [&] {
    const Call call = Unpack(env, info);
    const uint32_t id = Uint32Of(env, call.arguments[0]);
    uint32_t count = 0;
    if (napi_get_array_length(env, call.arguments[1], &count) != napi_ok) {
      throw CodedError("ERR_INVALID_ARG_TYPE", "an array is wanted");
    }
    std::vector<iovec> pieces;
    pieces.reserve(count);
    size_t total = 0;
    for (uint32_t index = 0; index < count; ++index) {
      napi_value element;
      napi_get_element(env, call.arguments[1], index, &element);
      void* bytes = nullptr;
      size_t length = 0;
      napi_typedarray_type type;
      if (napi_get_typedarray_info(env, element, &type, &length, &bytes, nullptr, nullptr) != napi_ok ||
          type != napi_uint8_array) {
        throw CodedError("ERR_INVALID_ARG_TYPE", "a Uint8Array is wanted");
      }
      if (length == 0) continue;
      pieces.push_back({bytes, length});
      total += length;
    }
    Session& session = *call.binding->session;
    // Few pieces: writev takes 1,024 at most and QueueReply deals with more.
    if (total <= kInlineReplyBytesMax && pieces.size() <= 64) {
      session.ReplyGathered(pieces);
      return MakeBool(env, true);
    }
    return MakeBool(env, !session.QueueReply(id, pieces));
  });
}

/** notify(id, length): boolean, as replyPieces; always by a thread, since the kernel may wait for locks. */
napi_value Notify(napi_env env, napi_callback_info info) {
  return Guarded(env, [&] {
    const Call call = Unpack(env, info);
    const uint32_t length = Uint32Of(env, call.arguments[1]);
    CheckReplyLength(length);
    const uint32_t id = Uint32Of(env, call.arguments[0]);
    return MakeBool(env, !call.binding->session->QueueNotification(id, length));
  });
}

napi_value ReleaseSlot(napi_env env, napi_callback_info info) {
  return Guarded(env, [&] {
    const Call call = Unpack(env, info);
    const uint32_t slot = Uint32Of(env, call.arguments[0]);
    call.binding->session->ReleaseSlots(&slot, 1);
    return MakeUndefined(env);
  });
}

napi_value Close(napi_env env, napi_callback_info info) {
  return Guarded(env, [&] {
    Unpack(env, info).binding->session->Stop();
    return MakeUndefined(env);
  });
}

void FreeBinding(napi_env, void* data, void*) { delete static_cast<SharedBinding*>(data); }

void SetBoundFunction(napi_env env, napi_value target, const char* name, napi_callback callback,
                      const SharedBinding& binding) {
  auto holder = std::make_unique<SharedBinding>(binding);
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, holder.get(), &function);
  napi_add_finalizer(env, function, holder.release(), FreeBinding, nullptr, nullptr);
  napi_set_named_property(env, target, name, function);
}

napi_value MakeAreaBuffer(napi_env env, const std::shared_ptr<SharedArea>& area) {
  auto holder = std::make_unique<std::shared_ptr<SharedArea>>(area);
  napi_value buffer;
  const napi_status status = napi_create_external_arraybuffer(
      env, area->Data(), area->Size(),
      [](napi_env, void*, void* hint) { delete static_cast<std::shared_ptr<SharedArea>*>(hint); },
      holder.get(), &buffer);
  if (status != napi_ok) throw CodedError("NATIVE_FAILURE", "this runtime allows no external memory");
  holder.release();
  return buffer;
}

/** openSession(fd, slotCount, readerCount, onBatch): the session's object. Takes the descriptor over. */
napi_value OpenSession(napi_env env, napi_callback_info info) {
  return Guarded(env, [&] {
    size_t count = 4;
    napi_value arguments[4];
    napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
    FileDescriptor device(static_cast<int>(Uint32Of(env, arguments[0])));
    const uint32_t slot_count = Uint32Of(env, arguments[1]);
    const uint32_t reader_count = Uint32Of(env, arguments[2]);
    if (slot_count == 0 || slot_count > Session::kSlotCountMax || reader_count == 0 || reader_count > 16) {
      throw CodedError("ERR_OUT_OF_RANGE", "1 to 1024 slots and 1 to 16 readers");
    }
    auto binding = std::make_shared<Binding>();
    binding->session = std::make_shared<Session>(std::move(device), slot_count);
    napi_value object;
    napi_create_object(env, &object);
    napi_set_named_property(env, object, "area", MakeAreaBuffer(env, binding->session->area()));
    SetProperty(env, object, "replyBytes", MakeNumber(env, SharedArea::kReplyBytes));
    SetProperty(env, object, "batchOffset", MakeNumber(env, SharedArea::kReplyBytes));
    SetProperty(env, object, "completionsIndex", MakeNumber(env, 2 * slot_count));
    SetProperty(env, object, "firstRequestOffset", MakeNumber(env, SharedArea::kSlotsOffset + SharedArea::kRequestOffset));
    SetProperty(env, object, "slotStride", MakeNumber(env, SharedArea::kSlotStride));
    SetBoundFunction(env, object, "reply", Reply, binding);
    SetBoundFunction(env, object, "replyPieces", ReplyPieces, binding);
    SetBoundFunction(env, object, "notify", Notify, binding);
    SetBoundFunction(env, object, "releaseSlot", ReleaseSlot, binding);
    SetBoundFunction(env, object, "close", Close, binding);

    napi_value name;
    napi_create_string_utf8(env, "coffer fuse", NAPI_AUTO_LENGTH, &name);
    auto holder = std::make_unique<SharedBinding>(binding);
    if (napi_create_threadsafe_function(env, arguments[3], nullptr, name, 0, 1, holder.get(), FreeBinding,
                                        binding.get(), DeliverBatch, &binding->wake) != napi_ok) {
      throw CodedError("ERR_INVALID_ARG_TYPE", "a function is wanted");
    }
    holder.release();
    // Registered after the wake function's own hook, so it runs before it.
    napi_add_env_cleanup_hook(env, AbandonAtExit, binding.get());
    binding->session->Start(reader_count, [wake = binding->wake] {
      napi_call_threadsafe_function(wake, nullptr, napi_tsfn_nonblocking);
    });
    return object;
  });
}

}  // namespace

void RegisterFuseDevice(napi_env env, napi_value exports) {
  SetFunction(env, exports, "mountFuse", Mount);
  SetFunction(env, exports, "unmountFuse", Unmount);
  SetFunction(env, exports, "openFuseSession", OpenSession);
  RegisterProcess(env, exports);
}

}  // namespace coffer
