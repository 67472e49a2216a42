// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "src/collect/machine/file_descriptor.h"
#include "src/view/emphasis.h"
#include "src/view/top_screen.h"

struct screen;  // of ncurses

namespace waitprobe::cli {

// The terminal while a screen is drawn on it. Lifetime: the destructor restores the terminal. Only one may exist at a time.
class Screen {
 public:
  // Returns null if stdin or stdout is not a terminal, or a terminal of unknown type.
  static std::unique_ptr<Screen> open(Colours colours);
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  std::size_t rows() const;
  std::size_t columns() const;

  void paint(const std::vector<TopLine>& lines);

  // Readable when a key was pressed, or the window has another size.
  int fd() const { return events_.get(); }

  struct Press {
    TopKey key;
    std::string text;
  };
  // The keys that were pressed, after the screen has taken the size of its window.
  std::vector<Press> take_keys();

 private:
  struct DeleteTerminal {
    void operator()(screen* terminal) const;
  };

  Screen() = default;
  void follow_size();

  std::unique_ptr<screen, DeleteTerminal> terminal_;
  FileDescriptor size_changes_;  // a signalfd
  FileDescriptor events_;        // an epoll of it and the keyboard
  bool has_colours_ = false;
};

}  // namespace waitprobe::cli
