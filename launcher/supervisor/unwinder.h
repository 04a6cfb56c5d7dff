// libunwind, loaded at the first backtrace: sessions without --trace do without it and the
// libraries that it brings. Not its own `libunwind`, which would take the place of libgcc's
// unwinder for our exceptions.
#pragma once

#include <libunwind-ptrace.h>

namespace ovl {

#define OVL_UNWIND_FUNCTIONS(X)                              \
  X(upt_create, _UPT_create)                                 \
  X(upt_destroy, _UPT_destroy)                               \
  X(upt_find_proc_info, _UPT_find_proc_info)                 \
  X(upt_put_unwind_info, _UPT_put_unwind_info)               \
  X(upt_get_dyn_info_list_addr, _UPT_get_dyn_info_list_addr) \
  X(upt_get_proc_name, _UPT_get_proc_name)                   \
  X(create_addr_space, unw_create_addr_space)                \
  X(destroy_addr_space, unw_destroy_addr_space)              \
  X(init_remote, unw_init_remote)                            \
  X(get_reg, unw_get_reg)                                    \
  X(get_proc_info, unw_get_proc_info)                        \
  X(get_proc_name, unw_get_proc_name)                        \
  X(step, unw_step)

struct Unwinder {
#define OVL_UNWIND_MEMBER(member, function) decltype(&(function)) member;
  OVL_UNWIND_FUNCTIONS(OVL_UNWIND_MEMBER)
#undef OVL_UNWIND_MEMBER
};

// nullptr: it is not installed (any more).
const Unwinder* unwinder();

}  // namespace ovl
