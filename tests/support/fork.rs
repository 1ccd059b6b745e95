//! A forked child to run a closure in.

/// Runs `child` in a forked child; what it returns becomes the exit status. A deadlock there ends by a signal.
pub fn fork(child: impl FnOnce() -> i32) -> i32 {
    // SAFETY: jemalloc and the library take care of forks (that is what is tested), the alarm has no handler, and the child
    // leaves by `_exit`.
    unsafe {
        match libc::fork() {
            0 => {
                libc::alarm(60);
                let status = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
                libc::_exit(status.unwrap_or(101));
            }
            pid => {
                let mut status = 0;
                assert_eq!(libc::waitpid(pid, &raw mut status, 0), pid);
                if libc::WIFEXITED(status) {
                    libc::WEXITSTATUS(status)
                } else {
                    -libc::WTERMSIG(status)
                }
            }
        }
    }
}
