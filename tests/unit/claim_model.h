// SPDX-License-Identifier: MIT
//
// A thread that writes and flushes, the tool that reads and claims, the thread's death, and a thread that has given the
// block back and dies while its next owner writes, as state machines whose steps are the single accesses to shared memory.
// explore() runs every interleaving of them with the rules of bpf/claim.h, and finds the runs in which a record is counted
// twice, wrongly, or is missing without being told of as a gap.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bpf/claim.h"

namespace claim_model {

constexpr int ring_size = 2;
constexpr int record_cnt = 5;

// How the tool finds the first record that was not overwritten while it read.
enum class Reader : std::uint8_t {
  by_flushed,  // `flushed`, read after the records: what block_reader.cpp does
  by_written,  // `written`, read again after them: one less than may be there, so a claim can lie beyond what is claimed
};

struct Rules {
  Reader reader = Reader::by_flushed;
  bool taken_while_attached = false;  // so that the kernel knows of the block from its first record on
  bool refuse = true;                 // the tool's claim beyond `next`
  bool compare = true;                // a claim is taken only if `next` has not moved since it was judged
  // The block has another owner while the one before it dies; a vfork child that goes on with the blocks of a parent that is
  // killed looks the same to both.
  bool changes_owner = false;
  bool is_heir = false;
  // What the dying thread does, as take_last() in bpf/owners.h.
  bool dying_checks_owner = true;  // leaves the block alone when another has taken it
  bool dying_copies_first = true;  // copies, then looks how far that is whole, then claims
  // The thread exchanges its ring for another when all records are flushed, and back.
  bool exchanges_ring = false;
  bool ring_is_compared = true;  // what was copied is left alone if the ring is another one after the copy
};

enum class ThreadAt : std::uint8_t { idle, wrote, hit, judge, leave, dead };
enum class FormerAt : std::uint8_t {
  owner,
  between,
  read_place,
  read_head,
  copy_first,
  read_again,
  load_next,
  judge,
  copy_last,
  done
};
enum class ToolAt : std::uint8_t {
  attach,
  begin,
  read_place,
  read_written,
  read_handed,
  read_ring,
  read_after,
  load_next,
  judge,
  done
};

struct State {
  // Shared memory.
  std::uint8_t written = 0, flushed = 0;
  std::array<std::array<std::uint8_t, ring_size>, 2> rings = {};
  std::uint8_t ring = 0, exchanges_left = 0;  // the ring that is used
  // The kernel's.
  std::uint64_t next = WP_NEXT_UNKNOWN;
  bool attached = false;
  std::uint8_t since = record_cnt;  // records from here on count
  std::array<std::uint8_t, record_cnt> counted = {};
  std::uint8_t gap = 0;
  // The thread's own.
  ThreadAt thread = ThreadAt::idle;
  bool dying = false;
  std::uint64_t thread_before = 0;
  // Of the thread that owned the block before.
  FormerAt former = FormerAt::owner;
  std::uint8_t former_written = 0, former_flushed = 0, former_first = 0, former_at = 0, former_from = 0;
  std::array<std::uint8_t, ring_size> former_ring = {};
  std::uint64_t former_before = 0;
  // The tool's own.
  ToolAt tool = ToolAt::attach;
  std::uint8_t drains_left = 2, tool_written = 0, tool_flushed = 0, tool_at = 0, tool_from = 0;
  std::array<std::uint8_t, ring_size> tool_ring = {};
  std::uint64_t tool_before = 0;
  bool wrong = false;  // a record was counted twice, or with what belongs to another

  auto operator<=>(const State&) const = default;
};

class Explorer {
 public:
  explicit Explorer(Rules rules) : rules_(rules) {}

  // The first bad end that is found, told in words; nothing when there is none.
  std::optional<std::string> explore() {
    State first;
    if (rules_.taken_while_attached) {
      first.next = 0;
      first.attached = true;
      first.since = 0;
      first.tool = ToolAt::read_place;
    }
    if (rules_.exchanges_ring) first.exchanges_left = rules_.changes_owner ? 1 : 2;
    for (auto& content : first.rings[1]) content = record_cnt;  // of no record
    if (rules_.changes_owner) first.drains_left = 1;            // one is enough to interfere, and two are explored without it
    std::vector<State> open = {first};
    seen_.insert(open.front());
    while (!open.empty()) {
      const State state = open.back();
      open.pop_back();
      if (auto bad = judge_end(state)) return bad;
      for (const State& next : successors(state)) {
        if (seen_.insert(next).second) open.push_back(next);
      }
    }
    return std::nullopt;
  }

  std::size_t state_cnt() const { return seen_.size(); }

 private:
  static void count(State& s, std::uint64_t number, std::uint8_t content) {
    if (number < s.since) return;
    if (content != number || ++s.counted[number] > 1) s.wrong = true;
  }

  // A claim's compare-and-swap and what follows. False when `next` has moved meanwhile: to be judged again.
  bool claim(State& s, std::uint64_t& before, std::uint64_t first, std::uint64_t end, wp_bringer by,
             const std::array<std::uint8_t, ring_size>& ring) const {
    wp_verdict verdict = wp_judge(before, first, end, by);
    if (verdict == WP_REFUSE && !rules_.refuse) verdict = WP_CLAIM;
    if (verdict != WP_CLAIM) return true;
    if (rules_.compare && s.next != before) {
      before = s.next;
      return false;
    }
    s.next = end;
    // A gap that the tool would make, were it not refused, is nobody's to tell of: the tool does not know that the thread was
    // late.
    if (by == WP_BY_THREAD) s.gap = static_cast<std::uint8_t>(s.gap + wp_gap(before, first));
    for (std::uint64_t n = wp_first_claimed(before, first); n < end; n++) count(s, n, ring[n % ring_size]);
    return true;
  }

  // The thread gives the block back, which holds nothing then, and another takes it: from here on, the steps of the thread are
  // those of the new owner. Then the former one dies.
  void step_former(State s, std::vector<State>& out) const {
    switch (s.former) {
      case FormerAt::owner:
        if (s.thread != ThreadAt::idle || s.written != s.flushed || s.dying) return;
        s.former = FormerAt::between;
        break;
      case FormerAt::between:  // it is known to the kernel only if it has shown the block to an attached program
        if (!s.attached) return;
        s.former = FormerAt::read_place;
        break;
      case FormerAt::read_place:  // the head is read at once, in whatever order
        s.former_from = s.ring;
        s.former = FormerAt::read_head;
        break;
      case FormerAt::read_head:
        s.former_written = s.written;
        s.former_flushed = s.flushed;
        s.former = rules_.dying_copies_first ? FormerAt::copy_first : FormerAt::read_again;
        break;
      case FormerAt::copy_first:
      case FormerAt::copy_last:
        s.former_ring[s.former_at] = s.rings[s.former_from][s.former_at];
        if (++s.former_at < ring_size) break;
        if (s.former == FormerAt::copy_last) count_former(s);
        s.former = s.former == FormerAt::copy_first ? FormerAt::read_again : FormerAt::done;
        break;
      case FormerAt::read_again:
        if (rules_.dying_copies_first) s.former_flushed = s.flushed;
        // An heir is not told apart from the owner.
        s.former = (rules_.dying_checks_owner && !rules_.is_heir) || s.former_flushed >= s.former_written ||
                           (rules_.ring_is_compared && s.ring != s.former_from)
                       ? FormerAt::done
                       : FormerAt::load_next;
        break;
      case FormerAt::load_next:
        s.former_before = s.next;
        s.former = FormerAt::judge;
        break;
      case FormerAt::judge:
        judge_former(s);
        break;
      case FormerAt::done:
        return;
    }
    out.push_back(s);
  }

  void judge_former(State& s) const {
    const wp_verdict verdict = wp_judge(s.former_before, s.former_flushed, s.former_written, WP_BY_THREAD);
    if (verdict == WP_CLAIM && s.next != s.former_before) {
      s.former_before = s.next;
      return;
    }
    s.former = FormerAt::done;
    if (verdict != WP_CLAIM) return;
    s.next = s.former_written;
    s.gap = static_cast<std::uint8_t>(s.gap + wp_gap(s.former_before, s.former_flushed));
    s.former_first = static_cast<std::uint8_t>(wp_first_claimed(s.former_before, s.former_flushed));
    s.former_at = 0;
    if (rules_.dying_copies_first) {
      count_former(s);
    } else {
      s.former = FormerAt::copy_last;
    }
  }

  static void count_former(State& s) {
    for (std::uint64_t n = s.former_first; n < s.former_written; n++) count(s, n, s.former_ring[n % ring_size]);
  }

  static ThreadAt after_hit(const State& s) { return s.dying ? ThreadAt::dead : ThreadAt::leave; }

  void step_thread(State s, std::vector<State>& out) const {
    switch (s.thread) {
      case ThreadAt::idle:
        if (s.exchanges_left != 0 && s.written == s.flushed) {
          State exchanged = s;
          exchanged.ring ^= 1;
          exchanged.exchanges_left--;
          out.push_back(exchanged);
        }
        if (s.written == record_cnt) break;
        s.rings[s.ring][s.written % ring_size] = s.written;
        s.thread = ThreadAt::wrote;
        out.push_back(s);
        break;
      case ThreadAt::wrote:
        s.written++;
        s.thread = s.written - s.flushed == ring_size ? ThreadAt::hit : ThreadAt::idle;
        out.push_back(s);
        break;
      case ThreadAt::hit:
        s.thread = s.attached ? ThreadAt::judge : after_hit(s);
        s.thread_before = s.next;
        out.push_back(s);
        break;
      case ThreadAt::judge:
        if (claim(s, s.thread_before, s.flushed, s.written, WP_BY_THREAD, s.rings[s.ring])) s.thread = after_hit(s);
        out.push_back(s);
        break;
      case ThreadAt::leave:
        s.flushed = s.written;
        s.thread = ThreadAt::idle;
        out.push_back(s);
        break;
      case ThreadAt::dead:
        break;
    }
  }

  // Between any two accesses of its own, but not inside a BPF program.
  static void step_death(State s, std::vector<State>& out) {
    if (s.thread == ThreadAt::judge || s.thread == ThreadAt::dead || s.dying) return;
    s.dying = true;
    s.thread = ThreadAt::hit;
    out.push_back(s);
  }

  void step_tool(State s, std::vector<State>& out) const {
    switch (s.tool) {
      case ToolAt::attach:
        s.attached = true;
        s.tool = ToolAt::begin;
        break;
      case ToolAt::begin:  // what stops from now on counts; a record that is being written has stopped
        s.since = static_cast<std::uint8_t>(s.written + (s.thread == ThreadAt::wrote ? 1 : 0));
        s.tool = ToolAt::read_place;
        break;
      case ToolAt::read_place:  // the head is read at once, in whatever order
        s.tool_from = s.ring;
        s.tool = ToolAt::read_written;
        break;
      case ToolAt::read_written:
        s.tool_written = s.written;
        s.tool = ToolAt::read_handed;
        break;
      case ToolAt::read_handed:
        s.tool_flushed = s.flushed;
        s.tool_at = 0;
        s.tool = ToolAt::read_ring;
        break;
      case ToolAt::read_ring:
        s.tool_ring[s.tool_at] = s.rings[s.tool_from][s.tool_at];
        if (++s.tool_at == ring_size) s.tool = ToolAt::read_after;
        break;
      case ToolAt::read_after:
        if (rules_.reader == Reader::by_flushed) s.tool_flushed = s.flushed;
        if (rules_.reader == Reader::by_written && s.written + 1 > s.tool_flushed + ring_size) {
          s.tool_flushed = static_cast<std::uint8_t>(s.written + 1 - ring_size);
        }
        s.tool =
            s.tool_flushed < s.tool_written && s.thread != ThreadAt::dead && (!rules_.ring_is_compared || s.ring == s.tool_from)
                ? ToolAt::load_next
                : next_drain(s);
        break;
      case ToolAt::load_next:
        s.tool_before = s.next;
        s.tool = ToolAt::judge;
        break;
      case ToolAt::judge:
        if (claim(s, s.tool_before, s.tool_flushed, s.tool_written, WP_BY_TOOL, s.tool_ring)) s.tool = next_drain(s);
        break;
      case ToolAt::done:
        return;
    }
    out.push_back(s);
  }

  static ToolAt next_drain(State& s) { return --s.drains_left != 0 ? ToolAt::read_place : ToolAt::done; }

  std::vector<State> successors(const State& s) const {
    std::vector<State> out;
    step_thread(s, out);
    step_death(s, out);
    step_tool(s, out);
    if (rules_.changes_owner) step_former(s, out);
    return out;
  }

  // At the end the thread is dead, and has brought what it had: all that was written since the beginning is counted, or told
  // of.
  std::optional<std::string> judge_end(const State& s) const {
    if (s.wrong) return "a record was counted twice, or as another";
    if (s.thread != ThreadAt::dead || s.tool != ToolAt::done) return std::nullopt;
    if (s.former != FormerAt::owner && s.former != FormerAt::done) return std::nullopt;
    int missing = 0;
    for (int n = s.since; n < s.written; n++) missing += s.counted[static_cast<std::size_t>(n)] == 0;
    if (missing > s.gap) return std::to_string(missing) + " records missing, " + std::to_string(s.gap) + " told of";
    if (missing < s.gap)
      return "a gap of " + std::to_string(s.gap) + " told of, " + std::to_string(missing) + " records missing";
    return std::nullopt;
  }

  Rules rules_;
  std::set<State> seen_;
};

}  // namespace claim_model
