/* The process that holds a pod's namespaces: it waits for TERM or INT, and reaps what is left behind when it is process 1
   of a shared PID namespace. Built by build.ts into bytes.ts. */
#include "nolibc.h"

__attribute__((noreturn, used)) void begin(isize *stack) {
  (void)stack;
  u64 wanted = BIT(SIGTERM_) | BIT(SIGINT_) | BIT(SIGCHLD_);
  CALL(NR_rt_sigprocmask, 0, &wanted, 0, sizeof wanted, 0, 0);
  for (;;) {
    isize signal = CALL(NR_rt_sigtimedwait, &wanted, 0, 0, sizeof wanted, 0, 0);
    if (signal == SIGTERM_ || signal == SIGINT_) leave(0);
    if (signal == SIGCHLD_)
      while (CALL(NR_wait4, -1, 0, 1 /* WNOHANG */, 0, 0, 0) > 0) {
      }
  }
}
