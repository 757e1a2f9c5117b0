//! A run on the whole screen: `gjob top`, and `t` in `gjob run` and `gjob attach`. It
//! reads the run as any other process does, and leaving it stops nothing.
//!
//! The state is a value (`state`), keys change it (`keys`), and the screen is a function
//! of it (`draw`); this file connects them with the run (`feed`), with what takes longer
//! (`errands`), and with the terminal.

mod charts;
mod draw;
mod errands;
mod feed;
mod keys;
mod layout;
mod live;
mod order;
mod scale;
mod state;
#[cfg(test)]
mod tests;
mod timeline;
mod view;

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gjob::store::{RunDir, Store, now};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event, KeyEventKind};

use crate::tty::{self, Mode as TerminalMode};
use draw::Theme;
use errands::{Done, Errands};
use feed::Feed;
use keys::Request;
use state::State;
use view::Mode;

/// Between two drawings while much happens.
const FRAME: Duration = Duration::from_millis(100);

/// Between two drawings while nothing happens: times go on.
const TICK: Duration = Duration::from_secs(1);

/// How often the terminal is asked for while this process is in the background.
const BACKGROUND_INTERVAL: Duration = Duration::from_millis(200);

/// The screen of one run.
pub(crate) struct Top {
    state: State,
    feed: Feed,
    errands: Errands,
    theme: Theme,
}

impl Top {
    /// Reads the run.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn open(dir: &RunDir, colour: bool) -> anyhow::Result<Top> {
        let store = Store::read(dir)?;
        let (row, gaps) = (store.row()?, store.gaps(dir.is_managed()?, now())?);
        let (loaded, feed) = Feed::start(dir)?;
        let state = State::new(row.id, row.created, gaps, loaded);
        Ok(Top { state, feed, errands: Errands::new(dir), theme: Theme::new(colour) })
    }

    /// Shows it in the process that reports on the run: then `t` leads back.
    #[must_use]
    pub(crate) fn beside_the_run(mut self) -> Top {
        self.state.view.beside_run = true;
        self
    }

    /// Shows the run until a key or `leave` ends it. Each time round, `attend` may do
    /// what signals ask for.
    ///
    /// # Errors
    /// When the terminal fails.
    pub(crate) fn show(
        mut self,
        leave: &AtomicBool,
        mut attend: impl FnMut(),
    ) -> std::io::Result<()> {
        let _screen = tty::enter(TerminalMode::Screen);
        let mut terminal = Terminal::new(CrosstermBackend::new(tty::output()))?;
        let mut drawn: Option<Instant> = None;
        let mut taken = 0;
        while !leave.load(Ordering::SeqCst) {
            attend();
            if !tty::is_ready() {
                std::thread::sleep(BACKGROUND_INTERVAL);
                continue;
            }
            if std::mem::replace(&mut taken, tty::times_taken()) != taken {
                draw_anew(&mut terminal)?;
                drawn = None;
            }
            let news = self.take_news();
            if news || drawn.is_none_or(|at| at.elapsed() >= TICK) {
                self.draw(&mut terminal)?;
                drawn = Some(Instant::now());
            }
            if !tty::wait_for_key(FRAME) {
                break;
            }
            while event::poll(Duration::ZERO)? {
                if self.take_input(&mut terminal, &event::read()?)? == Some(Request::Leave) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Takes a key or a new size, and shows what comes of it.
    fn take_input<W: Write>(
        &mut self,
        terminal: &mut Terminal<CrosstermBackend<W>>,
        input: &Event,
    ) -> std::io::Result<Option<Request>> {
        let request = match input {
            Event::Key(key) if key.kind == KeyEventKind::Press => {
                keys::handle(&mut self.state, *key)
            }
            Event::Resize(..) => {
                draw_anew(terminal)?;
                None
            }
            _ => None,
        };
        if let Some(request) = request.filter(|request| *request != Request::Leave) {
            if let Request::Read(source) = request {
                self.state.view.open(source);
            }
            self.state.view.notice = self.errands.start(request);
        }
        self.draw(terminal)?;
        Ok(request)
    }

    /// True if there were any.
    fn take_news(&mut self) -> bool {
        let mut any = false;
        while let Some(news) = self.feed.next() {
            self.state.apply(news);
            any = true;
        }
        while let Some(done) = self.errands.next() {
            any = true;
            let view = &mut self.state.view;
            match done {
                Done::Notice(text) => view.notice = Some(text),
                Done::Unread(source, reason) => view.fail(source, reason),
                Done::Text(pager) => {
                    if pager.source.is_some_and(|source| view.wants(source)) {
                        (view.mode, view.notice) = (Mode::Read(pager), None);
                    }
                }
            }
        }
        any | self.errands.take_live(&mut self.state.view)
    }

    fn draw<W: Write>(
        &mut self,
        terminal: &mut Terminal<CrosstermBackend<W>>,
    ) -> std::io::Result<()> {
        let Top { state, theme, .. } = self;
        tty::draw(|| {
            terminal
                .draw(|frame| {
                    let area = frame.area();
                    state.prepare(gjob::store::now(), (area.width, area.height));
                    draw::draw(state, theme, frame.buffer_mut());
                })
                .map(drop)
        })
    }
}

/// Lets the next drawing write every cell. Unlike [`Terminal::clear`], this asks the
/// terminal nothing: not every one answers.
fn draw_anew<W: Write>(terminal: &mut Terminal<CrosstermBackend<W>>) -> std::io::Result<()> {
    let size = terminal.size()?;
    tty::draw(|| terminal.resize(size.into()))
}
