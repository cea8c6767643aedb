/* System calls without a C library, for x86-64 and AArch64 Linux: what pause.c and shim.c are built on. */
#ifndef NOLIBC_H
#define NOLIBC_H

typedef unsigned long usize;
typedef long isize;
typedef unsigned int u32;
typedef unsigned long u64;
typedef unsigned short u16;
typedef unsigned char u8;

#if defined(__x86_64__)
static inline isize call6(isize n, isize a, isize b, isize c, isize d, isize e, isize f) {
  isize result;
  register isize r10 __asm__("r10") = d;
  register isize r8 __asm__("r8") = e;
  register isize r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}
/* The kernel leaves argc, argv and envp on the stack; `begin` gets the address of argc. */
__asm__(".globl _start\n_start:\n xor %ebp,%ebp\n mov %rsp,%rdi\n and $-16,%rsp\n call begin\n hlt\n");
#elif defined(__aarch64__)
static inline isize call6(isize n, isize a, isize b, isize c, isize d, isize e, isize f) {
  register isize x8 __asm__("x8") = n;
  register isize x0 __asm__("x0") = a;
  register isize x1 __asm__("x1") = b;
  register isize x2 __asm__("x2") = c;
  register isize x3 __asm__("x3") = d;
  register isize x4 __asm__("x4") = e;
  register isize x5 __asm__("x5") = f;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}
__asm__(".globl _start\n_start:\n mov x29,#0\n mov x30,#0\n mov x0,sp\n and sp,x0,#-16\n bl begin\n brk #0\n");
#else
#error "no system calls for this processor"
#endif

#define CALL(number, a, b, c, d, e, f) \
  call6((number), (isize)(a), (isize)(b), (isize)(c), (isize)(d), (isize)(e), (isize)(f))

#if defined(__x86_64__)
enum {
  NR_read = 0, NR_write = 1, NR_close = 3, NR_mmap = 9, NR_rt_sigprocmask = 14, NR_ioctl = 16, NR_socket = 41,
  NR_connect = 42, NR_recvmsg = 47, NR_shutdown = 48, NR_bind = 49, NR_listen = 50, NR_execve = 59, NR_exit_group = 231,
  NR_wait4 = 61, NR_kill = 62, NR_chdir = 80, NR_mkdirat = 258, NR_getpid = 39, NR_setsid = 112, NR_prctl = 157,
  NR_rt_sigtimedwait = 128, NR_clock_gettime = 228, NR_openat = 257, NR_unlinkat = 263, NR_renameat2 = 316,
  NR_ppoll = 271, NR_accept4 = 288, NR_dup3 = 292, NR_pipe2 = 293, NR_setns = 308, NR_clone = 56, NR_signalfd4 = 289,
  NR_fsync = 74, NR_fstat = 5, NR_getppid = 110, NR_fcntl = 72, NR_lseek = 8, NR_fchmodat = 268, NR_getdents64 = 217,
  NR_flock = 73, NR_getcwd = 79
};
#else
enum {
  NR_read = 63, NR_write = 64, NR_close = 57, NR_mmap = 222, NR_rt_sigprocmask = 135, NR_ioctl = 29, NR_socket = 198,
  NR_connect = 203, NR_recvmsg = 212, NR_shutdown = 210, NR_bind = 200, NR_listen = 201, NR_execve = 221,
  NR_exit_group = 94, NR_wait4 = 260, NR_kill = 129, NR_chdir = 49, NR_mkdirat = 34, NR_getpid = 172, NR_setsid = 157,
  NR_prctl = 167, NR_rt_sigtimedwait = 137, NR_clock_gettime = 113, NR_openat = 56, NR_unlinkat = 35,
  NR_renameat2 = 276, NR_ppoll = 73, NR_accept4 = 242, NR_dup3 = 24, NR_pipe2 = 59, NR_setns = 268, NR_clone = 220,
  NR_signalfd4 = 74, NR_fsync = 82, NR_fstat = 80, NR_getppid = 173, NR_fcntl = 25, NR_lseek = 62, NR_fchmodat = 53,
  NR_getdents64 = 61, NR_flock = 32, NR_getcwd = 17
};
#endif

enum { SIGINT_ = 2, SIGKILL_ = 9, SIGPIPE_ = 13, SIGTERM_ = 15, SIGCHLD_ = 17 };
#define BIT(signal) (1UL << ((signal) - 1))

/* The compiler may call these on its own. */
void *memset(void *at, int byte, usize count);
void *memcpy(void *to, const void *from, usize count);
__attribute__((used)) void *memset(void *at, int byte, usize count) {
  volatile u8 *p = at;
  while (count--) *p++ = (u8)byte;
  return at;
}
__attribute__((used)) void *memcpy(void *to, const void *from, usize count) {
  volatile u8 *p = to;
  const u8 *q = from;
  while (count--) *p++ = *q++;
  return to;
}

__attribute__((noreturn)) static inline void leave(int code) {
  for (;;) CALL(NR_exit_group, code, 0, 0, 0, 0, 0);
}

#endif
