// SPDX-License-Identifier: MIT
#include "src/cli/screen.h"

#define NCURSES_WIDECHAR 1
#include <curses.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cwchar>

#include "src/cli/terminal.h"
#include "src/cli/terminal_description.h"

namespace waitprobe::cli {
namespace {

constexpr short alert_pair = 1, title_pair = 2;

// Keys are UTF-8 whatever the locale is, so the terminal gets UTF-8.
void want_utf8() {
  setlocale(LC_CTYPE, "");
  if (std::strcmp(nl_langinfo(CODESET), "UTF-8") != 0) setlocale(LC_CTYPE, "C.UTF-8");
}

// Null: ncurses does not know the terminal, nor do we.
screen* take_terminal() {
  screen* taken = newterm(nullptr, stdout, stdin);
  const char* name = std::getenv("TERM");
  const char* description = taken == nullptr && name != nullptr ? terminal_description(name) : nullptr;
  if (description == nullptr) return taken;
  setenv("TERMINFO", description, 1);
  taken = newterm(nullptr, stdout, stdin);
  unsetenv("TERMINFO");  // a command that we start has its own terminals
  return taken;
}

attr_t attributes_of(TopStyle style) {
  switch (style) {
    case TopStyle::title:
    case TopStyle::header:
    case TopStyle::alert:
      return A_BOLD;
    case TopStyle::selected:
      return A_REVERSE;
    case TopStyle::dim:
      return A_DIM;
    case TopStyle::plain:
      break;
  }
  return A_NORMAL;
}

short colour_of(TopStyle style) { return style == TopStyle::alert ? alert_pair : style == TopStyle::title ? title_pair : 0; }

bool meaning_of(wint_t code, bool is_function_key, Screen::Press& press) {
  constexpr std::pair<wint_t, TopKey> function_keys[] = {{KEY_UP, TopKey::up},         {KEY_DOWN, TopKey::down},
                                                         {KEY_PPAGE, TopKey::page_up}, {KEY_NPAGE, TopKey::page_down},
                                                         {KEY_HOME, TopKey::home},     {KEY_END, TopKey::end},
                                                         {KEY_LEFT, TopKey::left},     {KEY_RIGHT, TopKey::right},
                                                         {KEY_ENTER, TopKey::enter},   {KEY_BACKSPACE, TopKey::backspace}};
  constexpr std::pair<wint_t, TopKey> characters[] = {
      {'\n', TopKey::enter}, {'\r', TopKey::enter}, {27, TopKey::escape}, {127, TopKey::backspace}, {8, TopKey::backspace}};
  const auto find_in = [&](const auto& table) {
    const auto known = std::find_if(std::begin(table), std::end(table), [&](const auto& entry) { return entry.first == code; });
    if (known != std::end(table)) press.key = known->second;
    return known != std::end(table);
  };
  if (is_function_key) return find_in(function_keys);
  if (find_in(characters)) return true;
  char bytes[MB_LEN_MAX];
  std::mbstate_t state = {};
  const std::size_t length = std::wcrtomb(bytes, static_cast<wchar_t>(code), &state);
  if (code < ' ' || length == static_cast<std::size_t>(-1)) return false;
  press = {TopKey::text, std::string(bytes, length)};
  return true;
}

}  // namespace

void Screen::DeleteTerminal::operator()(screen* terminal) const {
  endwin();
  delscreen(terminal);
}

std::unique_ptr<Screen> Screen::open(Colours colours) {
  if (isatty(STDIN_FILENO) != 1 || !is_on_terminal()) return nullptr;
  want_utf8();
  std::unique_ptr<Screen> opened(new Screen);
  sigset_t size_changes;
  sigemptyset(&size_changes);
  sigaddset(&size_changes, SIGWINCH);
  sigprocmask(SIG_BLOCK, &size_changes, nullptr);
  opened->size_changes_ = FileDescriptor(signalfd(-1, &size_changes, SFD_CLOEXEC | SFD_NONBLOCK));
  opened->events_ = FileDescriptor(epoll_create1(EPOLL_CLOEXEC));
  for (const int fd : {STDIN_FILENO, opened->size_changes_.get()}) {
    epoll_event event = {EPOLLIN, {.fd = fd}};
    epoll_ctl(opened->events_.get(), EPOLL_CTL_ADD, fd, &event);
  }
  opened->terminal_.reset(take_terminal());
  if (opened->terminal_ == nullptr) return nullptr;
  cbreak();
  noecho();
  keypad(stdscr, TRUE);
  nodelay(stdscr, TRUE);
  set_escdelay(50);
  curs_set(0);
  opened->has_colours_ = colours == Colours::yes && has_colors();
  if (opened->has_colours_) {
    start_color();
    use_default_colors();
    init_pair(alert_pair, COLOR_RED, -1);
    init_pair(title_pair, COLOR_CYAN, -1);
  }
  return opened;
}

Screen::~Screen() = default;

std::size_t Screen::rows() const { return static_cast<std::size_t>(std::max(getmaxy(stdscr), 0)); }
std::size_t Screen::columns() const { return static_cast<std::size_t>(std::max(getmaxx(stdscr), 0)); }

void Screen::paint(const std::vector<TopLine>& lines) {
  erase();
  for (std::size_t row = 0; row < lines.size(); row++) {
    attr_set(attributes_of(lines[row].style), has_colours_ ? colour_of(lines[row].style) : 0, nullptr);
    mvaddstr(static_cast<int>(row), 0, lines[row].text.c_str());
    if (lines[row].style == TopStyle::selected) hline(' ' | A_REVERSE, static_cast<int>(columns()));
  }
  attr_set(A_NORMAL, 0, nullptr);
  refresh();
}

void Screen::follow_size() {
  signalfd_siginfo info;
  bool has_changed = false;
  while (read(size_changes_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) has_changed = true;
  winsize size = {};
  if (has_changed && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) resizeterm(size.ws_row, size.ws_col);
}

std::vector<Screen::Press> Screen::take_keys() {
  follow_size();
  std::vector<Press> presses;
  wint_t code = 0;
  for (int got; (got = get_wch(&code)) != ERR;) {
    Press press{TopKey::text, ""};
    if (meaning_of(code, got == KEY_CODE_YES, press)) presses.push_back(std::move(press));
  }
  return presses;
}

}  // namespace waitprobe::cli
