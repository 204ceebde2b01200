// Short forms for plain N-API: values in and out, and errors that carry a stable `code`.

#pragma once

#include <node_api.h>

#include <cstdint>
#include <stdexcept>
#include <string>

namespace coffer {

/** A failure for JavaScript: becomes an Error with `code`. */
class CodedError : public std::runtime_error {
 public:
  CodedError(std::string code, const std::string& message)
      : std::runtime_error(message), code_(std::move(code)) {}
  const std::string& code() const { return code_; }

 private:
  std::string code_;
};

/** The failure of a system call: `code` is the errno's name. */
CodedError SystemError(int error_number, const std::string& what);

napi_value MakeError(napi_env env, const CodedError& error);
std::string GetString(napi_env env, napi_value value);
uint32_t GetUint32(napi_env env, napi_value value);
bool GetBool(napi_env env, napi_value value);
napi_value MakeUint32(napi_env env, uint32_t value);
napi_value MakeBool(napi_env env, bool value);
napi_value Undefined(napi_env env);
void SetFunction(napi_env env, napi_value target, const char* name, napi_callback callback);
void SetUint32(napi_env env, napi_value target, const char* name, uint32_t value);

/** Runs a callback's body; what it throws becomes a JavaScript exception. */
template <typename Body>
napi_value Guarded(napi_env env, Body body) {
  try {
    return body();
  } catch (const CodedError& error) {
    napi_throw_error(env, error.code().c_str(), error.what());
  } catch (const std::exception& error) {
    napi_throw_error(env, "NATIVE_FAILURE", error.what());
  }
  return nullptr;
}

}  // namespace coffer
