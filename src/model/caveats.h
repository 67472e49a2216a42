// SPDX-License-Identifier: MIT
//
// What takes "none was lost" away although no loss was counted: plain data.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace waitprobe {

// A file whose probes could be attached only after a process had it mapped and others were being counted: waits before that
// moment are not in the series.
struct AttachedLate {
  std::uint32_t pid = 0;
  std::string comm;              // any bytes
  std::string file;              // any bytes
  std::uint64_t elapsed_ns = 0;  // from when on it is counted, after everything else was attached

  auto operator<=>(const AttachedLate&) const = default;
};

// A process of which it is not known that all its waits were seen: nobody has read of it that its guards are armed.
struct Unverified {
  std::uint32_t pid = 0;                // 0: of any process, which may not be known
  std::string comm;                     // any bytes
  std::string file;                     // any bytes; empty: not known
  std::string why;                      // one of unverified_reasons, or that of a newer version
  std::uint64_t until_ns = UINT64_MAX;  // as elapsed_ns: when it ended; not in recordings
};

struct UnverifiedReason {
  const char* name;     // in JSON, and in text
  const char* meaning;  // in text
};

namespace unverified {
inline constexpr UnverifiedReason word_is_zero = {"word is zero", "the kernel has not armed its guards"};
inline constexpr UnverifiedReason shared_page = {"shared semaphore page", "other data shares the page that arms its guards"};
inline constexpr UnverifiedReason not_readable = {"not readable", "its memory cannot be read"};
inline constexpr UnverifiedReason hidden = {"not looked into", "its memory map or files cannot be read"};
inline constexpr UnverifiedReason unlisted = {"not listed", "/proc hides processes of others (hidepid)"};
inline constexpr UnverifiedReason other_abi = {"another ABI", "it has another version of libwaitprobe"};
inline constexpr UnverifiedReason not_attached = {"not attached", "a warning says why"};
inline constexpr UnverifiedReason no_notes = {"no notes", "its probe notes were stripped, or exist twice"};
inline constexpr UnverifiedReason moved_code = {"moved code", "it runs a copy of its code, in which there are no probes"};
inline constexpr UnverifiedReason ended_unseen = {"ended unseen", "it ended or closed the file before it could be read"};
inline constexpr UnverifiedReason not_told = {"not told of", "an event buffer overflowed, or a CPU was added or offline"};
inline constexpr UnverifiedReason too_many_blocks = {"too many blocks", "it has more thread blocks than the tool reads"};
inline constexpr UnverifiedReason still_running = {"still running", "it had not ended when counting stopped"};
}  // namespace unverified

inline constexpr UnverifiedReason unverified_reasons[] = {
    unverified::word_is_zero,   unverified::shared_page,  unverified::not_readable, unverified::hidden,
    unverified::unlisted,       unverified::other_abi,    unverified::not_attached, unverified::no_notes,
    unverified::moved_code,     unverified::ended_unseen, unverified::not_told,     unverified::still_running,
    unverified::too_many_blocks};

struct Caveats {
  std::vector<AttachedLate> attached_late;  // in order of elapsed_ns
  std::vector<Unverified> unverified;

  // Then all waits of all targets are in the series or among the losses: none was attached late, and of each it was read that
  // its guards are armed.
  bool empty() const { return attached_late.empty() && unverified.empty(); }
};

}  // namespace waitprobe
