// SPDX-License-Identifier: MIT
#include "src/cli/man_page.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "src/cli/help.h"

namespace waitprobe::cli {
namespace {

void print_title(std::ostream& out, std::string name, const std::string& summary) {
  std::string title = name;
  for (char& c : title) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  out << ".TH " << title << " 1 \"\" \"waitprobe " WAITPROBE_VERSION "\" \"User Commands\"\n"
      << ".SH NAME\n"
      << name << " \\- " << roff(summary) << "\n";
}

void print_status(std::ostream& out, bool starts_commands, const char* status_3, const char* status_4) {
  out << ".SH EXIT STATUS\n.TP\n.B 0\n"
      << (starts_commands ? "Done. Where a command was started: its status.\n" : "Done.\n")
      << ".TP\n.B 1\nFailed.\n.TP\n.B 2\nWrong usage.\n";
  if (status_3 != nullptr) out << ".TP\n.B 3\n" << roff(status_3) << ".\n";
  if (status_4 != nullptr) out << ".TP\n.B 4\n" << roff(status_4) << ".\n";
}

void print_option(std::ostream& out, const OptionDescription& option) {
  out << ".TP\n";
  for (std::size_t i = 0; i < option.names.size(); i++)
    out << (i != 0 ? ", " : "") << "\\fB" << roff(option.names[i]) << "\\fR";
  if (!option.value.empty()) out << " \\fI" << roff(option.value) << "\\fR";
  out << "\n" << roff(option.text) << ".\n";
}

void print_targets(std::ostream& out) {
  constexpr std::pair<const char*, const char*> targets[] = {
      {".BR \\-p , \" \\-\\-pid \" \\fIPID\\fR", "The processes with these pids; repeatable."},
      {".B \\-\\-comm \\fIGLOB\\fR", "The processes with such a name that are running now; repeatable."},
      {".BR \\-a , \" \\-\\-all\"", "Every process on the machine, also those that start later."},
      {".BR \\-f , \" \\-\\-file \" \\fIFILE\\fR", "Every process that maps this file, now or later."},
      {".B \\-\\- \\fICMD ARGS...\\fR", "Start the command, trace it from its first wait, and exit with its status."},
  };
  out << ".SH TARGETS\n";
  for (const auto& [target, meaning] : targets) out << ".TP\n" << target << "\n" << meaning << "\n";
}

}  // namespace

std::string roff(std::string_view text) {
  std::string escaped;
  bool at_line_start = true;
  for (const char c : text) {
    // A line that begins with one of these is a request.
    if (at_line_start && (c == '.' || c == '\'')) escaped += "\\&";
    at_line_start = c == '\n';
    if (c == '\\') {
      escaped += "\\e";
    } else if (c == '-') {
      escaped += "\\-";  // and not a hyphen, which cannot be pasted
    } else if (c == '\'') {
      escaped += "\\(aq";
    } else if (c == '~') {
      escaped += "\\(ti";
    } else if (c == '^') {
      escaped += "\\(ha";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

void print_man_page(std::ostream& out) {
  print_title(out, "waitprobe", "show what a C++ program waits for, and how long");
  out << ".SH SYNOPSIS\n.B waitprobe\n.I COMMAND\n.RI [ TARGET ]\n.RI [ OPTIONS ]\n"
         ".SH DESCRIPTION\nA program puts guards around its waits. They cost a few instructions while no tracer is attached. "
         "When one attaches, their start and stop fire USDT probes, and BPF programs add the waits up in the kernel as one "
         "histogram per key. The program is neither restarted nor rebuilt for it.\n.SH COMMANDS\n";
  for (const CommandRow& row : commands()) out << ".TP\n.BR waitprobe\\-" << row.name << " (1)\n" << roff(row.summary) << ".\n";
  print_targets(out);
  out << ".SH TIMES\n" << roff(time_units) << "\n";
  out << ".SH ENVIRONMENT\nIn traced programs:\n.TP\n.B WAITPROBE_TRACK=1\nKeep track of open waits from the "
         "start, for stuck.\n.TP\n.B WAITPROBE_CLOCK=monotonic\nRead the clock instead of the cycle counter.\n"
         ".PP\nOf waitprobe itself:\n.TP\n.B NO_COLOR\nNo colours.\n";
  print_status(out, true, "Some commands; see their pages", "Some commands; see their pages");
}

void print_man_page(std::ostream& out, const CommandRow& row, const Description& description) {
  const std::string name = "waitprobe-" + std::string(row.name);
  print_title(out, name, row.summary);
  out << ".SH SYNOPSIS\n.B waitprobe " << row.name << "\n" << roff(usage_of(description.targets)) << "\n";
  out << ".SH DESCRIPTION\n" << roff(row.about) << "\n.SH OPTIONS\n";
  for (const OptionDescription& positional : description.positionals) print_option(out, positional);
  for (const OptionDescription& option : description.options) print_option(out, option);
  const bool has_times = std::any_of(description.options.begin(), description.options.end(),
                                     [](const OptionDescription& option) { return option.value == "TIME"; });
  if (has_times) out << ".PP\n" << roff(time_units) << "\n";
  out << ".SH EXAMPLES\n.nf\n" << roff(row.examples) << ".fi\n";
  print_status(out, description.starts_commands(), row.status_3, row.status_4);
  out << ".SH SEE ALSO\n.BR waitprobe (1)\n";
}

}  // namespace waitprobe::cli
