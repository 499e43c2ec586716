/* The first process of a pod's sandbox: it only keeps the namespaces alive until it is told to end.
 * Freestanding for x86-64, so that the image needs nothing else. As pid 1 it gets SIGTERM only if it handles it. */
#define SYS_rt_sigprocmask 14
#define SYS_rt_sigtimedwait 128
#define SYS_wait4 61
#define SYS_exit_group 231

enum { SIGNAL_INT = 2, SIGNAL_TERM = 15, SIGNAL_CHLD = 17 };

static long call(long number, long a, long b, long c, long d) {
  long result;
  register long fourth __asm__("r10") = d;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth) : "rcx", "r11", "memory");
  return result;
}

void _start(void) {
  unsigned long signals = 1UL << (SIGNAL_INT - 1) | 1UL << (SIGNAL_TERM - 1) | 1UL << (SIGNAL_CHLD - 1);
  call(SYS_rt_sigprocmask, 0, (long)&signals, 0, sizeof signals);
  for (;;) {
    long signal = call(SYS_rt_sigtimedwait, (long)&signals, 0, 0, sizeof signals);
    if (signal == SIGNAL_INT || signal == SIGNAL_TERM) call(SYS_exit_group, 0, 0, 0, 0);
    while (call(SYS_wait4, -1, 0, 1, 0) > 0) {
    }
  }
}
