"""sources.py c DIR: writes a C project of 60 files with a common header tree and a Makefile, the same every time.
sources.py go DIR: likewise a Go module of 20 packages and a program. It needs nothing but fmt."""
import os
import sys


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def functions(pattern):
    """40 small functions; {k} is the number of one, {factor} what it multiplies by."""
    return "".join(pattern.format(k=k, factor=k + 3) for k in range(40))


def c_project(top, files=60):
    for i in range(20):
        following = f'#include "deep/h{i + 1}.h"\n' if i < 19 else "#include <stdio.h>\n#include <string.h>\n"
        write(f"{top}/include/deep/h{i}.h", f"#pragma once\n{following}struct s{i} {{ int field{i}; }};\n")
    for i in range(files):
        body = functions(f"int f{i}_{{k}}(int x) {{{{ return x * {{factor}} + {i}; }}}}\n")
        write(f"{top}/f{i}.c", f'#include "deep/h0.h"\n{body}')
    names = "".join(f"int f{i}_1(int);\n" for i in range(files))
    calls = "".join(f"  sum += f{i}_1(sum);\n" for i in range(files))
    write(f"{top}/main.c", f'#include "deep/h0.h"\n{names}int main(void) {{\n  int sum = 1;\n{calls}  printf("%d\\n", sum);\n}}\n')
    write(f"{top}/Makefile", "CFLAGS = -O1 -Iinclude -MMD\nOBJECTS = $(patsubst %.c,%.o,$(wildcard *.c))\n"
                             "project: $(OBJECTS)\n\t$(CC) -o $@ $^\n-include $(wildcard *.d)\n")


def go_module(top, packages=20):
    for i in range(packages):
        body = functions(f"func F{{k}}(x int) int {{{{ return x*{{factor}} + {i} }}}}\n")
        write(f"{top}/p{i}/p.go", f"package p{i}\n\n{body}")
    imports = "".join(f'\t"example.org/bench/p{i}"\n' for i in range(packages))
    calls = "".join(f"\tsum += p{i}.F1(sum)\n" for i in range(packages))
    write(f"{top}/main.go",
          f'package main\n\nimport (\n\t"fmt"\n{imports})\n\nfunc main() {{\n\tsum := 1\n{calls}\tfmt.Println(sum)\n}}\n')
    write(f"{top}/go.mod", "module example.org/bench\n\ngo 1.18\n")


{"c": c_project, "go": go_module}[sys.argv[1]](sys.argv[2])
