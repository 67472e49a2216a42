# What `cmake --install` puts where. Components: runtime (the shared library), dev (what programs are built with), tools, torch.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

# waitprobe_install(TARGET COMPONENT REST...): as install(TARGETS), also where only some targets were built, which it says.
function(waitprobe_install target component)
  install(CODE "if(NOT EXISTS \"$<TARGET_FILE:${target}>\")
    message(STATUS \"Not built, so not installed: $<TARGET_FILE_NAME:${target}>\")
  endif()" COMPONENT ${component})
  install(TARGETS ${target} ${ARGN} OPTIONAL)
endfunction()

# waitprobe_install_library(): headers, libraries, and what finds them. Each library has an export of its own, so that the one can be
# installed without the other.
function(waitprobe_install_library)
  waitprobe_install(waitprobe_static dev EXPORT waitprobe-static ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev)
  waitprobe_install(waitprobe_shared runtime EXPORT waitprobe-shared
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT dev)
  install(TARGETS waitprobe_c10 EXPORT waitprobe-static)
  # Not where other headers are: whoever has PyTorch's c10/util/WaitCounter.h must not get this one in its place.
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/waitprobe DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/compat DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/waitprobe COMPONENT dev)

  set(package ${CMAKE_INSTALL_LIBDIR}/cmake/waitprobe)
  foreach(kind static shared)
    install(EXPORT waitprobe-${kind} FILE waitprobe-${kind}-targets.cmake NAMESPACE waitprobe:: DESTINATION ${package} COMPONENT dev)
  endforeach()
  set(static_library ${CMAKE_INSTALL_FULL_LIBDIR}/${CMAKE_STATIC_LIBRARY_PREFIX}waitprobe${CMAKE_STATIC_LIBRARY_SUFFIX})
  set(shared_library ${CMAKE_INSTALL_FULL_LIBDIR}/${CMAKE_SHARED_LIBRARY_PREFIX}waitprobe${CMAKE_SHARED_LIBRARY_SUFFIX})
  configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/waitprobe-config.cmake.in waitprobe-config.cmake
    INSTALL_DESTINATION ${package} PATH_VARS static_library shared_library)
  write_basic_package_version_file(waitprobe-config-version.cmake COMPATIBILITY SameMinorVersion)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/waitprobe-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/waitprobe-config-version.cmake
    DESTINATION ${package} COMPONENT dev)

  # Relative to where the file is, so that the prefix can be moved.
  set(from ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig)
  foreach(name includedir libdir)
    string(TOUPPER ${name} variable)
    cmake_path(RELATIVE_PATH CMAKE_INSTALL_FULL_${variable} BASE_DIRECTORY ${from} OUTPUT_VARIABLE ${name})
  endforeach()
  foreach(name waitprobe waitprobe-static)
    set(libs -lwaitprobe)
    if(name STREQUAL "waitprobe-static")
      set(libs -l:libwaitprobe.a)
    endif()
    configure_file(${PROJECT_SOURCE_DIR}/cmake/waitprobe.pc.in ${name}.pc @ONLY)
    install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)
  endforeach()
endfunction()
