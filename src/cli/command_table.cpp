// SPDX-License-Identifier: MIT
#include "src/cli/command_table.h"

namespace waitprobe::cli {
namespace {

constexpr CommandRow table[] = {
    {"list", "which processes carry probes, are they armed, which keys do they have",
     "  waitprobe list                 every process on the machine\n"
     "  waitprobe list -p 1234 --json  one process, for a program to read\n",
     run_list},
    {"hist", "how long do waits take: count, rate, total, quantiles and bars for each key",
     "  waitprobe hist -p 1234                  until Ctrl-C, or until the process ends\n"
     "  waitprobe hist -p 1234 -d 10 --bars     ten seconds, with a histogram for each key\n"
     "  waitprobe hist -a -i 1                  the whole machine, a table each second\n"
     "  waitprobe hist -f ./server -k 'db.*'    every process of this file, some keys\n"
     "  waitprobe hist -- ./server --port 80    start a program, and miss none of its waits\n",
     run_hist},
};

}  // namespace

std::span<const CommandRow> commands() { return table; }

}  // namespace waitprobe::cli
