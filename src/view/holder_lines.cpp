// SPDX-License-Identifier: MIT
#include "src/view/holder_lines.h"

#include <algorithm>

#include "src/view/escape.h"
#include "src/view/frame_text.h"
#include "src/view/key_text.h"
#include "src/view/units.h"

namespace waitprobe {
namespace {

constexpr std::size_t most_sleepers = 10;

std::string state_name(char state) {
  switch (state) {
    case 'R':
      return "running";
    case 'S':
      return "sleeping";
    case 'D':
      return "in uninterruptible sleep";
    case 'T':
      return "stopped by a signal";
    case 't':
      return "stopped by a debugger";
    case 'I':
      return "idle";
    case 'Z':
    case 'X':
      return "dead";
    default:
      return "";
  }
}

// "saver (17)"; the name of a thread is not in a core dump.
std::string named(const std::string& name, std::uint32_t number) {
  return name.empty() ? "thread " + std::to_string(number) : escape(name) + " (" + std::to_string(number) + ")";
}

std::string text_of(const LockHolder& holder) {
  if (holder.has_ended) return "a thread that has ended (" + std::to_string(holder.tid) + ")";
  std::string text = named(holder.thread, holder.tid);
  if (!holder.key.empty()) text += " inside " + KeyText(holder.key, holder.key_len, KeyClass::wait).whole();
  return text;
}

// " in futex (futex_wait_queue)"; empty when the kernel has said nothing.
std::string where_text(const std::string& system_call, const std::string& wchan) {
  std::string text;
  if (!system_call.empty()) text += " in " + escape(system_call);
  if (!wchan.empty()) text += " (" + escape(wchan) + ")";
  return text;
}

void print_line(std::ostream& out, const std::string& text, std::size_t indent, std::size_t width) {
  out << std::string(indent, ' ') << shorten(text, width - indent) << '\n';
}

// As many parts in a line as there is room for.
void print_wrapped(std::ostream& out, const std::vector<std::string>& parts, std::size_t width, Colours colours) {
  std::string line = parts.front();
  for (std::size_t i = 1; i < parts.size(); i++) {
    if (display_width(line) + 1 + display_width(parts[i]) > width) {
      out << emphasised(shorten(line, width), Emphasis::alert, colours) << '\n';
      line = " ";
    }
    line += ' ' + parts[i];
  }
  out << emphasised(shorten(line, width), Emphasis::alert, colours) << '\n';
}

}  // namespace

std::string state_text(char state, const std::string& system_call, const std::string& wchan) {
  return state_name(state) + where_text(system_call, wchan);
}

void print_holders(std::ostream& out, const OpenWaits& found, const OpenWait& wait, std::size_t indent, std::size_t width,
                   Colours colours) {
  if (wait.holders.empty()) return;
  const LockHolder &first = wait.holders.front(), &last = wait.holders.back();
  if (found.is_in_deadlock(wait.pid, last.tid)) {
    print_line(out, "mutex held by " + text_of(first) + ": deadlock", indent, width);
  } else {
    const char* before = "mutex held by ";
    for (const LockHolder& holder : wait.holders) {
      print_line(out, before + text_of(holder), indent, width);
      before = "which waits for a mutex held by ";
    }
    const std::string state = state_text(last.state, last.system_call, last.wchan);
    if (!state.empty()) print_line(out, state, indent + 2, width);
  }
  if (!first.no_stack_reason.empty())
    print_line(out, "no stack of " + named(first.thread, first.tid) + ": " + escape(first.no_stack_reason), indent + 2, width);
  if (wait.holders.size() > 1 && !first.stack.empty())
    print_line(out, "stack of " + named(first.thread, first.tid) + ":", indent + 2, width);
  print_frames(out, first.stack, indent + 4, width, colours);
}

void print_deadlocks(std::ostream& out, const std::vector<OpenWaits::Deadlock>& deadlocks, std::size_t width, Colours colours) {
  for (const OpenWaits::Deadlock& deadlock : deadlocks) {
    const auto& threads = deadlock.threads;
    std::vector<std::string> parts = {"deadlock in " + named(deadlock.process.comm, deadlock.process.pid) + ":",
                                      named(threads.front().thread, threads.front().tid)};
    for (std::size_t i = 1; i <= threads.size(); i++) {
      const LockHolder& next = threads[i % threads.size()];
      parts.push_back("waits for " + (threads.size() == 1 ? "itself" : named(next.thread, next.tid)));
    }
    if (deadlock.is_timed) parts.back() += ", until a timeout";
    print_wrapped(out, parts, width, colours);
  }
}

void print_sleepers(std::ostream& out, const std::vector<OpenWaits::Sleeper>& sleepers, std::size_t width) {
  if (sleepers.empty()) return;
  out << "without a guard, in uninterruptible sleep:\n";
  for (std::size_t i = 0; i < std::min(sleepers.size(), most_sleepers); i++) {
    const OpenWaits::Sleeper& one = sleepers[i];
    print_line(out,
               named(one.process.comm, one.process.pid) + ", thread " + named(one.thread, one.tid) + ", for at least " +
                   format_duration(one.seen_ns),
               2, width);
    const std::string where = where_text(one.system_call, one.wchan);
    if (!where.empty()) print_line(out, where.substr(1), 4, width);
  }
  if (sleepers.size() > most_sleepers) {
    out << "  and " << sleepers.size() - most_sleepers << " more; --json shows all\n";
  }
}

}  // namespace waitprobe
