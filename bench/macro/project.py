"""project.py DIR: writes a C project of 60 files with a common header tree and a Makefile, the same every time."""
import os
import sys

FILES = 60
top = sys.argv[1]
os.makedirs(f"{top}/include/deep")
for i in range(20):
    with open(f"{top}/include/deep/h{i}.h", "w", encoding="ascii") as file:
        following = f'#include "deep/h{i + 1}.h"\n' if i < 19 else "#include <stdio.h>\n#include <string.h>\n"
        file.write(f"#pragma once\n{following}struct s{i} {{ int field{i}; }};\n")
for i in range(FILES):
    with open(f"{top}/f{i}.c", "w", encoding="ascii") as file:
        body = "".join(f"int f{i}_{k}(int x) {{ return x * {k + 3} + {i}; }}\n" for k in range(40))
        file.write(f'#include "deep/h0.h"\n{body}')
with open(f"{top}/main.c", "w", encoding="ascii") as file:
    names = "".join(f"int f{i}_1(int);\n" for i in range(FILES))
    calls = "".join(f"  sum += f{i}_1(sum);\n" for i in range(FILES))
    file.write(f'#include "deep/h0.h"\n{names}int main(void) {{\n  int sum = 1;\n{calls}  printf("%d\\n", sum);\n}}\n')
with open(f"{top}/Makefile", "w", encoding="ascii") as file:
    file.write("CFLAGS = -O1 -Iinclude -MMD\nOBJECTS = $(patsubst %.c,%.o,$(wildcard *.c))\n"
               "project: $(OBJECTS)\n\t$(CC) -o $@ $^\n-include $(wildcard *.d)\n")
