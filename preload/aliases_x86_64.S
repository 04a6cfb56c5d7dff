// The second names of the table. A jump rather than an alias of the symbol, so that the two may
// stand in different files;
// arguments stay where they are, whatever the function takes.
#if defined(__x86_64__)
        .text
#define IP(...)
#define IP_NUMBER(...)
#define IP_HAND(...)
#define IP_ALIAS(name, target) \
        .globl name;           \
        .type name, @function; \
        .balign 16;            \
name:                          \
        jmp target;            \
        .size name, . - name;
#include "preload/interposers.def"
#endif
        .section .note.GNU-stack, "", @progbits
