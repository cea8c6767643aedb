/* The helper of the runtimes without a daemon, and of `dial`. A few KiB, no C library; built by build.ts into bytes.ts.

   shim run [-t] [-i] [-1] [-r] [-n] [-w FOLDER] [-m LOG_BYTES] [-o OOM_FILE] DIR -- PROGRAM ARGUMENT...
     Starts PROGRAM, keeps its log and its exit code in DIR, and outlives the agent that started it. PROGRAM is the container's
     main process or, with -r, a launcher such as `runc run --detach` that leaves the process's number in DIR/pid.
       -t a terminal  -i stdin stays open for attaching  -1 stdin ends with the first client that leaves
       -n no new privileges  -w the working folder  -m when the log is rotated  -o where the kernel counts kills for memory
       -k the cgroup.procs file of the container, whose members end with it
     Files: started.json (or an error in it) and, at the end, exit.json, both renamed into place; log and log.1, lines of
     `<RFC 3339 stamp> <stdout|stderr> <F|P> <text>` as Kubernetes' CRI has them (P: the line goes on in the next record; at
     the very end: it has no newline); attach.sock, which speaks Docker's frames (1 byte kind, 3 zeros, 4 bytes of length,
     big endian): out 1 stdout, 2 stderr; in 0 stdin, 3 size (two 16-bit numbers, rows and columns, little endian), 4 end of stdin.
     Standard output closes when started.json is there.
   shim pty -- PROGRAM ARGUMENT...
     Runs PROGRAM on a terminal between standard input and output; sizes as above (4 bytes each) come on descriptor 3.
     Ends with its exit code; TERM kills the program and its group.
   shim dial NETNS PORT
     Connects to 127.0.0.1 (or ::1) in a network namespace, says `connected` on standard error, and carries bytes. */
#include "nolibc.h"

enum { EAGAIN_ = 11, EINTR_ = 4, AT_FDCWD_ = -100 };
enum { POLLIN_ = 1, POLLOUT_ = 4, POLLERR_ = 8, POLLHUP_ = 16 };
enum { O_RDONLY_ = 0, O_WRONLY_ = 1, O_RDWR_ = 2, O_CREAT_ = 0100, O_TRUNC_ = 01000, O_APPEND_ = 02000, O_NONBLOCK_ = 04000,
       O_CLOEXEC_ = 02000000, O_NOCTTY_ = 0400 };
enum { F_GETFL_ = 3, F_SETFL_ = 4, AF_UNIX_ = 1, AF_INET_ = 2, AF_INET6_ = 10, SOCK_STREAM_ = 1, SOCK_CLOEXEC_ = 02000000,
       SOCK_NONBLOCK_ = 04000 };
enum { PR_SET_PDEATHSIG_ = 1, PR_SET_CHILD_SUBREAPER_ = 36, PR_SET_NO_NEW_PRIVS_ = 38, CLONE_NEWNET_ = 0x40000000 };
#define TIOCSCTTY_ 0x540EUL
#define TIOCSWINSZ_ 0x5414UL
#define TIOCGPTN_ 0x80045430UL
#define TIOCSPTLCK_ 0x40045431UL

struct pollfd { int fd; short events, revents; };
struct timespec { long sec, nsec; };
struct iovec { void *base; usize len; };
struct msghdr { void *name; u32 namelen; struct iovec *iov; usize iovlen; void *control; usize controllen; int flags; };
struct sockaddr_un { u16 family; char path[108]; };

static char **environment;

/* ---- text ---- */
static usize length(const char *s) { usize n = 0; while (s[n]) n++; return n; }
static int same(const char *a, const char *b) { while (*a && *a == *b) a++, b++; return *a == *b; }
static u64 number(const char *s) { u64 n = 0; while (*s >= '0' && *s <= '9') n = n * 10 + (u64)(*s++ - '0'); return n; }
static char *put(char *to, const char *s) { while (*s) *to++ = *s++; return to; }
static char *put_number(char *to, u64 n) {
  char digits[20]; int count = 0;
  do { digits[count++] = (char)('0' + n % 10); n /= 10; } while (n);
  while (count) *to++ = digits[--count];
  return to;
}
static char *put_padded(char *to, u64 n, int width) {
  for (int i = width - 1; i >= 0; i--) { to[i] = (char)('0' + n % 10); n /= 10; }
  return to + width;
}

/* ---- system ---- */
static isize sys_read(int fd, void *at, usize n) { return CALL(NR_read, fd, at, n, 0, 0, 0); }
static isize sys_write(int fd, const void *at, usize n) { return CALL(NR_write, fd, at, n, 0, 0, 0); }
static void sys_close(int fd) { CALL(NR_close, fd, 0, 0, 0, 0, 0); }
static int sys_open(const char *path, int flags, int mode) { return (int)CALL(NR_openat, AT_FDCWD_, path, flags, mode, 0, 0); }
static void sys_rename(const char *a, const char *b) { CALL(NR_renameat2, AT_FDCWD_, a, AT_FDCWD_, b, 0, 0); }
static void sys_unlink(const char *path) { CALL(NR_unlinkat, AT_FDCWD_, path, 0, 0, 0, 0); }
static isize sys_poll(struct pollfd *p, usize n, long milliseconds) {
  struct timespec t = { milliseconds / 1000, milliseconds % 1000 * 1000000 };
  return CALL(NR_ppoll, p, n, milliseconds < 0 ? 0 : &t, 0, 8, 0);
}
static void now(struct timespec *t) { CALL(NR_clock_gettime, 0, t, 0, 0, 0, 0); }
static u64 now_ms(void) { struct timespec t; now(&t); return (u64)t.sec * 1000 + (u64)t.nsec / 1000000; }
static void nonblocking(int fd) {
  isize flags = CALL(NR_fcntl, fd, F_GETFL_, 0, 0, 0, 0);
  CALL(NR_fcntl, fd, F_SETFL_, flags | O_NONBLOCK_, 0, 0, 0);
}
static int sys_fork(void) { return (int)CALL(NR_clone, 17 /* SIGCHLD */, 0, 0, 0, 0, 0); }
static void move(int from, int to) { if (from != to) CALL(NR_dup3, from, to, 0, 0, 0, 0); }
static void write_all(int fd, const char *at, usize n) {
  while (n) {
    isize done = sys_write(fd, at, n);
    if (done == -EINTR_) continue;
    if (done == -EAGAIN_) { struct pollfd p = { fd, POLLOUT_, 0 }; sys_poll(&p, 1, -1); continue; }
    if (done <= 0) return;
    at += done; n -= (usize)done;
  }
}
__attribute__((noreturn)) static void die(const char *words, isize error) {
  char line[256], *end = put(line, words);
  if (error) { end = put(end, ": error "); end = put_number(end, (u64)-error); }
  *end++ = '\n';
  write_all(2, line, (usize)(end - line));
  leave(1);
}
static void block(u64 signals) { CALL(NR_rt_sigprocmask, 2 /* SIG_SETMASK */, &signals, 0, 8, 0, 0); }

/* The kernel's tick at which a process began: with its number, its name for all time (until a reboot). */
static u64 began(int pid) {
  static char text[2048];
  char path[64], *end = put_number(put(path, "/proc/"), (u64)pid);
  *put(end, "/stat") = 0;
  int fd = sys_open(path, O_RDONLY_ | O_CLOEXEC_, 0);
  if (fd < 0) return 0;
  isize n = sys_read(fd, text, sizeof text - 1);
  sys_close(fd);
  if (n <= 0) return 0;
  text[n] = 0;
  char *at = text + n;
  while (at > text && *at != ')') at--;
  /* `) S ppid ...`: the state is field 3, the start field 22. */
  for (int field = 2; *at && field < 22; at++) if (*at == ' ') field++;
  return number(at);
}

/* ---- terminal ---- */
static int open_terminal(int *slave) {
  int master = sys_open("/dev/ptmx", O_RDWR_ | O_NOCTTY_ | O_CLOEXEC_, 0), unlocked = 0;
  u32 index = 0;
  if (master < 0) return master;
  CALL(NR_ioctl, master, TIOCSPTLCK_, &unlocked, 0, 0, 0);
  isize failed = CALL(NR_ioctl, master, TIOCGPTN_, &index, 0, 0, 0);
  if (failed < 0) return (int)failed;
  char path[32];
  *put_number(put(path, "/dev/pts/"), index) = 0;
  *slave = sys_open(path, O_RDWR_ | O_NOCTTY_ | O_CLOEXEC_, 0);
  return *slave < 0 ? *slave : master;
}
static void set_size(int terminal, const u8 *size) {
  u16 window[4] = { (u16)(size[0] | size[1] << 8), (u16)(size[2] | size[3] << 8), 0, 0 };
  CALL(NR_ioctl, terminal, TIOCSWINSZ_, window, 0, 0, 0);
}

/* In the child: its own session, its descriptors, then the program. What fails is told on `report`. */
__attribute__((noreturn)) static void become(char **program, const char *folder, int in, int out, int err, int terminal, int report) {
  isize error = 0;
  block(0);
  CALL(NR_setsid, 0, 0, 0, 0, 0, 0);
  if (terminal) CALL(NR_ioctl, in, TIOCSCTTY_, 0, 0, 0, 0);
  move(in, 0); move(out, 1); move(err, 2);
  if (folder) error = CALL(NR_chdir, folder, 0, 0, 0, 0, 0);
  if (error >= 0) error = CALL(NR_execve, program[0], program, environment, 0, 0, 0);
  if (report >= 0) { int code = (int)-error; sys_write(report, &code, sizeof code); }
  else die("cannot run the program", error);
  leave(127);
}

/* ---- shim run ---- */
enum { line_max = 16384, client_max = 8, frame_max = 16384, header_size = 8 };
struct stream { int fd; const char *name; u8 kind; usize used; char line[line_max]; };
struct client { int fd; usize used; u8 frame[header_size + frame_max]; };
static struct stream streams[2];
static struct client clients[client_max];
static char pending[frame_max], record[line_max + 128], chunk[65536];
static usize pending_used, pending_done, log_size, log_max = 10 << 20;
static int log_fd = -1, stdin_fd = -1, stdin_once, stdin_ending, terminal_fd = -1;

static void open_log(void) {
  log_fd = sys_open("log", O_WRONLY_ | O_CREAT_ | O_APPEND_ | O_CLOEXEC_, 0640);
  log_size = 0;
}
/* Days to a date after Howard Hinnant, "chrono-compatible low-level date algorithms". */
static char *put_stamp(char *to) {
  struct timespec t;
  now(&t);
  u64 days = (u64)t.sec / 86400 + 719468, rest = (u64)t.sec % 86400;
  u64 era = days / 146097, doe = days - era * 146097;
  u64 yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  u64 mp = (5 * doy + 2) / 153, day = doy - (153 * mp + 2) / 5 + 1, month = mp < 10 ? mp + 3 : mp - 9;
  u64 year = yoe + era * 400 + (month <= 2);
  to = put_padded(to, year, 4); *to++ = '-'; to = put_padded(to, month, 2); *to++ = '-'; to = put_padded(to, day, 2);
  *to++ = 'T'; to = put_padded(to, rest / 3600, 2); *to++ = ':'; to = put_padded(to, rest / 60 % 60, 2);
  *to++ = ':'; to = put_padded(to, rest % 60, 2); *to++ = '.'; to = put_padded(to, (u64)t.nsec, 9); *to++ = 'Z';
  return to;
}
static void end_line(struct stream *s, char tag) {
  char *end = put_stamp(record);
  *end++ = ' '; end = put(end, s->name); *end++ = ' '; *end++ = tag; *end++ = ' ';
  memcpy(end, s->line, s->used);
  end += s->used;
  *end++ = '\n';
  s->used = 0;
  usize size = (usize)(end - record);
  /* A bound on the disk: the file and the one before it. */
  if (log_size + size > log_max) { sys_close(log_fd); sys_rename("log", "log.1"); open_log(); }
  write_all(log_fd, record, size);
  log_size += size;
}
static void take(struct stream *s, const char *bytes, usize count) {
  for (usize i = 0; i < count; i++) {
    if (bytes[i] == '\n') end_line(s, 'F');
    else { s->line[s->used++] = bytes[i]; if (s->used == line_max) end_line(s, 'P'); }
  }
}
static void close_stdin(void) {
  if (stdin_fd < 0) return;
  /* A terminal has no end of input: it stays open until the process ends. */
  if (stdin_fd != terminal_fd) sys_close(stdin_fd);
  stdin_fd = -1; pending_used = pending_done = 0;
}
static void drop(struct client *c) {
  sys_close(c->fd); c->fd = -1; c->used = 0;
  if (stdin_once) { if (pending_used) stdin_ending = 1; else close_stdin(); }
}
static void tell(struct client *c, u8 kind, const char *bytes, usize count) {
  u8 header[header_size] = { kind, 0, 0, 0, (u8)(count >> 24), (u8)(count >> 16), (u8)(count >> 8), (u8)count };
  for (int part = 0; part < 2; part++) {
    const char *at = part ? bytes : (const char *)header;
    usize left = part ? count : header_size;
    while (left) {
      isize done = sys_write(c->fd, at, left);
      if (done > 0) { at += done; left -= (usize)done; continue; }
      /* A client that reads nothing for two seconds goes: the container's output must not wait for it. */
      struct pollfd p = { c->fd, POLLOUT_, 0 };
      if (done != -EAGAIN_ || sys_poll(&p, 1, 2000) <= 0 || !(p.revents & POLLOUT_)) { drop(c); return; }
    }
  }
}
/* False when there is nothing more to read now. */
static int pump(struct stream *s) {
  if (s->fd < 0) return 0;
  isize n = sys_read(s->fd, chunk, sizeof chunk);
  if (n == -EAGAIN_ || n == -EINTR_) return 0;
  if (n <= 0) { /* EIO is how a terminal says that the last process has left it. */
    if (s->used) end_line(s, 'P');
    if (s->fd == terminal_fd) { if (stdin_fd == terminal_fd) stdin_fd = -1; terminal_fd = -1; }
    sys_close(s->fd);
    s->fd = -1;
    return 0;
  }
  take(s, chunk, (usize)n);
  for (int i = 0; i < client_max; i++) if (clients[i].fd >= 0) tell(&clients[i], s->kind, chunk, (usize)n);
  return 1;
}
static void push_stdin(void) {
  while (stdin_fd >= 0 && pending_done < pending_used) {
    isize n = sys_write(stdin_fd, pending + pending_done, pending_used - pending_done);
    if (n == -EAGAIN_) return;
    if (n == -EINTR_) continue;
    if (n <= 0) { close_stdin(); break; }
    pending_done += (usize)n;
  }
  pending_used = pending_done = 0;
  if (stdin_ending) { stdin_ending = 0; close_stdin(); }
}
/* Handles whole frames while nothing waits to be written to stdin. */
static void handle(struct client *c) {
  while (c->fd >= 0 && c->used >= header_size && !pending_used) {
    u8 *f = c->frame;
    usize size = (usize)f[4] << 24 | (usize)f[5] << 16 | (usize)f[6] << 8 | f[7];
    if (size > frame_max) { drop(c); return; }
    if (c->used < header_size + size) return;
    if (f[0] == 0 && stdin_fd >= 0) { memcpy(pending, f + header_size, size); pending_used = size; pending_done = 0; push_stdin(); }
    if (f[0] == 3 && size == 4 && terminal_fd >= 0) set_size(terminal_fd, f + header_size);
    if (f[0] == 4 && stdin_once) { if (pending_used) stdin_ending = 1; else close_stdin(); }
    usize rest = c->used - header_size - size;
    for (usize i = 0; i < rest; i++) f[i] = f[header_size + size + i];
    c->used = rest;
  }
}
static void hear(struct client *c) {
  isize n = sys_read(c->fd, c->frame + c->used, sizeof c->frame - c->used);
  if (n == -EAGAIN_ || n == -EINTR_) return;
  if (n <= 0) { drop(c); return; }
  c->used += (usize)n;
  handle(c);
}
static void place(const char *name, const char *text, usize size) {
  char path[64];
  *put(put(path, name), ".new") = 0;
  int fd = sys_open(path, O_WRONLY_ | O_CREAT_ | O_TRUNC_ | O_CLOEXEC_, 0640);
  write_all(fd, text, size);
  sys_close(fd);
  sys_rename(path, name);
}
static void place_failure(const char *what, u64 code) {
  char text[256], *end = put(text, "{\"failed\":\"");
  end = put(put_number(put(put(end, what), "\",\"code\":"), code), "}\n");
  place("started.json", text, (usize)(end - text));
}
static int listen_at(const char *name) {
  struct sockaddr_un address = { AF_UNIX_, { 0 } };
  put(address.path, name);
  int fd = (int)CALL(NR_socket, AF_UNIX_, SOCK_STREAM_ | SOCK_CLOEXEC_ | SOCK_NONBLOCK_, 0, 0, 0, 0);
  sys_unlink(name);
  if (fd < 0 || CALL(NR_bind, fd, &address, 2 + length(name) + 1, 0, 0, 0) < 0) return -1;
  CALL(NR_fchmodat, AT_FDCWD_, name, 0600, 0, 0, 0);
  CALL(NR_listen, fd, 8, 0, 0, 0, 0);
  return fd;
}
/* runc sends the terminal over a socket (OCI runtime command line interface, --console-socket). */
static int receive_terminal(int listening) {
  int from = (int)CALL(NR_accept4, listening, 0, 0, SOCK_CLOEXEC_, 0, 0);
  if (from < 0) return from;
  char name[256];
  struct { usize len; int level, type; int fd; int pad; } control = { 0, 0, 0, -1, 0 };
  struct iovec part = { name, sizeof name };
  struct msghdr message = { 0, 0, &part, 1, &control, sizeof control, 0 };
  isize n = CALL(NR_recvmsg, from, &message, 0x40000000 /* MSG_CMSG_CLOEXEC */, 0, 0, 0);
  sys_close(from);
  return n < 0 || message.controllen == 0 ? -1 : control.fd;
}
static int read_number(const char *path) {
  char text[32];
  int fd = sys_open(path, O_RDONLY_ | O_CLOEXEC_, 0);
  if (fd < 0) return 0;
  isize n = sys_read(fd, text, sizeof text - 1);
  sys_close(fd);
  if (n <= 0) return 0;
  text[n] = 0;
  return (int)number(text);
}
/* memory.oom_control and memory.events both have a line `oom_kill <count>`. */
static int killed_for_memory(const char *path) {
  if (!path) return 0;
  int fd = sys_open(path, O_RDONLY_ | O_CLOEXEC_, 0);
  if (fd < 0) return 0;
  isize n = sys_read(fd, chunk, sizeof chunk - 1);
  sys_close(fd);
  if (n <= 0) return 0;
  chunk[n] = 0;
  const char *word = "oom_kill ";
  for (char *at = chunk; *at; at++) {
    usize i = 0;
    while (word[i] && at[i] == word[i]) i++;
    if (!word[i] && (at == chunk || at[-1] == '\n')) return number(at + i) > 0;
  }
  return 0;
}
/* A container is its main process: what that leaves behind (and what became ours as its reaper) ends with it. */
static void kill_rest(int pid) {
  char path[64], *end = put_number(put(path, "/proc/self/task/"), (u64)CALL(NR_getpid, 0, 0, 0, 0, 0, 0));
  *put(end, "/children") = 0;
  CALL(NR_kill, -pid, SIGKILL_, 0, 0, 0, 0);
  for (int round = 0; round < 1000; round++) {
    while (CALL(NR_wait4, -1, 0, 1, 0, 0, 0) > 0) {}
    int fd = sys_open(path, O_RDONLY_ | O_CLOEXEC_, 0);
    if (fd < 0) return;
    isize n = sys_read(fd, chunk, sizeof chunk - 1);
    sys_close(fd);
    if (n <= 0) return;
    chunk[n] = 0;
    for (char *at = chunk; *at;) {
      int child = (int)number(at);
      if (child > 1) CALL(NR_kill, child, SIGKILL_, 0, 0, 0, 0);
      while (*at && *at != ' ') at++;
      while (*at == ' ') at++;
    }
    sys_poll(0, 0, 5);
  }
}

/* In a shared PID namespace the kernel does not end the others with the main process: the members of its cgroup go. */
static void kill_group(const char *path) {
  for (int round = 0; round < 200; round++) {
    int fd = sys_open(path, O_RDONLY_ | O_CLOEXEC_, 0);
    if (fd < 0) return;
    isize n = sys_read(fd, chunk, sizeof chunk - 1);
    sys_close(fd);
    if (n <= 0) return;
    chunk[n] = 0;
    for (char *at = chunk; *at;) {
      int member = (int)number(at);
      if (member > 1) CALL(NR_kill, member, SIGKILL_, 0, 0, 0, 0);
      while (*at && *at != '\n') at++;
      if (*at) at++;
    }
    while (CALL(NR_wait4, -1, 0, 1, 0, 0, 0) > 0) {}
    sys_poll(0, 0, 5);
  }
}

__attribute__((noreturn)) static void run(int count, char **words) {
  int with_terminal = 0, with_stdin = 0, launcher = 0, no_privileges = 0, at = 2;
  const char *folder = 0, *oom_file = 0, *group_file = 0;
  for (; at < count && words[at][0] == '-'; at++) {
    char flag = words[at][1];
    if (flag == 't') with_terminal = 1;
    else if (flag == 'i') with_stdin = 1;
    else if (flag == '1') stdin_once = 1;
    else if (flag == 'r') launcher = 1;
    else if (flag == 'n') no_privileges = 1;
    else if (flag == 'w' && at + 1 < count) folder = words[++at];
    else if (flag == 'm' && at + 1 < count) log_max = number(words[++at]);
    else if (flag == 'o' && at + 1 < count) oom_file = words[++at];
    else if (flag == 'k' && at + 1 < count) group_file = words[++at];
    else die("unknown flag", 0);
  }
  if (at + 2 >= count || !same(words[at + 1], "--")) die("shim run [flags] DIR -- PROGRAM ...", 0);
  isize error = CALL(NR_chdir, words[at], 0, 0, 0, 0, 0);
  if (error < 0) die("cannot enter the folder", error);
  char **program = words + at + 2;
  /* Two agents, or one that was killed and started again, may start the same container: the second leaves it alone. */
  int lock = sys_open("lock", O_WRONLY_ | O_CREAT_ | O_CLOEXEC_, 0640);
  if (CALL(NR_flock, lock, 2 | 4 /* exclusive, without waiting */, 0, 0, 0, 0) < 0) leave(0);

  /* An agent that is stopped must not take its containers along: of signals only KILL gets through. */
  u64 children = BIT(SIGCHLD_);
  block(~0UL);
  CALL(NR_prctl, PR_SET_CHILD_SUBREAPER_, 1, 0, 0, 0, 0);
  int signals = (int)CALL(NR_signalfd4, -1, &children, 8, O_NONBLOCK_ | O_CLOEXEC_, 0, 0);
  open_log();
  for (int i = 0; i < client_max; i++) clients[i].fd = -1;
  streams[0] = (struct stream){ .fd = -1, .name = "stdout", .kind = 1 };
  streams[1] = (struct stream){ .fd = -1, .name = "stderr", .kind = 2 };

  int nothing = sys_open("/dev/null", O_RDWR_ | O_CLOEXEC_, 0);
  int in[2] = { nothing, -1 }, out[2] = { -1, nothing }, err[2] = { -1, nothing }, report[2], console = -1, slave = -1;
  if (with_terminal && launcher) {
    console = listen_at("console.sock");
    if (console < 0) { place_failure("cannot listen for a terminal", 0); leave(1); }
  } else if (with_terminal) {
    terminal_fd = open_terminal(&slave);
    if (terminal_fd < 0) { place_failure("cannot open a terminal", (u64)-terminal_fd); leave(1); }
    in[0] = out[1] = err[1] = slave;
  } else {
    CALL(NR_pipe2, out, O_CLOEXEC_, 0, 0, 0, 0);
    CALL(NR_pipe2, err, O_CLOEXEC_, 0, 0, 0, 0);
    if (with_stdin) CALL(NR_pipe2, in, O_CLOEXEC_, 0, 0, 0, 0);
  }
  CALL(NR_pipe2, report, O_CLOEXEC_, 0, 0, 0, 0);
  int listening = listen_at("attach.sock");

  int pid = sys_fork();
  if (pid < 0) { place_failure("cannot fork", (u64)-pid); leave(1); }
  if (pid == 0) {
    sys_close(1);
    /* A launcher's child must outlive it; a plain process without its shim would be lost, so it ends with it. */
    if (!launcher) CALL(NR_prctl, PR_SET_PDEATHSIG_, SIGKILL_, 0, 0, 0, 0);
    if (no_privileges) CALL(NR_prctl, PR_SET_NO_NEW_PRIVS_, 1, 0, 0, 0, 0);
    become(program, folder, in[0], out[1], err[1], slave >= 0, report[1]);
  }
  sys_close(report[1]);
  if (slave >= 0) sys_close(slave);
  else if (console < 0) { sys_close(out[1]); sys_close(err[1]); if (with_stdin) sys_close(in[0]); }
  int code = 0;
  if (sys_read(report[0], &code, sizeof code) == sizeof code) {
    CALL(NR_wait4, pid, 0, 0, 0, 0, 0);
    place_failure("cannot run the program", (u64)code);
    leave(1);
  }
  sys_close(report[0]);
  if (launcher) {
    int status = 0;
    while (CALL(NR_wait4, pid, &status, 0, 0, 0, 0) == -EINTR_) {}
    pid = status == 0 ? read_number("pid") : 0;
    if (pid == 0) { place_failure("the launcher failed", (u64)(status >> 8 & 255)); leave(1); }
    if (console >= 0) { terminal_fd = receive_terminal(console); sys_close(console); sys_unlink("console.sock"); }
  }
  if (terminal_fd >= 0) { streams[0].fd = terminal_fd; if (with_stdin) stdin_fd = terminal_fd; }
  else { streams[0].fd = out[0]; streams[1].fd = err[0]; if (with_stdin) stdin_fd = in[1]; }
  for (int i = 0; i < 2; i++) if (streams[i].fd >= 0) nonblocking(streams[i].fd);
  if (stdin_fd >= 0) nonblocking(stdin_fd);

  int self = (int)CALL(NR_getpid, 0, 0, 0, 0, 0, 0);
  char text[256], *end = put_number(put(text, "{\"pid\":"), (u64)pid);
  end = put_number(put(end, ",\"start\":"), began(pid));
  end = put_number(put(end, ",\"shim\":"), (u64)self);
  end = put_number(put(end, ",\"shimStart\":"), began(self));
  end = put(put_number(put(end, ",\"startedMs\":"), now_ms()), "}\n");
  place("started.json", text, (usize)(end - text));
  move(nothing, 0); move(nothing, 1); move(nothing, 2);

  int status = -1;
  u64 finished = 0;
  while (status < 0) {
    struct pollfd p[4 + client_max] = { { signals, POLLIN_, 0 }, { listening, POLLIN_, 0 } };
    for (int i = 0; i < 2; i++) p[2 + i] = (struct pollfd){ streams[i].fd, POLLIN_, 0 };
    for (int i = 0; i < client_max; i++) p[4 + i] = (struct pollfd){ pending_used ? -1 : clients[i].fd, POLLIN_, 0 };
    struct pollfd *all = p;
    usize polled = 4 + client_max;
    struct pollfd with_pending[5 + client_max];
    if (pending_used) {
      for (usize i = 0; i < polled; i++) with_pending[i] = p[i];
      with_pending[polled] = (struct pollfd){ stdin_fd, POLLOUT_, 0 };
      all = with_pending; polled++;
    }
    sys_poll(all, polled, -1);
    if (all[0].revents) {
      int ended = 0;
      isize who;
      while (sys_read(signals, chunk, 128) > 0) {}
      while ((who = CALL(NR_wait4, -1, &ended, 1, 0, 0, 0)) > 0)
        if (who == pid) { status = ended; finished = now_ms(); }
    }
    for (int i = 0; i < 2; i++) if (all[2 + i].revents) pump(&streams[i]);
    for (int i = 0; i < client_max; i++) if (clients[i].fd >= 0 && all[4 + i].revents) hear(&clients[i]);
    if (pending_used) { push_stdin(); }
    if (!pending_used) for (int i = 0; i < client_max; i++) if (clients[i].fd >= 0) handle(&clients[i]);
    if (all[1].revents) {
      int fd = (int)CALL(NR_accept4, listening, 0, 0, SOCK_CLOEXEC_ | SOCK_NONBLOCK_, 0, 0), i = 0;
      while (i < client_max && clients[i].fd >= 0) i++;
      if (fd >= 0 && i < client_max) clients[i].fd = fd; else if (fd >= 0) sys_close(fd);
    }
  }
  if (!launcher) kill_rest(pid);
  else if (group_file) kill_group(group_file);
  /* What it said last is still in the pipes; whoever keeps them open longer than this is not waited for. */
  for (int quiet = 0; quiet < 10 && (streams[0].fd >= 0 || streams[1].fd >= 0);) {
    int more = pump(&streams[0]);
    more |= pump(&streams[1]);
    if (more) quiet = 0;
    else { struct pollfd p[2] = { { streams[0].fd, POLLIN_, 0 }, { streams[1].fd, POLLIN_, 0 } }; if (sys_poll(p, 2, 50) <= 0) quiet++; }
  }
  for (int i = 0; i < 2; i++) if (streams[i].used) end_line(&streams[i], 'P');
  int signal = status & 127;
  end = put_number(put(text, "{\"code\":"), signal ? 128 + (u64)signal : (u64)(status >> 8 & 255));
  end = put_number(put(end, ",\"signal\":"), (u64)signal);
  end = put(put(end, ",\"oom\":"), killed_for_memory(oom_file) ? "true" : "false");
  end = put(put_number(put(end, ",\"finishedMs\":"), finished), "}\n");
  place("exit.json", text, (usize)(end - text));
  sys_unlink("attach.sock");
  /* DIR is <state>/containers/<id>: the agent watches <state>/ended for the names of those that ended. */
  char name[128], path[160];
  isize n = CALL(NR_getcwd, chunk, sizeof chunk, 0, 0, 0, 0);
  usize from = n > 0 ? (usize)n : 0;
  while (from > 0 && chunk[from - 1] != '/') from--;
  if (n > 0 && length(chunk + from) < sizeof name) {
    *put(name, chunk + from) = 0;
    *put(put(path, "../../ended/"), name) = 0;
    sys_close(sys_open(path, O_WRONLY_ | O_CREAT_ | O_CLOEXEC_, 0640));
  }
  leave(0);
}

/* ---- shim pty ---- */
__attribute__((noreturn)) static void pty(int count, char **words) {
  if (count < 4 || !same(words[2], "--")) die("shim pty -- PROGRAM ...", 0);
  CALL(NR_prctl, PR_SET_PDEATHSIG_, SIGTERM_, 0, 0, 0, 0);
  u64 wanted = BIT(SIGCHLD_) | BIT(SIGTERM_), blocked = wanted | BIT(SIGPIPE_);
  block(blocked);
  int signals = (int)CALL(NR_signalfd4, -1, &wanted, 8, O_NONBLOCK_ | O_CLOEXEC_, 0, 0), slave = -1;
  int master = open_terminal(&slave);
  if (master < 0) die("cannot open a terminal", master);
  /* The client's first size is sent before we are started: the program shall find it. */
  u8 size[4];
  struct pollfd first = { 3, POLLIN_, 0 };
  if (sys_poll(&first, 1, 100) > 0 && sys_read(3, size, 4) == 4) set_size(master, size);
  int pid = sys_fork();
  if (pid == 0) { sys_close(3); become(words + 3, 0, slave, slave, slave, 1, -1); }
  sys_close(slave);
  struct pollfd p[4] = { { 0, POLLIN_, 0 }, { master, POLLIN_, 0 }, { 3, POLLIN_, 0 }, { signals, POLLIN_, 0 } };
  int code = -1;
  while (code < 0) {
    sys_poll(p, 4, -1);
    if (p[0].revents) {
      isize n = sys_read(0, chunk, 4096);
      if (n > 0) write_all(master, chunk, (usize)n); else p[0].fd = -1;
    }
    if (p[1].revents) {
      isize n = sys_read(master, chunk, sizeof chunk);
      if (n > 0) write_all(1, chunk, (usize)n); else p[1].fd = -1;
    }
    if (p[2].revents) {
      isize n = sys_read(3, size, 4);
      if (n == 4) set_size(master, size); else if (n <= 0) p[2].fd = -1;
    }
    if (p[3].revents) {
      struct { u32 signal; u8 rest[124]; } told;
      int status = 0;
      while (sys_read(signals, &told, sizeof told) > 0) if (told.signal == SIGTERM_) CALL(NR_kill, -pid, SIGKILL_, 0, 0, 0, 0);
      isize who;
      while ((who = CALL(NR_wait4, -1, &status, 1, 0, 0, 0)) > 0)
        if (who == pid) code = status & 127 ? 128 + (status & 127) : status >> 8 & 255;
    }
  }
  nonblocking(master);
  for (;;) {
    isize n = sys_read(master, chunk, sizeof chunk);
    if (n <= 0) break;
    write_all(1, chunk, (usize)n);
  }
  leave(code);
}

/* ---- shim dial ---- */
static int connect_loopback(u16 port) {
  u8 four[16] = { AF_INET_, 0, (u8)(port >> 8), (u8)port, 127, 0, 0, 1 };
  u8 six[28] = { AF_INET6_, 0, (u8)(port >> 8), (u8)port };
  six[23] = 1;
  isize error = 0;
  for (int version = 0; version < 2; version++) {
    int fd = (int)CALL(NR_socket, version ? AF_INET6_ : AF_INET_, SOCK_STREAM_ | SOCK_CLOEXEC_, 0, 0, 0, 0);
    if (fd < 0) continue;
    isize failed = CALL(NR_connect, fd, version ? six : four, version ? sizeof six : sizeof four, 0, 0, 0);
    if (failed == 0) return fd;
    if (version == 0) error = failed;
    sys_close(fd);
  }
  return (int)error;
}
__attribute__((noreturn)) static void dial(int count, char **words) {
  if (count != 4) die("shim dial NETNS PORT", 0);
  CALL(NR_prctl, PR_SET_PDEATHSIG_, SIGKILL_, 0, 0, 0, 0);
  int ns = sys_open(words[2], O_RDONLY_ | O_CLOEXEC_, 0);
  if (ns < 0) die("cannot open the network namespace", ns);
  isize error = CALL(NR_setns, ns, CLONE_NEWNET_, 0, 0, 0, 0);
  if (error < 0) die("cannot enter the network namespace", error);
  int fd = connect_loopback((u16)number(words[3]));
  if (fd == -111) die("connection refused", 0);
  if (fd < 0) die("cannot connect", fd);
  write_all(2, "connected\n", 10);
  sys_close(2);
  block(BIT(SIGPIPE_));
  struct pollfd p[2] = { { 0, POLLIN_, 0 }, { fd, POLLIN_, 0 } };
  while (p[0].fd >= 0 || p[1].fd >= 0) {
    sys_poll(p, 2, -1);
    if (p[0].revents) {
      isize n = sys_read(0, chunk, sizeof chunk);
      if (n > 0) write_all(fd, chunk, (usize)n);
      else { CALL(NR_shutdown, fd, 1, 0, 0, 0, 0); p[0].fd = -1; }
    }
    if (p[1].revents) {
      isize n = sys_read(fd, chunk, sizeof chunk);
      if (n > 0) write_all(1, chunk, (usize)n);
      else { sys_close(1); p[1].fd = -1; }
    }
  }
  leave(0);
}

__attribute__((noreturn, used)) void begin(isize *stack) {
  int count = (int)stack[0];
  char **words = (char **)(stack + 1);
  environment = words + count + 1;
  if (count > 1 && same(words[1], "run")) run(count, words);
  if (count > 1 && same(words[1], "pty")) pty(count, words);
  if (count > 1 && same(words[1], "dial")) dial(count, words);
  die("shim run|pty|dial ...", 0);
}
