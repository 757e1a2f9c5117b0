//! Telling a manager from another thread to end its run, or to leave it.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use crate::network::Waker;

/// Tells a manager from another thread to end its run, or to leave it.
#[derive(Clone, Debug)]
pub struct Controller {
    request: Arc<AtomicU8>,
    waker: Arc<Mutex<Option<Waker>>>,
}

#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum StopRequest {
    None = 0,
    Interrupt = 1,
    Leave = 2,
}

impl Controller {
    pub(super) fn new(waker: Option<Waker>) -> Self {
        Controller { request: Arc::default(), waker: Arc::new(Mutex::new(waker)) }
    }

    /// Starts nothing more, ends what runs, and keeps the run for `attach`.
    pub fn interrupt(&self) {
        self.ask(StopRequest::Interrupt);
    }

    /// Stops at once; jobs continue without a manager.
    pub fn leave(&self) {
        self.ask(StopRequest::Leave);
    }

    fn ask(&self, request: StopRequest) {
        self.request.fetch_max(request as u8, Ordering::AcqRel);
        if let Ok(waker) = self.waker.lock()
            && let Some(waker) = &*waker
        {
            waker.wake();
        }
    }

    pub(super) fn take(&self) -> StopRequest {
        match self.request.swap(0, Ordering::AcqRel) {
            1 => StopRequest::Interrupt,
            2 => StopRequest::Leave,
            _ => StopRequest::None,
        }
    }
}
