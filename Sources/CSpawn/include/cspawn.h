#pragma once
#include <sys/types.h>

// Starts a program that the kernel kills (SIGKILL) as soon as the calling thread ends, whatever
// ends it. Neither posix_spawn nor Foundation can ask for that, and between fork and exec only C may
// run. The caller keeps its thread alive for as long as the program is to live.
//
// The program has its own process group, empty standard input, `output` as standard output and
// error, default signal handlers and none of our other files.
//
// Returns its process id, or the negative errno of what failed, execve included.
pid_t cspawn_start(
    const char *path, char *const arguments[], char *const environment[], int output);
