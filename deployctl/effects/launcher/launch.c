/* Starts the program of a container once it may run.
 *
 *     launch [--address A.B.C.D] [--lock FILE] [--env NAME=FILE]... -- PROGRAM [ARGUMENT]...
 *
 * --address  wait until an interface of this container has that IPv4 address
 * --lock     wait for the exclusive flock of FILE. The program inherits the open file: the kernel frees the lock when the
 *            last process that has it is gone, however it ended
 * --env      set NAME to what FILE holds, byte for byte
 *
 * Address first, then lock, then the program: whoever has no address never holds the lock. The program takes this process's
 * place, so its PID, signals and exit code are its own. Own failures end with 125, a program that cannot be run with 126,
 * one that does not exist with 127, as in a shell; a signal that comes while it waits ends it with 128 + its number.
 *
 * No libc: a few KB that run in any image, also one that holds nothing else.
 */

typedef unsigned long word;

enum {
    OWN_FAILURE = 125, CANNOT_RUN = 126, NOT_FOUND = 127, SIGNALLED = 128,
    ENOENT = 2, EINTR = 4, EACCES = 13, ENOTDIR = 20,
    AT_FDCWD = -100, O_RDONLY = 0, O_NOFOLLOW_X86 = 0400000, O_NOFOLLOW_ARM = 0100000, O_CLOEXEC = 02000000,
    LOCK_EX = 2, AF_INET = 2, SOCK_DGRAM = 2, SOCK_CLOEXEC = 02000000, F_DUPFD = 0,
    SA_RESTORER = 0x04000000, SIGKILL = 9, SIGCHLD = 17, SIGCONT = 18, SIGSTOP = 19, SIGURG = 23, SIGWINCH = 28, SIGNALS = 64,
    MAX_VALUE = 1 << 20,      /* bytes of a value; Linux takes no longer string than 128 KiB in an environment */
    MAX_VALUES = 128,         /* --env words */
    HIGH = 100,               /* where the lock's descriptor is put, out of the way of programs that count from 3 */
    SIOCGIFCONF = 0x8912, SIOCGIFFLAGS = 0x8913, IFF_UP = 1, ADDRESSES = 64,
    PAUSE_NS = 1000000,       /* between two looks at the addresses */
};

#if defined(__x86_64__)
enum { READ = 0, WRITE = 1, CLOSE = 3, RT_SIGACTION = 13, RT_SIGRETURN = 15, IOCTL = 16, NANOSLEEP = 35, SOCKET = 41,
       EXECVE = 59, FCNTL = 72, FLOCK = 73, EXIT_GROUP = 231, OPENAT = 257, O_NOFOLLOW = O_NOFOLLOW_X86 };

static long call(long number, word a, word b, word c, word d)
{
    register word r10 __asm__("r10") = d;
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return result;
}

__asm__(".globl _start\n_start:\n xor %ebp,%ebp\n mov %rsp,%rdi\n and $-16,%rsp\n call begin\n");
__asm__("restore:\n mov $15,%eax\n syscall\n");
#elif defined(__aarch64__)
enum { FCNTL = 25, IOCTL = 29, FLOCK = 32, OPENAT = 56, CLOSE = 57, READ = 63, WRITE = 64, EXIT_GROUP = 94, NANOSLEEP = 101,
       RT_SIGACTION = 134, RT_SIGRETURN = 139, SOCKET = 198, EXECVE = 221, O_NOFOLLOW = O_NOFOLLOW_ARM };

static long call(long number, word a, word b, word c, word d)
{
    register long x8 __asm__("x8") = number;
    register word x0 __asm__("x0") = a;
    register word x1 __asm__("x1") = b;
    register word x2 __asm__("x2") = c;
    register word x3 __asm__("x3") = d;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return (long)x0;
}

__asm__(".globl _start\n_start:\n mov x29,xzr\n mov x30,xzr\n mov x0,sp\n bl begin\n");
__asm__("restore:\n mov x8,#139\n svc #0\n");
#else
#error "no system calls for this processor"
#endif

extern void restore(void);

struct timespec { long seconds, nanoseconds; };
struct address { unsigned short family, port; unsigned char octets[4]; char rest[8]; };
struct interface { char name[16]; struct address address; char rest[8]; };  /* the kernel's struct ifreq */
struct interfaces { int size; struct interface *found; };
struct action { void (*handler)(int); word flags; void (*restorer)(void); word mask; };

static char room[MAX_VALUE];         /* NAME=value strings, one behind the other */
static word used;
static char *set[MAX_VALUES];
static word sets;

/* The compiler may call these for its own purposes. */
void *memcpy(void *to, const void *from, word size)
{
    for (word i = 0; i < size; i++)
        ((char *)to)[i] = ((const char *)from)[i];
    return to;
}

void *memset(void *to, int value, word size)
{
    for (word i = 0; i < size; i++)
        ((char *)to)[i] = (char)value;
    return to;
}

static word length(const char *text)
{
    word size = 0;
    while (text[size])
        size++;
    return size;
}

static int starts(const char *text, const char *with, word size)
{
    for (word i = 0; i < size; i++)
        if (text[i] != with[i])
            return 0;
    return 1;
}

static int same(const char *one, const char *other)
{
    return starts(one, other, length(other) + 1);
}

static const char *find(const char *text, char wanted)
{
    for (; *text; text++)
        if (*text == wanted)
            return text;
    return 0;
}

static _Noreturn void leave(int code)
{
    for (;;)
        call(EXIT_GROUP, (word)code, 0, 0, 0);
}

static void say(const char *text)
{
    call(WRITE, 2, (word)text, length(text), 0);
}

static void say_number(long number)
{
    char digits[24], *at = digits + sizeof digits;
    *--at = 0;
    do
        *--at = (char)('0' + number % 10);
    while (number /= 10);
    say(at);
}

static const char *reason(long error)
{
    switch (error) {
    case 1: return "not permitted";
    case ENOENT: return "no such file";
    case 7: return "the arguments or the environment are too long";
    case 8: return "not an executable for this machine";
    case 12: return "out of memory";
    case EACCES: return "permission denied";
    case ENOTDIR: return "a part of the path is not a folder";
    case 21: return "it is a folder";
    case 24: return "too many open files";
    case 40: return "it is a symbolic link";
    default: return 0;
    }
}

static _Noreturn void fail(int code, const char *what, const char *name, long error)
{
    say("deployctl launcher: ");
    say(what);
    say(name);
    if (error) {
        say(": ");
        if (reason(error)) {
            say(reason(error));
        } else {
            say("error ");
            say_number(error);
        }
    }
    say("\n");
    leave(code);
}

/* -- while it waits ------------------------------------------------------------------------------------------------ */
static void end(int signal)
{
    leave(SIGNALLED + signal);
}

/* Process 1 of a container ignores signals that it has no handler for: without this a stop would take its whole grace.
 * An exec sets every handler back. */
static void heed_signals(void)
{
    struct action action = { end, SA_RESTORER, restore, 0 };
    for (int signal = 1; signal <= SIGNALS; signal++)
        if (signal != SIGKILL && signal != SIGSTOP && signal != SIGCHLD && signal != SIGCONT && signal != SIGURG
            && signal != SIGWINCH)
            call(RT_SIGACTION, (word)signal, (word)&action, 0, sizeof action.mask);
}

static int read_octets(const char *text, unsigned char *octets)
{
    for (int i = 0; i < 4; i++) {
        unsigned value = 0, digits = 0;
        for (; *text >= '0' && *text <= '9' && digits < 4; text++, digits++)
            value = 10 * value + (unsigned)(*text - '0');
        if (!digits || value > 255 || *text++ != (i < 3 ? '.' : 0))
            return 0;
        octets[i] = (unsigned char)value;
    }
    return 1;
}

/* Return whether an interface that is up has the address. Sets the error of the system call, or 0.
 *
 * A bind is no test of that: it succeeds while the interface is down, and in a namespace that never had an address for any. */
static int is_there(long plug, const unsigned char *octets, long *error)
{
    static struct interface found[ADDRESSES];
    struct interfaces list = { sizeof found, found };
    if ((*error = -call(IOCTL, (word)plug, SIOCGIFCONF, (word)&list, 0)))
        return 0;
    for (int i = 0; i < list.size / (int)sizeof found[0]; i++)
        if (starts((char *)found[i].address.octets, (const char *)octets, 4))  /* asked for its flags, it overwrites the address */
            return !call(IOCTL, (word)plug, SIOCGIFFLAGS, (word)&found[i], 0) && (found[i].address.family & IFF_UP);
    return 0;
}

static void await_address(const char *text)
{
    struct timespec pause = { 0, PAUSE_NS };
    unsigned char octets[4];
    long error, plug;
    if (!read_octets(text, octets))
        fail(OWN_FAILURE, "not an IPv4 address: ", text, 0);
    if ((plug = call(SOCKET, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0, 0)) < 0)
        fail(OWN_FAILURE, "no socket to look for the address ", text, -plug);
    while (!is_there(plug, octets, &error)) {
        if (error)
            fail(OWN_FAILURE, "cannot look for the address ", text, error);
        call(NANOSLEEP, (word)&pause, 0, 0, 0);
    }
    call(CLOSE, (word)plug, 0, 0, 0);
}

static void await_lock(const char *file)
{
    long error, high, plug = call(OPENAT, (word)AT_FDCWD, (word)file, O_RDONLY | O_NOFOLLOW, 0);
    if (plug < 0)
        fail(OWN_FAILURE, "cannot open the lock ", file, -plug);
    if ((high = call(FCNTL, (word)plug, F_DUPFD, HIGH, 0)) >= 0) {
        call(CLOSE, (word)plug, 0, 0, 0);
        plug = high;
    }
    while ((error = -call(FLOCK, (word)plug, LOCK_EX, 0, 0)) == EINTR)
        ;
    if (error)
        fail(OWN_FAILURE, "cannot take the lock ", file, error);
}

/* -- the environment ------------------------------------------------------------------------------------------------- */
static void set_from_file(const char *words)
{
    const char *equals = find(words, '=');
    long got, plug;
    if (!equals || equals == words)
        fail(OWN_FAILURE, "--env takes NAME=FILE, not ", words, 0);
    if (sets == MAX_VALUES || used + (word)(equals - words) + 2 > MAX_VALUE)
        fail(OWN_FAILURE, "too many values at ", words, 0);
    if ((plug = call(OPENAT, (word)AT_FDCWD, (word)(equals + 1), O_RDONLY | O_CLOEXEC, 0)) < 0)
        fail(OWN_FAILURE, "cannot read the value ", words, -plug);
    set[sets++] = room + used;
    memcpy(room + used, words, (word)(equals - words) + 1);
    used += (word)(equals - words) + 1;
    for (char *value = room + used;;) {
        if (used + 1 >= MAX_VALUE)
            fail(OWN_FAILURE, "too long for the environment: ", words, 0);
        got = call(READ, (word)plug, (word)(room + used), MAX_VALUE - 1 - used, 0);
        if (got < 0 && -got != EINTR)
            fail(OWN_FAILURE, "cannot read the value ", words, -got);
        if (got > 0)
            used += (word)got;
        if (got == 0) {
            room[used++] = 0;
            if (length(value) + 1 != (word)(room + used - value))
                fail(OWN_FAILURE, "a zero byte cannot stand in the environment: ", words, 0);
            break;
        }
    }
    call(CLOSE, (word)plug, 0, 0, 0);
}

static int is_set(const char *entry)
{
    const char *equals = find(entry, '=');
    for (word i = 0; equals && i < sets; i++)
        if (starts(set[i], entry, (word)(equals - entry) + 1))
            return 1;
    return 0;
}

/* Write into `made` what the program gets: the entries that no --env replaces, then those of --env. */
static void merge(char **environment, char **made)
{
    for (; *environment; environment++)
        if (!is_set(*environment))
            *made++ = *environment;
    for (word i = 0; i < sets; i++)
        *made++ = set[i];
    *made = 0;
}

static const char *path_of(char **environment)
{
    for (; *environment; environment++)
        if (starts(*environment, "PATH=", 5))
            return *environment + 5;
    return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";  /* Docker's own, where an image names none */
}

/* -- the program ----------------------------------------------------------------------------------------------------- */
static _Noreturn void run(char **words, char **environment)
{
    static char place[4096];
    const char *path = path_of(environment);
    long error = ENOENT, failed = ENOENT;
    word name = length(words[0]);
    if (find(words[0], '/')) {
        failed = -call(EXECVE, (word)words[0], (word)words, (word)environment, 0);
    } else {
        for (const char *folder = path; folder; folder = find(folder, ':') ? find(folder, ':') + 1 : 0) {
            word size = find(folder, ':') ? (word)(find(folder, ':') - folder) : length(folder);
            if (size + name + 2 > sizeof place)
                continue;
            memcpy(place, folder, size);
            place[size] = '/';
            memcpy(place + size + (size != 0), words[0], name + 1);
            error = -call(EXECVE, (word)place, (word)words, (word)environment, 0);
            if (error != ENOENT && error != ENOTDIR && (failed = error) != EACCES)
                break;
        }
    }
    fail(failed == ENOENT ? NOT_FOUND : CANNOT_RUN, "cannot run ", words[0], failed);
}

static char *value_of(char ***words)
{
    char *option = **words;
    if (!*++*words)
        fail(OWN_FAILURE, "a value is missing behind ", option, 0);
    return *(*words)++;
}

_Noreturn void begin(word *stack)
{
    word count = stack[0], entries = 0;
    char **words = (char **)(stack + 1), **environment = words + count + 1;
    const char *address = 0, *lock = 0;
    if (count)
        words++;
    while (*words && (*words)[0] == '-' && !same(*words, "--")) {
        if (same(*words, "--address"))
            address = value_of(&words);
        else if (same(*words, "--lock"))
            lock = value_of(&words);
        else if (same(*words, "--env"))
            set_from_file(value_of(&words));
        else
            fail(OWN_FAILURE, "unknown option ", *words, 0);
    }
    if (*words && same(*words, "--"))
        words++;
    if (!*words)
        fail(OWN_FAILURE, "no program is named", "", 0);
    while (environment[entries])
        entries++;
    char *made[entries + sets + 1];
    merge(environment, made);
    heed_signals();
    if (address)
        await_address(address);
    if (lock)
        await_lock(lock);
    run(words, made);
}
