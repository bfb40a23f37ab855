//! Bytes in, lines of bounded length out.
//!
//! It never holds more than one line's worth, whatever comes; it never fails on what is not UTF-8.

use crate::limits::LINE_BYTES_MAX;

/// Splits a stream of bytes into lines.
#[derive(Debug, Default)]
pub struct Lines {
    line: Vec<u8>,
    cut: u64,
}

impl Lines {
    /// Takes the next bytes and hands out the lines that they complete.
    pub fn feed(&mut self, bytes: &[u8], mut line: impl FnMut(String)) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.keep(&rest[..end]);
            line(self.take());
            rest = &rest[end + 1..];
        }
        self.keep(rest);
    }

    /// The last line, if it did not end.
    pub fn finish(&mut self) -> Option<String> {
        (!self.line.is_empty()).then(|| self.take())
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = bytes.len().min(LINE_BYTES_MAX - self.line.len());
        self.line.extend_from_slice(&bytes[..room]);
        self.cut += (bytes.len() - room) as u64;
    }

    fn take(&mut self) -> String {
        let cut = std::mem::take(&mut self.cut);
        let line = std::mem::take(&mut self.line);
        if cut > 0 {
            return format!("{}… [{cut} bytes cut]", String::from_utf8_lossy(&line));
        }
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        String::from_utf8_lossy(line).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut out = Vec::new();
        for chunk in chunks {
            lines.feed(chunk, |line| out.push(line));
        }
        out.extend(lines.finish());
        out
    }

    #[test]
    fn lines_may_cross_reads_and_the_last_may_lack_its_end() {
        assert_eq!(split(&[b"one\ntw", b"o\r\n", b"\nthree"]), ["one", "two", "", "three"]);
        assert_eq!(split(&[b"one\n"]), ["one"]);
        assert_eq!(split(&[]), Vec::<String>::new());
    }

    #[test]
    fn a_character_may_cross_reads_and_rubbish_is_replaced() {
        assert_eq!(split(&[b"\xc3", b"\xa4\n\xff"]), ["ä", "\u{fffd}"]);
    }

    #[test]
    fn a_long_line_is_cut_and_says_so() {
        let long = vec![b'x'; LINE_BYTES_MAX];
        let lines = split(&[&long, b"yz", b"\nnext\n", &long, b"\n"]);
        let full = "x".repeat(LINE_BYTES_MAX);
        assert_eq!(lines, [format!("{full}… [2 bytes cut]"), "next".to_owned(), full]);
    }

    #[test]
    fn a_flood_without_an_end_takes_one_line_of_memory() {
        let mut lines = Lines::default();
        let chunk = vec![0; 64 * 1024];
        for _ in 0..100 {
            lines.feed(&chunk, |_| panic!("no line has ended"));
        }
        assert!(lines.line.capacity() <= 2 * LINE_BYTES_MAX);
        assert!(lines.finish().is_some_and(|line| line.ends_with("[6545408 bytes cut]")));
    }
}
