//! Log lines on their way out: gathered for a moment, so that a busy process makes one system call for many lines and its
//! threads do not wait for each other's.

use std::{
    io::Write,
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use anyhow::Context;

/// What a process that is killed has not written yet is at most this old.
const GATHERING: Duration = Duration::from_millis(2);
/// With more than this, whoever writes a line waits until the output has taken it: nothing is lost, and memory stays flat.
const MAX_PENDING_BYTES: usize = 1 << 20;

/// Writes lines to one output, in order; clones share it.
pub(super) struct GatheredLines<W>(Arc<Shared<W>>);

struct Shared<W> {
    pending: Mutex<Vec<u8>>,
    filled: Condvar,
    output: Mutex<Output<W>>,
}

struct Output<W> {
    writer: W,
    /// Changes places with what is pending, so that lines can come while others are written.
    spare: Vec<u8>,
}

impl<W: Write + Send + 'static> GatheredLines<W> {
    /// Starts the thread that writes; it lives as long as the process.
    pub(super) fn start(writer: W) -> anyhow::Result<Self> {
        let lines = Self(Arc::new(Shared {
            pending: Mutex::default(),
            filled: Condvar::new(),
            output: Mutex::new(Output {
                writer,
                spare: Vec::new(),
            }),
        }));
        let for_thread = lines.clone();
        let thread = thread::Builder::new().name("log".to_owned());
        thread
            .spawn(move || for_thread.write_for_ever())
            .context("starting the thread that writes logs")?;
        Ok(lines)
    }

    /// Takes a line to be written soon.
    pub(super) fn push(&self, line: &[u8]) {
        let mut pending = lock(&self.0.pending);
        let was_empty = pending.is_empty();
        pending.extend_from_slice(line);
        let is_full = pending.len() > MAX_PENDING_BYTES;
        drop(pending);
        if is_full {
            self.flush();
        } else if was_empty {
            self.0.filled.notify_one();
        }
    }

    /// Returns when all lines so far are written.
    pub(super) fn flush(&self) {
        let mut output = lock(&self.0.output);
        let Output { writer, spare } = &mut *output;
        mem::swap(&mut *lock(&self.0.pending), spare);
        // There is nowhere left to report a log that cannot be written.
        let _ = writer.write_all(spare).and_then(|()| writer.flush());
        spare.clear();
    }

    #[expect(clippy::disallowed_methods, reason = "this thread has nothing else to do")]
    fn write_for_ever(&self) {
        loop {
            let pending = lock(&self.0.pending);
            let filled = self.0.filled.wait_while(pending, |pending| pending.is_empty());
            drop(filled.unwrap_or_else(PoisonError::into_inner));
            thread::sleep(GATHERING);
            self.flush();
        }
    }
}

impl<W> Clone for GatheredLines<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    struct Taken(SyncSender<Vec<u8>>);

    impl Write for Taken {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.send(bytes.to_vec()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn lines() -> (GatheredLines<Taken>, Receiver<Vec<u8>>) {
        let (sender, receiver) = sync_channel(100);
        (GatheredLines::start(Taken(sender)).unwrap(), receiver)
    }

    #[test]
    fn a_line_is_written_without_anyone_asking() {
        let (lines, written) = lines();

        lines.push(b"one\n");

        assert_eq!(written.recv().unwrap(), b"one\n");
    }

    #[test]
    fn what_is_flushed_is_written_whole_and_in_order() {
        let (lines, written) = lines();

        for number in 0..1000 {
            lines.push(format!("{number}\n").as_bytes());
        }
        lines.flush();

        let all: Vec<u8> = written.try_iter().flatten().collect();
        let expected: String = (0..1000).map(|number| format!("{number}\n")).collect();
        assert_eq!(String::from_utf8(all).unwrap(), expected);
    }
}
