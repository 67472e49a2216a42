// SPDX-License-Identifier: MIT
#include "src/export/numbers.h"

#include <charconv>
#include <variant>

namespace waitprobe {

void append_number(std::string& out, std::uint64_t number) {
  char text[20];
  out.append(text, std::to_chars(text, text + sizeof text, number).ptr);
}

void append_number(std::string& out, double number) {
  char text[32];
  out.append(text, std::to_chars(text, text + sizeof text, number).ptr);
}

void append_number(std::string& out, const MetricNumber& number) {
  std::visit([&](auto value) { append_number(out, value); }, number);
}

void append_seconds(std::string& out, std::uint64_t s, std::uint32_t ns) {
  append_number(out, s);
  if (ns == 0) return;
  char digits[10] = {'.'};
  for (int i = 9; i > 0; i--, ns /= 10) digits[i] = static_cast<char>('0' + ns % 10);
  std::size_t length = sizeof digits;
  while (digits[length - 1] == '0') length--;
  out.append(digits, length);
}

double to_double(const MetricNumber& number) {
  return std::visit([](auto value) { return static_cast<double>(value); }, number);
}

double to_seconds(std::uint64_t s, std::uint32_t ns) {
  std::string text;
  append_seconds(text, s, ns);
  double seconds = 0;
  std::from_chars(text.data(), text.data() + text.size(), seconds);
  return seconds;
}

}  // namespace waitprobe
