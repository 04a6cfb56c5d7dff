/* A 32-bit program without any library: makes calls in both of the ways that such a program has.
   Its exit status is the number of the check that failed, or, by way of an exec, that of false. */

static void* sysinfo;

#define CALL(instruction, result, number, b, c, d, s)                            \
  __asm__ volatile(instruction                                                   \
                   : "=a"(result), "+b"(b), "+c"(c), "+d"(d), "+S"(s), "+D"(di_) \
                   : "0"(number), [entry] "m"(sysinfo)                           \
                   : "memory", "cc")

static int check(int vdso, long number, long b, long c, long d, long s, long* result) {
  long b_ = b, c_ = c, d_ = d, s_ = s, di_ = 0x1234567;
  if (vdso) {
    CALL("call *%[entry]", *result, number, b_, c_, d_, s_);
  } else {
    CALL("int $0x80", *result, number, b_, c_, d_, s_);
  }
  return b_ == b && c_ == c && d_ == d && s_ == s && di_ == 0x1234567;
}

static void leave(int status) {
  long result;
  check(0, 1, status, 0, 0, 0, &result);
}

static int same(const char* a, const char* b) {
  while (*a != 0 && *a == *b) a++, b++;
  return *a == *b;
}

__attribute__((used)) static void start(long* stack) {
  char cwd[256];
  long result;
  char** p = (char**)(stack + 1) + stack[0] + 1;
  while (*p != 0) p++;
  for (long* aux = (long*)(p + 1); aux[0] != 0; aux += 2)
    if (aux[0] == 32 /* AT_SYSINFO */) sysinfo = (void*)aux[1];
  for (int vdso = 0; vdso < 2; vdso++) {
    if (vdso && sysinfo == 0) break;
    int first = 10 + 10 * vdso;
    if (!check(vdso, 12, (long)"/virtual/usr", 2, 3, 4, &result)) leave(first);
    if (result != 0) leave(first + 1);
    check(0, 183, (long)cwd, sizeof cwd, 0, 0, &result);
    if (!same(cwd, "/usr")) leave(first + 2);
    check(vdso, 12, (long)"/virtual/absent", 2, 3, 4, &result);
    if (result != -2) leave(first + 3);
    check(0, 12, (long)"/", 2, 3, 4, &result);
  }
  char* argv[] = {"sh", "-c", "test $ASSISTED = 1 && exit 77", 0};
  char* envp[] = {"A=b", 0};
  check(0, 11, (long)"/virtual/bin/sh", (long)argv, (long)envp, 0, &result);
  leave(5);
}

__asm__(".globl _start\n_start: mov %esp, %eax\npush %eax\ncall start\n");
