// clone3(2) with a function for the child, as clone(3) of libc has it: see spawn.cc.
#if defined(__x86_64__)
        .text
        .globl  ovl_clone3
        .hidden ovl_clone3
        .type   ovl_clone3, @function
        .balign 16
// %rdi: struct clone_args, %rsi: its size, %rdx: the function, %rcx: its argument
ovl_clone3:
        .cfi_startproc
        endbr64
        movq    %rcx, %r8
        movl    $435, %eax              // SYS_clone3
        syscall
        testq   %rax, %rax
        jz      1f
        ret
1:      .cfi_undefined %rip             // the child's first frame
        xorl    %ebp, %ebp
        movq    %r8, %rdi
        call    *%rdx
        hlt                             // it does not return
        .cfi_endproc
        .size   ovl_clone3, . - ovl_clone3
#endif
        .section .note.GNU-stack, "", @progbits
