// Failures for JavaScript.

#pragma once

#include <stdexcept>
#include <string>

namespace coffer {

/** Becomes an Error with `code`: an errno's name, or a word of our own. */
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

}  // namespace coffer
