# Programs of tests in further forms, from objects that are compiled once: linked static with glibc, and static with musl.

# add_static_form(NAME OBJECTS...): an executable linked static with glibc and gtest, where their archives are here.
# add_musl_form(NAME OBJECTS...): the same with musl in the place of glibc (glibc_on_musl.c says how that can be).
# OBJECTS are names of object libraries. NAME_FILE is set to the program's path; without the archives or musl-gcc it is empty, and
# a line says why.
find_library(OVLRUN_GTEST_ARCHIVE libgtest.a)
find_program(OVLRUN_MUSL_GCC musl-gcc)
foreach(archive IN ITEMS libstdc++.a libgcc_eh.a libc.a)
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=${archive}
    OUTPUT_VARIABLE path OUTPUT_STRIP_TRAILING_WHITESPACE)
  string(MAKE_C_IDENTIFIER ${archive} name)
  set(OVLRUN_ARCHIVE_${name} "")
  if(IS_ABSOLUTE "${path}")
    set(OVLRUN_ARCHIVE_${name} ${path})
  endif()
endforeach()

# Sanitizers and static programs don't go together.
function(ovlrun_static_forms_missing result)
  set(missing "")
  if(OVLRUN_SANITIZE)
    set(missing "not with sanitizers")
  elseif(NOT OVLRUN_GTEST_ARCHIVE)
    set(missing "no libgtest.a")
  elseif(NOT OVLRUN_ARCHIVE_libstdc___a OR NOT OVLRUN_ARCHIVE_libgcc_eh_a OR NOT OVLRUN_ARCHIVE_libc_a)
    set(missing "no static C and C++ libraries")
  endif()
  set(${result} "${missing}" PARENT_SCOPE)
endfunction()

function(add_static_form name)
  ovlrun_static_forms_missing(missing)
  if(missing)
    message(STATUS "${name} is left out: ${missing}")
    set(${name}_FILE "" PARENT_SCOPE)
    return()
  endif()
  list(TRANSFORM ARGN REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE objects)
  add_executable(${name} ${objects})
  target_link_libraries(${name} PRIVATE -static ${OVLRUN_GTEST_ARCHIVE})
  set(${name}_FILE $<TARGET_FILE:${name}> PARENT_SCOPE)
endfunction()

function(add_musl_form name)
  ovlrun_static_forms_missing(missing)
  if(NOT missing AND NOT OVLRUN_MUSL_GCC)
    set(missing "no musl-gcc")
  endif()
  if(missing)
    message(STATUS "${name} is left out: ${missing}")
    set(${name}_FILE "" PARENT_SCOPE)
    return()
  endif()
  if(NOT TARGET ovl_glibc_on_musl)
    add_library(ovl_glibc_on_musl OBJECT ${PROJECT_SOURCE_DIR}/tests/support/glibc_on_musl.c)
    target_link_libraries(ovl_glibc_on_musl PRIVATE ovlrun_warnings)
  endif()
  list(TRANSFORM ARGN REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE objects)
  set(file ${CMAKE_CURRENT_BINARY_DIR}/musl/${name})
  file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/musl)
  add_custom_command(OUTPUT ${file}
    COMMAND ${OVLRUN_MUSL_GCC} -static -o ${file} ${objects} $<TARGET_OBJECTS:ovl_glibc_on_musl>
      ${OVLRUN_GTEST_ARCHIVE} ${OVLRUN_ARCHIVE_libstdc___a} ${OVLRUN_ARCHIVE_libgcc_eh_a}
    DEPENDS ${ARGN} ${objects} ovl_glibc_on_musl $<TARGET_OBJECTS:ovl_glibc_on_musl>
    COMMENT "Linking ${name} with musl" COMMAND_EXPAND_LISTS VERBATIM)
  add_custom_target(${name} ALL DEPENDS ${file})
  set(${name}_FILE ${file} PARENT_SCOPE)
endfunction()
