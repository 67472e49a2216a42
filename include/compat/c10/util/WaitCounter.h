// SPDX-License-Identifier: MIT
//
// Lets code that was written for PyTorch's header of this name compile unchanged on waitprobe. Only for programs that are built
// without PyTorch: target waitprobe::c10 adds this folder, and it is never installed beside the normal headers, where it would
// shadow PyTorch's. All symbols stay in namespace waitprobe, so both libraries can live in one process.
#pragma once

#include <waitprobe/wait_counter.h>

#if __cplusplus >= 201703L  // otherwise that header has said so
namespace c10::monitor {
namespace detail {
using ::waitprobe::detail::getRegisteredWaitCounterBackends;
using ::waitprobe::detail::registerWaitCounterBackend;
using ::waitprobe::detail::WaitCounterBackendFactoryIf;
using ::waitprobe::detail::WaitCounterBackendIf;
}  // namespace detail

using ::waitprobe::WaitCounterHandle;
}  // namespace c10::monitor
#endif
