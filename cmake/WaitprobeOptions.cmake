# waitprobe_options(TARGET): the language, the warnings and the sanitizers of every target of the project.
function(waitprobe_options target)
  set_target_properties(${target} PROPERTIES CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF C_STANDARD 11)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR})
  if(PROJECT_IS_TOP_LEVEL)
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow)
  endif()
  if(WAITPROBE_SANITIZE)
    # Optimised, the headers of CLI11 and JSON take minutes each under these two.
    if(WAITPROBE_SANITIZE MATCHES "address")
      target_compile_options(${target} PRIVATE -O0 -g1)
    endif()
    target_compile_options(${target} PRIVATE -fsanitize=${WAITPROBE_SANITIZE} -fno-omit-frame-pointer)
    target_link_options(${target} PRIVATE -fsanitize=${WAITPROBE_SANITIZE})
    if(WAITPROBE_SANITIZE MATCHES "undefined")
      # What looks at virtual tables opens a pipe to do so, and takes an object for a wrong one where it may not.
      target_compile_options(${target} PRIVATE -fno-sanitize-recover=undefined -fno-sanitize=vptr)
    endif()
    if(CMAKE_CXX_COMPILER_ID STREQUAL Clang)
      # Libraries that are loaded or preloaded need a runtime that is a library too. What looks at types of functions
      # refuses the call by another name of a class that PyTorch's ABI is made for, and its type information keeps plug-ins loaded.
      execute_process(COMMAND ${CMAKE_CXX_COMPILER} --print-runtime-dir OUTPUT_VARIABLE runtime OUTPUT_STRIP_TRAILING_WHITESPACE)
      target_link_options(${target} PRIVATE -shared-libsan -Wl,-rpath,${runtime})
      target_compile_options(${target} PRIVATE -fno-sanitize=function)
    endif()
  endif()
endfunction()

# waitprobe_quick_to_build(TARGET OPTIONS...): for what the first command of the README builds, which most of the time went into
# debug information, optimising and the headers of the standard library. So an ordinary build has what backtraces need and no
# more, OPTIONS, and from clang precompiled headers (GCC 12 then warns of what is not there). Debug has all, Release is fast;
# where there are tests, whoever forgets an include is told by the tree without sanitizers.
function(waitprobe_quick_to_build target)
  target_compile_options(${target} PRIVATE "$<$<CONFIG:RelWithDebInfo>:-g1;${ARGN}>")
  if(CMAKE_CXX_COMPILER_ID STREQUAL Clang AND (WAITPROBE_SANITIZE OR NOT WAITPROBE_BUILD_TESTS))
    # Targets with the same options share theirs.
    string(MAKE_C_IDENTIFIER "waitprobe_precompiled${ARGN}" owner)
    get_property(from GLOBAL PROPERTY ${owner})
    if(from)
      target_precompile_headers(${target} REUSE_FROM ${from})
    else()
      set_property(GLOBAL PROPERTY ${owner} ${target})
      target_precompile_headers(${target} PRIVATE <algorithm> <array> <charconv> <filesystem> <fstream> <functional> <iostream>
        <map> <memory> <optional> <set> <sstream> <string> <variant> <vector>)
    endif()
  endif()
endfunction()
