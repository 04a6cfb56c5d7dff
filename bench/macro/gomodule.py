"""gomodule.py DIR: writes a Go module of 20 packages and a program, the same every time. It needs nothing but fmt."""
import os
import sys

PACKAGES = 20
top = sys.argv[1]
for i in range(PACKAGES):
    os.makedirs(f"{top}/p{i}")
    with open(f"{top}/p{i}/p.go", "w", encoding="ascii") as file:
        body = "".join(f"func F{k}(x int) int {{ return x*{k + 3} + {i} }}\n" for k in range(40))
        file.write(f"package p{i}\n\n{body}")
with open(f"{top}/main.go", "w", encoding="ascii") as file:
    imports = "".join(f'\t"example.org/bench/p{i}"\n' for i in range(PACKAGES))
    calls = "".join(f"\tsum += p{i}.F1(sum)\n" for i in range(PACKAGES))
    file.write(f'package main\n\nimport (\n\t"fmt"\n{imports})\n\nfunc main() {{\n\tsum := 1\n{calls}\tfmt.Println(sum)\n}}\n')
with open(f"{top}/go.mod", "w", encoding="ascii") as file:
    file.write("module example.org/bench\n\ngo 1.18\n")
