// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

namespace waitprobe {

enum class CheckStatus { ok, missing, unknown, warning };

// One thing that tracing needs, or that gets in its way.
struct Check {
  std::string name;
  CheckStatus status = CheckStatus::ok;
  bool needed = true;  // nothing can be traced while it is missing
  std::string found;   // any bytes
  std::string fix;     // what mends it: a command if there is one; empty where nothing is to be mended; any bytes
};

// What was found of this machine, or of one target.
struct Findings {
  std::string subject;  // any bytes
  std::vector<Check> checks;
};

struct Diagnosis {
  std::vector<Findings> findings;  // this machine first

  // Checks of something needed in the targets that could not tell. Of the machine, a program that is really attached tells.
  std::size_t unknown_cnt() const {
    std::size_t cnt = 0;
    for (std::size_t i = 1; i < findings.size(); i++) {
      for (const Check& check : findings[i].checks) cnt += check.needed && check.status == CheckStatus::unknown ? 1U : 0U;
    }
    return cnt;
  }

  // What cannot be told keeps nobody from trying: a program that is really attached is among the checks.
  bool will_work() const {
    for (const Findings& one : findings) {
      for (const Check& check : one.checks) {
        if (check.needed && check.status == CheckStatus::missing) return false;
      }
    }
    return true;
  }
};

}  // namespace waitprobe
