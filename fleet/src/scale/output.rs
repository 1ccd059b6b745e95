//! [`Output`]: lines on their way to who may not read them.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread;
use std::time::Duration;

/// Lines that may wait; more than a round of a large fleet has.
const WAITING: usize = 16_384;
/// So long the end waits for who does not read.
const PATIENCE: Duration = Duration::from_secs(2);

/// Written by a thread of its own: a pipe that is full holds up no kill. What finds no place is dropped, and said to be.
pub(super) struct Output {
    lines: Option<SyncSender<String>>,
    is_open: Arc<AtomicBool>,
    dropped: u64,
    /// Ends when all is written.
    written: Receiver<()>,
}

impl Output {
    pub(super) fn new(to: impl Write + Send + 'static) -> Output {
        Output::with_room(to, WAITING)
    }

    fn with_room(mut to: impl Write + Send + 'static, waiting: usize) -> Output {
        let (lines, to_write) = mpsc::sync_channel::<String>(waiting);
        let (end, written) = mpsc::channel::<()>();
        let is_open = Arc::new(AtomicBool::new(true));
        let open = Arc::clone(&is_open);
        let write = move || {
            let _end = end;
            for line in to_write {
                let written = to.write_all(line.as_bytes());
                if written.and_then(|()| to.flush()).is_err() {
                    open.store(false, Ordering::Relaxed);
                    break;
                }
            }
        };
        let spawned = thread::Builder::new()
            .name("plimsoll-output".to_owned())
            .spawn(write);
        if spawned.is_err() {
            is_open.store(false, Ordering::Relaxed);
        }
        Output {
            lines: Some(lines),
            is_open,
            dropped: 0,
            written,
        }
    }

    /// Not when its reader is gone.
    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    pub(super) fn write(&mut self, line: String) {
        let Some(lines) = &self.lines else {
            return;
        };
        if self.dropped > 0 {
            let said = format!(
                "{} lines were dropped here: nobody read them\n",
                self.dropped
            );
            match lines.try_send(said) {
                Err(TrySendError::Full(_)) => {
                    self.dropped += 1;
                    return;
                }
                _ => self.dropped = 0,
            }
        }
        if let Err(TrySendError::Full(_)) = lines.try_send(line) {
            self.dropped += 1;
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.lines = None;
        // Nothing is ever sent there: it ends with the thread, or with the patience.
        let _ = self.written.recv_timeout(PATIENCE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::Mutex;

    /// A pipe that takes nothing before it is told to.
    struct Full(Receiver<()>, Arc<Mutex<String>>);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            let text = std::str::from_utf8(bytes).unwrap();
            self.1.lock().unwrap().push_str(text);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_nobody_reads_holds_up_nobody_and_is_counted() {
        let (read, full) = mpsc::channel();
        let text = Arc::new(Mutex::new(String::new()));
        let mut output = Output::with_room(Full(full, Arc::clone(&text)), 4);
        for number in 0..100 {
            output.write(format!("{number}\n"));
        }
        drop(read);
        // As soon as there is room again, a line says what is missing.
        let mut given = 100;
        while output.dropped > 0 {
            thread::yield_now();
            output.write("more\n".to_owned());
            given += 1;
        }
        drop(output);
        let text = text.lock().unwrap();
        let (said, written): (Vec<_>, Vec<_>) =
            text.lines().partition(|line| line.contains("dropped"));
        let counts = said.iter().map(|line| line.split(' ').next().unwrap());
        let dropped: usize = counts.map(|count| count.parse::<usize>().unwrap()).sum();
        assert!(dropped > 0, "{text}");
        assert_eq!(dropped + written.len(), given, "{text}");
        assert!(text.starts_with("0\n1\n"), "{text}");
    }
}
