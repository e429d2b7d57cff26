//go:build ignore

/*
 * poise [--] PROGRAM [ARG]...
 *
 * Waits for a connection to the listening socket, fd 3, and then becomes the app that accepts it. So the sandbox of an
 * instance is there before its app is. Without $FNCTL_POISE it does not wait, and the app never sees that variable.
 *
 * SIGURG while it waits ends it. A signal that comes after a connection is ignored, as by any app, so that no connection is
 * lost. What the app inherits, signals included, is what it would have without.
 *
 * It is C without a library because of what each one that waits takes of the machine's memory: see CONTRIBUTING.md.
 */

enum { stderr = 2, listener = 3 };
enum { EXIT_EXEC = 203 }; /* systemd's, for a program that cannot be executed */

/* The kernel's interface: asm/unistd.h, asm/signal.h, asm-generic/poll.h. A cross compiler has no headers of its own. */

#if defined __x86_64__
enum { SYS_write = 1, SYS_rt_sigaction = 13, SYS_rt_sigprocmask = 14, SYS_execve = 59, SYS_exit_group = 231, SYS_ppoll = 271 };

__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall start\n");

static long system_call(long number, long a, long b, long c, long d, long e)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	long result;
	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
	return result;
}
#elif defined __aarch64__
enum { SYS_write = 64, SYS_ppoll = 73, SYS_exit_group = 94, SYS_rt_sigaction = 134, SYS_rt_sigprocmask = 135, SYS_execve = 221 };

__asm__(".globl _start\n_start:\n\tmov x29, #0\n\tmov x30, #0\n\tmov x0, sp\n\tb start\n");

static long system_call(long number, long a, long b, long c, long d, long e)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory", "cc");
	return x0;
}
#else
#error "poise knows the system calls of x86_64 and aarch64 only"
#endif

enum { SIGURG = 23, SIG_BLOCK = 0, SIG_SETMASK = 2, SA_RESTORER = 0x04000000, POLLIN = 1 };
enum { NOT_ABSOLUTE = 0, EPERM = 1, ENOENT = 2, E2BIG = 7, ENOEXEC = 8, ENOMEM = 12, EACCES = 13, ENOTDIR = 20, ETXTBSY = 26, ELOOP = 40 };

typedef unsigned long sigset;

struct sigaction {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(int);
	sigset mask;
};

struct pollfd {
	int fd;
	short events, revents;
};

static _Noreturn void exit(int status)
{
	for (;;)
		system_call(SYS_exit_group, status, 0, 0, 0, 0);
}

/* rest returns what follows the prefix, or a null pointer if the text does not begin with it. */
static const char *rest(const char *text, const char *prefix)
{
	for (; *prefix; text++, prefix++)
		if (*text != *prefix)
			return 0;
	return text;
}

static const char *text_of(int error)
{
	switch (error) {
	case NOT_ABSOLUTE: return "PROGRAM must be an absolute path: poise [--] PROGRAM [ARG]...";
	case EPERM: return "Operation not permitted";
	case ENOENT: return "No such file or directory";
	case E2BIG: return "Argument list too long";
	case ENOEXEC: return "Exec format error";
	case ENOMEM: return "Cannot allocate memory";
	case EACCES: return "Permission denied";
	case ENOTDIR: return "Not a directory";
	case ETXTBSY: return "Text file busy";
	case ELOOP: return "Too many levels of symbolic links";
	}
	return 0;
}

static char *append(char *to, const char *end, const char *text)
{
	while (*text && to < end)
		*to++ = *text++;
	return to;
}

static char *append_number(char *to, int number)
{
	if (number > 9)
		to = append_number(to, number / 10);
	*to++ = '0' + number % 10;
	return to;
}

static _Noreturn void fail(const char *program, int error)
{
	char line[1024]; /* one write, so that it is one line of the journal's */
	char *to = append(line, line + 512, "Failed to execute ");
	to = append(to, line + 512, program);
	to = append(to, line + 1000, ": ");
	const char *text = text_of(error);
	to = append(to, line + 1000, text ? text : "error ");
	if (!text)
		to = append_number(to, error);
	*to++ = '\n';
	system_call(SYS_write, stderr, (long)line, to - line, 0, 0);
	exit(EXIT_EXEC);
}

/* take_variable removes $FNCTL_POISE from the environment, and says whether it was set. */
static int take_variable(char **environment)
{
	int set = 0;
	char **to = environment;
	for (; *environment; environment++) {
		const char *value = rest(*environment, "FNCTL_POISE=");
		if (!value)
			*to++ = *environment;
		else if (*value)
			set = 1;
	}
	*to = 0;
	return set;
}

/* give_up runs only within ppoll: elsewhere the signal is blocked. */
static _Noreturn void give_up(int signal)
{
	(void)signal;
	exit(0);
}

static void wait_for_connection(void)
{
	/* x86_64 wants a restorer, which is for a handler that returns. */
	struct sigaction action = {.handler = give_up, .flags = SA_RESTORER, .restorer = give_up}, before;
	sigset mask, urgent = 1UL << (SIGURG - 1);
	system_call(SYS_rt_sigprocmask, SIG_BLOCK, (long)&urgent, (long)&mask, sizeof mask, 0);
	system_call(SYS_rt_sigaction, SIGURG, (long)&action, (long)&before, sizeof mask, 0);

	sigset waiting = mask & ~urgent;
	struct pollfd socket = {.fd = listener, .events = POLLIN};
	/* It ends with a connection, or an error that is the app's to see. No signal interrupts it: no handler ever returns. */
	system_call(SYS_ppoll, (long)&socket, 1, 0, (long)&waiting, sizeof waiting);

	/* First the action, which ignores the signal: then the kernel forgets one that has come meanwhile. */
	system_call(SYS_rt_sigaction, SIGURG, (long)&before, 0, sizeof mask, 0);
	system_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&mask, 0, sizeof mask, 0);
}

/* start is what _start calls; the stack holds the number of arguments, them, and the environment, each with a null pointer. */
__attribute__((used)) static _Noreturn void start(char **stack)
{
	char **arguments = stack + 1;
	char **environment = arguments + (long)stack[0] + 1;

	char **program = arguments + (*arguments != 0);
	const char *option = *program ? rest(*program, "--") : 0;
	if (option && !*option)
		program++;
	if (!*program || **program != '/')
		fail(*program ? *program : "nothing", NOT_ABSOLUTE);

	if (take_variable(environment))
		wait_for_connection();
	fail(*program, -system_call(SYS_execve, (long)*program, (long)program, (long)environment, 0, 0));
}
