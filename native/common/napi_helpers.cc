// Short forms for plain N-API; see napi_helpers.h.

#include "common/napi_helpers.h"

#include <cstring>

namespace coffer {

CodedError SystemError(int error_number, const std::string& what) {
  const char* name = strerrorname_np(error_number);
  const char* description = strerrordesc_np(error_number);
  return CodedError(name ? name : "EIO",
                    what + ": " + (description ? description : std::to_string(error_number)));
}

napi_value MakeError(napi_env env, const CodedError& error) {
  napi_value code, message, result;
  napi_create_string_utf8(env, error.code().c_str(), NAPI_AUTO_LENGTH, &code);
  napi_create_string_utf8(env, error.what(), NAPI_AUTO_LENGTH, &message);
  napi_create_error(env, code, message, &result);
  return result;
}

std::string GetString(napi_env env, napi_value value) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok) {
    throw CodedError("ERR_INVALID_ARG_TYPE", "a string is wanted");
  }
  std::string text(length + 1, '\0');
  napi_get_value_string_utf8(env, value, text.data(), length + 1, &length);
  text.resize(length);
  return text;
}

uint32_t GetUint32(napi_env env, napi_value value) {
  uint32_t number = 0;
  if (napi_get_value_uint32(env, value, &number) != napi_ok) {
    throw CodedError("ERR_INVALID_ARG_TYPE", "a number is wanted");
  }
  return number;
}

bool GetBool(napi_env env, napi_value value) {
  bool flag = false;
  if (napi_get_value_bool(env, value, &flag) != napi_ok) {
    throw CodedError("ERR_INVALID_ARG_TYPE", "a boolean is wanted");
  }
  return flag;
}

napi_value MakeUint32(napi_env env, uint32_t value) {
  napi_value result;
  napi_create_uint32(env, value, &result);
  return result;
}

napi_value MakeBool(napi_env env, bool value) {
  napi_value result;
  napi_get_boolean(env, value, &result);
  return result;
}

napi_value Undefined(napi_env env) {
  napi_value result;
  napi_get_undefined(env, &result);
  return result;
}

void SetFunction(napi_env env, napi_value target, const char* name, napi_callback callback) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function);
  napi_set_named_property(env, target, name, function);
}

void SetUint32(napi_env env, napi_value target, const char* name, uint32_t value) {
  napi_set_named_property(env, target, name, MakeUint32(env, value));
}

}  // namespace coffer
