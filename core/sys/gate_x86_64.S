// The gate for x86-64: see gate.h. C argument registers to system call registers.
#if defined(__x86_64__)
        .macro  system_call name
        .globl  \name
        .hidden \name
        .type   \name, @function
\name:
        .cfi_startproc
        movq    %rdi, %rax
        movq    %rsi, %rdi
        movq    %rdx, %rsi
        movq    %rcx, %rdx
        movq    %r8, %r10
        movq    %r9, %r8
        movq    8(%rsp), %r9
        syscall
        ret
        .cfi_endproc
        .size   \name, . - \name
        .endm

        .section .text.hot.ovl_gate, "ax", @progbits
        .balign 4096
        .globl  ovl_gate_page
        .hidden ovl_gate_page
ovl_gate_page:
        system_call ovl_gate_call
        .balign 4096

        .section .text.hot, "ax", @progbits
        .balign 16
        system_call ovl_plain_call
#endif
        .section .note.GNU-stack, "", @progbits
