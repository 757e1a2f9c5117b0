//! Telling a manager from another thread to end its run, or to leave it.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use crate::network::Waker;

/// Tells a manager from another thread to end its run, or to leave it.
#[derive(Clone, Debug)]
pub struct Controller {
    wish: Arc<AtomicU8>,
    waker: Arc<Mutex<Option<Waker>>>,
}

#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Wish {
    None = 0,
    Interrupt = 1,
    Leave = 2,
}

impl Controller {
    pub(super) fn new(waker: Option<Waker>) -> Self {
        Controller { wish: Arc::default(), waker: Arc::new(Mutex::new(waker)) }
    }

    /// Starts nothing more, ends what runs, and keeps the run for `attach`.
    pub fn interrupt(&self) {
        self.ask(Wish::Interrupt);
    }

    /// Stops at once; jobs go on without a manager.
    pub fn leave(&self) {
        self.ask(Wish::Leave);
    }

    fn ask(&self, wish: Wish) {
        self.wish.fetch_max(wish as u8, Ordering::AcqRel);
        if let Ok(waker) = self.waker.lock()
            && let Some(waker) = &*waker
        {
            waker.wake();
        }
    }

    pub(super) fn take(&self) -> Wish {
        match self.wish.swap(0, Ordering::AcqRel) {
            1 => Wish::Interrupt,
            2 => Wish::Leave,
            _ => Wish::None,
        }
    }
}
