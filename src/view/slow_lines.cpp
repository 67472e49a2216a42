// SPDX-License-Identifier: MIT
#include "src/view/slow_lines.h"

#include <string>

#include "src/view/escape.h"
#include "src/view/frame_text.h"
#include "src/view/key_text.h"
#include "src/view/loss_lines.h"
#include "src/view/units.h"
#include "src/view/caveat_lines.h"

namespace waitprobe {
namespace {

constexpr std::size_t time_width = 12, duration_width = 6, number_width = 7;

std::size_t key_width(std::size_t width) {
  constexpr std::size_t of_pipe = 32;  // where longer ones push the rest of their line
  if (width == unlimited_width) return of_pipe;
  return width_left(width, time_width + duration_width + 2 * (name_columns(width) + number_width) + 6);
}

}  // namespace

void print_slow_header(std::ostream& out, std::uint64_t time_unix_ns, const SlowOptions& options) {
  const std::size_t name_width = name_columns(options.width);
  out << "Times: " << format_date(time_unix_ns) << ", " << format_time_zone(time_unix_ns) << '\n';
  const std::string header = pad("time", time_width) + ' ' + align_right("took", duration_width) + ' ' +
                             pad("key", key_width(options.width)) + ' ' + pad("process", name_width) + ' ' +
                             align_right("pid", number_width) + ' ' + pad("thread", name_width) + ' ' +
                             align_right("tid", number_width);
  out << emphasised(header, Emphasis::bold, options.colours) << '\n';
}

void print_slow(std::ostream& out, const SlowWait& wait, const SlowOptions& options) {
  const std::size_t name_width = name_columns(options.width);
  out << format_time_of_day_ms(wait.time_unix_ns) << ' ' << align_right(format_duration(wait.duration_ns), duration_width)
      << ' '
      << emphasised(KeyText(wait.key, wait.key_len, wait.key_class).padded_in(key_width(options.width), options.width),
                    Emphasis::bold, options.colours)
      << ' ' << pad_in(escape(wait.comm), name_width, options.width) << ' '
      << align_right(std::to_string(wait.pid), number_width) << ' ' << pad_in(escape(wait.thread), name_width, options.width)
      << ' ' << align_right(std::to_string(wait.tid), number_width) << '\n';
  if (!wait.trace_id.empty()) out << "    trace " << wait.trace_id << '\n';
  print_frames(out, wait.stack, 4, options.width, options.colours);
  if (!wait.stack.empty()) out << '\n';
}

void print_slow_summary(std::ostream& out, const SlowSummary& summary) {
  out << (summary.shown_cnt != 0 ? std::to_string(summary.shown_cnt) : "No") << (summary.shown_cnt == 1 ? " wait" : " waits");
  if (summary.min_ns != 0) out << " of " << format_duration(summary.min_ns) << " or more";
  if (summary.shown_cnt == 0) out << (summary.left_out_cnt != 0 ? " of these keys were seen" : " were seen");
  out << " in " << format_duration(summary.elapsed_ns);
  if (!summary.caveats.empty()) out << "; " << caveat_text(summary.caveats);
  out << '\n';
  if (summary.left_out_cnt != 0) out << "  not shown: " << std::to_string(summary.left_out_cnt) << " of other keys\n";
  print_losses(out, summary.losses);
  print_caveats(out, summary.caveats, 80);
}

}  // namespace waitprobe
