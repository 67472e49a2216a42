# bpf_object(NAME SOURCE): compiles SOURCE for BPF, and makes the library NAME_skel with its skeleton header NAME.skel.h.
find_program(WAITPROBE_CLANG NAMES clang clang-14 REQUIRED)
find_program(WAITPROBE_BPFTOOL NAMES bpftool HINTS /usr/sbin REQUIRED)
# <asm/errno.h> and its like live in the folder of the host's architecture, where clang -target bpf does not look.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(WAITPROBE_BPF_ARCH x86)
else()
  set(WAITPROBE_BPF_ARCH arm64)
endif()

function(bpf_object name source)
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.bpf.o)
  set(skeleton ${CMAKE_CURRENT_BINARY_DIR}/${name}.skel.h)
  file(GLOB headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bpf/*.h)
  add_custom_command(OUTPUT ${object}
    COMMAND ${WAITPROBE_CLANG} -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter
            -D__TARGET_ARCH_${WAITPROBE_BPF_ARCH} -isystem /usr/include/${CMAKE_LIBRARY_ARCHITECTURE}
            -I ${PROJECT_SOURCE_DIR} -I ${PROJECT_SOURCE_DIR}/bpf
            -c ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${object}
    DEPENDS ${source} ${headers} VERBATIM)
  add_custom_command(OUTPUT ${skeleton}
    COMMAND ${WAITPROBE_BPFTOOL} gen skeleton ${object} name ${name}_bpf > ${skeleton}
    DEPENDS ${object} VERBATIM)
  add_custom_target(${name}_skel_file DEPENDS ${skeleton})
  add_library(${name}_skel INTERFACE)
  add_dependencies(${name}_skel ${name}_skel_file)
  target_include_directories(${name}_skel SYSTEM INTERFACE ${CMAKE_CURRENT_BINARY_DIR})
  # Skeletons of bpftool 7.5 have the name that bool has in C, which clang does not know in C++.
  target_compile_definitions(${name}_skel INTERFACE _Bool=bool)
endfunction()
