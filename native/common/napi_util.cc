// Conversions between JavaScript values and C++ ones.

#include "common/napi_util.h"

#include <cstring>

namespace coffer {

namespace {

constexpr double kLargestSafeInteger = 9007199254740991.0;

void* ElementsOf(napi_env env, napi_value value, napi_typedarray_type wanted, size_t* length) {
  bool is_typed_array = false;
  Check(napi_is_typedarray(env, value, &is_typed_array));
  if (!is_typed_array) throw ArgumentError("A typed array is expected");
  napi_typedarray_type type;
  void* data = nullptr;
  Check(napi_get_typedarray_info(env, value, &type, length, &data, nullptr, nullptr));
  if (type != wanted) throw ArgumentError("A typed array of another element type is expected");
  return data;
}

napi_value MakeTypedArray(napi_env env, napi_typedarray_type type, const void* data, size_t count, size_t width) {
  void* target = nullptr;
  napi_value buffer;
  napi_value array;
  Check(napi_create_arraybuffer(env, count * width, &target, &buffer));
  if (count > 0) std::memcpy(target, data, count * width);
  Check(napi_create_typedarray(env, type, count, buffer, 0, &array));
  return array;
}

}  // namespace

std::span<uint8_t> BytesOf(napi_env env, napi_value value) {
  size_t length = 0;
  void* data = ElementsOf(env, value, napi_uint8_array, &length);
  return {static_cast<uint8_t*>(data), length};
}

std::span<uint32_t> WordsOf(napi_env env, napi_value value) {
  size_t length = 0;
  void* data = ElementsOf(env, value, napi_uint32_array, &length);
  return {static_cast<uint32_t*>(data), length};
}

uint64_t Uint53Of(napi_env env, napi_value value) {
  double number = 0;
  if (napi_get_value_double(env, value, &number) != napi_ok) throw ArgumentError("A number is expected");
  if (!(number >= 0 && number <= kLargestSafeInteger)) throw ArgumentError("A non-negative integer is expected");
  const auto integer = static_cast<uint64_t>(number);
  if (static_cast<double>(integer) != number) throw ArgumentError("An integer is expected");
  return integer;
}

uint32_t Uint32Of(napi_env env, napi_value value) {
  const uint64_t number = Uint53Of(env, value);
  if (number > UINT32_MAX) throw ArgumentError("A 32-bit integer is expected");
  return static_cast<uint32_t>(number);
}

bool BoolOf(napi_env env, napi_value value) {
  bool result = false;
  if (napi_get_value_bool(env, value, &result) != napi_ok) throw ArgumentError("A boolean is expected");
  return result;
}

std::string StringOf(napi_env env, napi_value value) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok) {
    throw ArgumentError("A string is expected");
  }
  std::string result(length, '\0');
  Check(napi_get_value_string_utf8(env, value, result.data(), length + 1, &length));
  return result;
}

napi_value Property(napi_env env, napi_value object, const char* name) {
  napi_value value;
  if (napi_get_named_property(env, object, name, &value) != napi_ok) throw ArgumentError("An object is expected");
  return value;
}

napi_value MakeNumber(napi_env env, double value) {
  napi_value result;
  Check(napi_create_double(env, value, &result));
  return result;
}

napi_value MakeBool(napi_env env, bool value) {
  napi_value result;
  Check(napi_get_boolean(env, value, &result));
  return result;
}

napi_value MakeString(napi_env env, const std::string& value) {
  napi_value result;
  Check(napi_create_string_utf8(env, value.data(), value.size(), &result));
  return result;
}

napi_value MakeUndefined(napi_env env) {
  napi_value result;
  Check(napi_get_undefined(env, &result));
  return result;
}

napi_value MakeBytes(napi_env env, std::span<const uint8_t> bytes) {
  return MakeTypedArray(env, napi_uint8_array, bytes.data(), bytes.size(), 1);
}

napi_value MakeWords(napi_env env, std::span<const uint32_t> words) {
  return MakeTypedArray(env, napi_uint32_array, words.data(), words.size(), 4);
}

napi_value MakeError(napi_env env, const std::string& code, const std::string& message) {
  napi_value error;
  Check(napi_create_error(env, MakeString(env, code), MakeString(env, message), &error));
  return error;
}

void SetProperty(napi_env env, napi_value object, const char* name, napi_value value) {
  Check(napi_set_named_property(env, object, name, value));
}

void SetFunction(napi_env env, napi_value object, const char* name, napi_callback callback) {
  napi_value function;
  Check(napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function));
  SetProperty(env, object, name, function);
}

}  // namespace coffer
