//! Colours, and what stands for them without.

use ratatui::style::{Color, Modifier, Style};

#[derive(Debug)]
pub(crate) struct Theme {
    pub(crate) title: Style,
    /// The title of the panel that keys act on.
    pub(crate) used: Style,
    /// The row that keys act on.
    pub(crate) chosen: Style,
    pub(crate) heading: Style,
    pub(crate) faint: Style,
    pub(crate) good: Style,
    pub(crate) bad: Style,
    pub(crate) odd: Style,
    pub(crate) running: Style,
    pub(crate) ask: Style,
}

impl Theme {
    pub(crate) fn new(colour: bool) -> Self {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let reversed = Style::new().add_modifier(Modifier::REVERSED);
        let plain = Theme {
            title: Style::new().add_modifier(Modifier::UNDERLINED),
            used: bold.add_modifier(Modifier::UNDERLINED),
            chosen: reversed,
            heading: Style::new().add_modifier(Modifier::DIM),
            faint: Style::new().add_modifier(Modifier::DIM),
            good: Style::new(),
            bad: bold,
            odd: Style::new(),
            running: bold,
            ask: bold,
        };
        if !colour {
            return plain;
        }
        Theme {
            good: Style::new().fg(Color::Cyan),
            bad: bold.fg(Color::Red),
            odd: Style::new().fg(Color::Yellow),
            running: Style::new().fg(Color::Green),
            used: plain.used.fg(Color::Cyan),
            ask: bold.fg(Color::Yellow),
            ..plain
        }
    }
}
