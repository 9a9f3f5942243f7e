//! Lines out of chunks that end anywhere.

use anyhow::ensure;

/// A slice has at most a thousand endpoints, of some hundred bytes each.
const MAX_LINE_BYTES: usize = 8 * 1024 * 1024;

#[derive(Default)]
pub(super) struct Lines {
    buffer: Vec<u8>,
    /// How much of the buffer is known to have no end of a line.
    searched: usize,
}

impl Lines {
    pub(super) fn push(&mut self, chunk: &[u8]) -> anyhow::Result<()> {
        self.buffer.extend_from_slice(chunk);
        ensure!(
            self.buffer.len() <= MAX_LINE_BYTES,
            "a line of a watch is longer than {MAX_LINE_BYTES} bytes"
        );
        Ok(())
    }

    /// The next whole line, without its end.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        let end = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
        let Some(end) = end.map(|end| self.searched + end) else {
            self.searched = self.buffer.len();
            return None;
        };
        let rest = self.buffer.split_off(end + 1);
        let mut line = std::mem::replace(&mut self.buffer, rest);
        line.truncate(end);
        self.searched = 0;
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_same_lines_come_out_however_they_are_cut(
            lines in proptest::collection::vec("[a-z]{0,8}", 0..9),
            cut in 1_usize..7,
        ) {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            let mut read = Lines::default();
            let mut found = Vec::new();

            for chunk in text.as_bytes().chunks(cut) {
                read.push(chunk).unwrap();
                while let Some(line) = read.next() {
                    found.push(String::from_utf8(line).unwrap());
                }
            }

            prop_assert_eq!(found, lines);
        }
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut lines = Lines::default();

        assert!(lines.push(&vec![b'a'; MAX_LINE_BYTES]).is_ok());
        assert!(lines.push(b"a").is_err());
    }
}
