// dlopen and dlmopen: the loader sees the caller's return address. Arguments: dl.cc.
#if defined(__x86_64__)
        .text
        .globl  dlopen
        .type   dlopen, @function
        .balign 16
dlopen:
        .cfi_startproc
        endbr64
        pushq   %rsi
        .cfi_adjust_cfa_offset 8
        call    ovl_object_path         // path in %rdi already; the stack is aligned by the push
        movq    %rax, %rdi
        popq    %rsi
        .cfi_adjust_cfa_offset -8
        jmp     *ovl_next_dlopen(%rip)
        .cfi_endproc
        .size   dlopen, . - dlopen

        .globl  dlmopen
        .type   dlmopen, @function
        .balign 16
dlmopen:
        .cfi_startproc
        endbr64
        pushq   %rdi
        .cfi_adjust_cfa_offset 8
        pushq   %rdx
        .cfi_adjust_cfa_offset 8
        subq    $8, %rsp
        .cfi_adjust_cfa_offset 8
        movq    %rsi, %rdi
        call    ovl_object_path
        movq    %rax, %rsi
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        popq    %rdx
        .cfi_adjust_cfa_offset -8
        popq    %rdi
        .cfi_adjust_cfa_offset -8
        jmp     *ovl_next_dlmopen(%rip)
        .cfi_endproc
        .size   dlmopen, . - dlmopen
#endif
        .section .note.GNU-stack, "", @progbits
