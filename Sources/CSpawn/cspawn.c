#define _GNU_SOURCE
#include "cspawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// Only functions that are safe after fork in a program with threads.
static int become(
    const char *path, char *const arguments[], char *const environment[], int output, pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return errno;
    // The parent may have died before prctl: nobody would send the signal.
    if (getppid() != parent) return ESRCH;
    // A terminal's Ctrl-C is for the parent, which then decides.
    if (setpgid(0, 0) != 0) return errno;
    struct sigaction normal = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++) sigaction(number, &normal, NULL);
    int input = open("/dev/null", O_RDONLY);
    if (input < 0 || dup2(input, 0) < 0) return errno;
    if (dup2(output, 1) < 0 || dup2(output, 2) < 0) return errno;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    // All other files close at exec, the pipe for our errno among them (CLOSE_RANGE_CLOEXEC is 4).
    if (syscall(SYS_close_range, 3u, ~0u, 4u) != 0) return errno;
    execve(path, arguments, environment);
    return errno;
}

pid_t cspawn_start(
    const char *path, char *const arguments[], char *const environment[], int output)
{
    int result[2];
    if (pipe2(result, O_CLOEXEC) != 0) return -errno;
    // No handler of ours may run in the child.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0) {
        int error = become(path, arguments, environment, output, parent);
        (void)!write(result[1], &error, sizeof error);
        _exit(127);
    }
    int error = child < 0 ? errno : 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(result[1]);
    if (child > 0) {
        ssize_t count;
        do {
            count = read(result[0], &error, sizeof error);
        } while (count < 0 && errno == EINTR);
        // End of file: exec has succeeded. Otherwise the child has ended; somebody must collect it.
        if (count != sizeof error) error = 0;
        else {
            siginfo_t ignored;
            while (waitid(P_PID, (id_t)child, &ignored, WEXITED) != 0 && errno == EINTR) {}
        }
    }
    close(result[0]);
    return error == 0 ? child : -error;
}
