// See coded_error.h.

#include "common/coded_error.h"

#include <cstring>

namespace coffer {

CodedError SystemError(int error_number, const std::string& what) {
  const char* name = strerrorname_np(error_number);
  const char* description = strerrordesc_np(error_number);
  return CodedError(name != nullptr ? name : "EIO",
                    what + ": " + (description != nullptr ? description : std::to_string(error_number)));
}

}  // namespace coffer
