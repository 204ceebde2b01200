// Small helpers over Node-API: argument parsing that throws C++ exceptions, and the one place where those become
// JavaScript ones.
#pragma once

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <stdexcept>
#include <string>

#include "common/coded_error.h"

namespace coffer {

/** A wrong argument: the caller's mistake, thrown as TypeError. */
class ArgumentError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/** Turns a failed Node-API call into a C++ exception. */
inline void Check(napi_status status) {
  if (status != napi_ok) throw std::runtime_error("Node-API call failed: " + std::to_string(status));
}

/** The arguments of one call from JavaScript. */
struct Call {
  static constexpr size_t kArgumentsMax = 10;

  napi_env env;
  size_t count = kArgumentsMax;
  napi_value arguments[kArgumentsMax];
  void* data = nullptr;
};

/** The bytes of a Uint8Array. */
std::span<uint8_t> BytesOf(napi_env env, napi_value value);
/** The elements of a Uint32Array. */
std::span<uint32_t> WordsOf(napi_env env, napi_value value);
uint32_t Uint32Of(napi_env env, napi_value value);
/** A non-negative integer up to 2^53. */
uint64_t Uint53Of(napi_env env, napi_value value);
bool BoolOf(napi_env env, napi_value value);
std::string StringOf(napi_env env, napi_value value);
napi_value Property(napi_env env, napi_value object, const char* name);

napi_value MakeNumber(napi_env env, double value);
napi_value MakeBool(napi_env env, bool value);
napi_value MakeString(napi_env env, const std::string& value);
napi_value MakeUndefined(napi_env env);
/** A fresh Uint8Array holding a copy of `bytes`. */
napi_value MakeBytes(napi_env env, std::span<const uint8_t> bytes);
/** A fresh Uint32Array holding a copy of `words`. */
napi_value MakeWords(napi_env env, std::span<const uint32_t> words);
/** An Error with a `code`. */
napi_value MakeError(napi_env env, const std::string& code, const std::string& message);
void SetProperty(napi_env env, napi_value object, const char* name, napi_value value);
/** A function that needs no data; one that does is for Export. */
void SetFunction(napi_env env, napi_value object, const char* name, napi_callback callback);

/** Runs a callback's body; what it throws becomes a JavaScript exception. */
template <typename Body>
napi_value Guarded(napi_env env, Body body) {
  try {
    return body();
  } catch (const ArgumentError& error) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", error.what());
  } catch (const CodedError& error) {
    napi_throw_error(env, error.code().c_str(), error.what());
  } catch (const std::exception& error) {
    napi_throw_error(env, "ADDON_FAILURE", error.what());
  }
  return nullptr;
}

using Function = napi_value (*)(Call&);

template <Function function>
napi_value Guarded(napi_env env, napi_callback_info info) {
  Call call{};
  call.env = env;
  return Guarded(env, [&] {
    Check(napi_get_cb_info(env, info, &call.count, call.arguments, nullptr, &call.data));
    return function(call);
  });
}

/** Puts a function into the addon's exports; `data` is what the function finds in Call::data. */
template <Function function>
void Export(napi_env env, napi_value exports, const char* name, void* data) {
  napi_value value;
  Check(napi_create_function(env, name, NAPI_AUTO_LENGTH, Guarded<function>, data, &value));
  SetProperty(env, exports, name, value);
}

}  // namespace coffer
