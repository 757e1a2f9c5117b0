//! Lines at the end of a terminal that are drawn again and again, below what is printed
//! for good.

use std::io::{self, Write, stderr};

use ratatui::crossterm::cursor::{MoveToColumn, MoveUp};
use ratatui::crossterm::queue;
use ratatui::crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate,
};

/// Drawn lines, the cursor at the end of the last one.
#[derive(Debug, Default)]
pub(super) struct Area {
    lines: u16,
}

impl Area {
    /// Makes room for what is printed for good.
    pub(super) fn put_away(&mut self) {
        if self.lines > 0 {
            let mut sequence = Vec::new();
            // Nothing can go wrong with a vector, and a terminal that is gone shows nothing.
            let _ = self.leave(&mut sequence).and_then(|()| stderr().write_all(&sequence));
            self.lines = 0;
        }
    }

    /// Draws these lines instead of those before. Each has to fit the width.
    pub(super) fn draw(&mut self, lines: &[String]) {
        let mut frame = Vec::new();
        let _ = self.write(lines, &mut frame).and_then(|()| stderr().write_all(&frame));
        self.lines = lines.len() as u16;
    }

    fn write(&self, lines: &[String], frame: &mut Vec<u8>) -> io::Result<()> {
        queue!(frame, BeginSynchronizedUpdate)?;
        self.leave(frame)?;
        frame.extend_from_slice(lines.join("\r\n").as_bytes());
        queue!(frame, EndSynchronizedUpdate)
    }

    /// To the start of the first line, and nothing is below.
    fn leave(&self, to: &mut Vec<u8>) -> io::Result<()> {
        queue!(to, MoveToColumn(0))?;
        if self.lines > 1 {
            queue!(to, MoveUp(self.lines - 1))?;
        }
        queue!(to, Clear(ClearType::FromCursorDown))
    }
}
