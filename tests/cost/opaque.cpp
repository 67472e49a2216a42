// SPDX-License-Identifier: MIT
extern "C" void opaque() {}
