// SPDX-License-Identifier: MIT
//
// In place of sys/sdt.h where that is not installed, for probes.cpp alone: a nop, and a note that says where it is and in which
// registers the arguments are (type 3 of "stapsdt": three addresses, three strings). The tests compare the notes of both.
//
// All arguments are unsigned and of 64 bits, and each probe has a semaphore.
#pragma once

// A linker that moves code (prelink) tells tools by this symbol how far.
#define WP_SDT_BASE                                                       \
  ".ifndef _.stapsdt.base\n"                                              \
  ".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n" \
  ".weak _.stapsdt.base\n"                                                \
  ".hidden _.stapsdt.base\n"                                              \
  "_.stapsdt.base: .space 1\n"                                            \
  ".size _.stapsdt.base, 1\n"                                             \
  ".popsection\n"                                                         \
  ".endif\n"

#define WP_SDT_PROBE(provider, name, arguments, ...) \
  asm volatile(                                      \
      "990: nop\n"                                   \
      ".pushsection .note.stapsdt,\"\",\"note\"\n"   \
      ".balign 4\n"                                  \
      ".4byte 992f - 991f, 994f - 993f, 3\n"         \
      "991: .asciz \"stapsdt\"\n"                    \
      "992: .balign 4\n"                             \
      "993: .8byte 990b\n"                           \
      ".8byte _.stapsdt.base\n"                      \
      ".8byte " #provider "_" #name                  \
      "_semaphore\n"                                 \
      ".asciz \"" #provider                          \
      "\"\n"                                         \
      ".asciz \"" #name                              \
      "\"\n"                                         \
      ".asciz \"" arguments                          \
      "\"\n"                                         \
      "994: .balign 4\n"                             \
      ".popsection\n" WP_SDT_BASE ::__VA_ARGS__)

#define DTRACE_PROBE3(provider, name, a, b, c) WP_SDT_PROBE(provider, name, "8@%0 8@%1 8@%2", "r"(a), "r"(b), "r"(c))
#define DTRACE_PROBE4(provider, name, a, b, c, d) \
  WP_SDT_PROBE(provider, name, "8@%0 8@%1 8@%2 8@%3", "r"(a), "r"(b), "r"(c), "r"(d))
#define DTRACE_PROBE5(provider, name, a, b, c, d, e) \
  WP_SDT_PROBE(provider, name, "8@%0 8@%1 8@%2 8@%3 8@%4", "r"(a), "r"(b), "r"(c), "r"(d), "r"(e))
