//! What `gjob remote` asks of one job directory: the same as `gjob local` does on its
//! own machine.

use std::fmt::Display;
use std::path::Path;

use gjob_core::JobId;
use gjob_core::record::one_line;
use gjob_core::text::Foreign;
use gjob_core::wire::{ByHand, ByHandAnswer};

use crate::jobdir::Layout;
use crate::local;

/// Does it; the error is why not, in one line.
pub(super) fn by_hand(layout: &Layout, id: &JobId, work: ByHand) -> Result<ByHandAnswer, Foreign> {
    let dir = layout.results().join(id.as_str());
    act(&dir, work).map_err(|error| one_line(&error))
}

fn act(dir: &Path, work: ByHand) -> Result<ByHandAnswer, String> {
    fn done<E: Display>(result: Result<(), E>) -> Result<ByHandAnswer, String> {
        result.map(|()| ByHandAnswer::Done).map_err(|error| error.to_string())
    }
    match work {
        ByHand::Status => {
            local::status(dir).map(ByHandAnswer::State).map_err(|error| error.to_string())
        }
        ByHand::IsPaused => {
            local::is_paused(dir).map(ByHandAnswer::IsPaused).map_err(|error| error.to_string())
        }
        ByHand::Kill { grace } => done(local::kill(dir, grace)),
        ByHand::Pause => done(local::pause(dir)),
        ByHand::Unpause => done(local::unpause(dir)),
    }
}
