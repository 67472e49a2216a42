// SPDX-License-Identifier: MIT
#include "src/collect/machine/tracefs_folder.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>

#include "src/collect/machine/proc_file.h"

namespace waitprobe {
namespace {

constexpr const char* place = "/sys/kernel/tracing";
// debugfs has tracefs too: mounted there already, or by the kernel for whoever enters that folder.
constexpr const char* place_in_debugfs = "/sys/kernel/debug/tracing";

bool is_tracefs(const FileDescriptor& folder) {
  struct statfs status;
  return folder.ok() && fstatfs(folder.get(), &status) == 0 && status.f_type == TRACEFS_MAGIC;
}

// O_PATH, so that those who may not look into it can still tell that it is there.
FileDescriptor open_place(const char* path) {
  FileDescriptor folder(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
  return is_tracefs(folder) ? std::move(folder) : FileDescriptor();
}

// Looks without having the kernel mount anything.
bool is_mounted_in_debugfs() {
  struct statx status;
  return statx(AT_FDCWD, place_in_debugfs, AT_NO_AUTOMOUNT, 0, &status) == 0 &&
         (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

FileDescriptor mount_detached() {
  const FileDescriptor context(fsopen("tracefs", FSOPEN_CLOEXEC));
  if (!context.ok() || fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return FileDescriptor();
  return FileDescriptor(fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
}

}  // namespace

TracefsFolder TracefsFolder::open() {
  TracefsFolder found;
  found.access_ = TracefsAccess::mounted;
  found.folder_ = open_place(place);
  if (!found.folder_.ok() && is_mounted_in_debugfs()) found.folder_ = open_place(place_in_debugfs);
  if (found.folder_.ok()) return found;
  found.folder_ = mount_detached();
  if (found.folder_.ok()) {
    found.access_ = TracefsAccess::own_mount;
    return found;
  }
  found.mount_error_ = errno;
  found.folder_ = open_place(place_in_debugfs);  // the kernel may mount there what this user may not
  if (!found.folder_.ok()) found.access_ = TracefsAccess::none;
  return found;
}

std::optional<std::string> TracefsFolder::read(const std::string& file) const {
  if (folder_.ok()) return read_proc_file("/proc/self/fd/" + std::to_string(folder_.get()) + "/" + file);
  errno = mount_error_;
  return std::nullopt;
}

}  // namespace waitprobe
