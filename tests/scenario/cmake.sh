#!/bin/bash
# Shows that cmake configures and builds this project's core inside a merged tree: the same library, and nothing left to build after it.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
begin "$@"
need cmake ninja

mkdir tree
cp -r "$here/../../core" tree/
cat >tree/CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.25)
project(core LANGUAGES C CXX ASM)
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_EXTENSIONS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
add_library(ovlrun_warnings INTERFACE)
add_subdirectory(core)
END
# What ninja and cmake note down holds times.
same cmake --no-content '*/.ninja_*' --no-content '*/CMakeFiles/*.log' --no-content '*/CMakeFiles/*.yaml' --no-content '*/CMakeFiles/*.bin' \
  --ignore '*/CMakeScratch/*' --ignore '*/CMakeFiles/*/CompilerIdC*/a.out' --no-content '*/CMakeDetermineCompilerABI_*.bin' <<'END'
set -e
cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE= -DCMAKE_CXX_FLAGS=-O0 | sed 's/([0-9.]*s)//'
cmake --build build | tail -n 1
ninja -C build -n
cmake --build build --target clean
ls build
END
succeeded cmake
