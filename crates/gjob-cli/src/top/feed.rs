//! What happens in the run: told by its manager while one lives, as `attach` is told;
//! else read from its store when that has changed.

use std::io;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use gjob::manager::{Happened, Watcher};
use gjob::store::{RunDir, Store};
use gjob_core::run::Attempt;
use gjob_core::{Event, Run};

/// How often a run without a manager is looked at, and whether anybody still reads.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// As many news wait for a reader; then the manager's wait, too.
const QUEUE: usize = 16_384;

#[derive(Debug)]
pub(crate) enum News {
    /// The whole run anew.
    Run(Box<Loaded>),
    /// This has happened.
    Event(Box<Event>),
    /// Why the run cannot be read now.
    Problem(String),
}

/// A run with its history.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) run: Run,
    /// Attempts that the run itself no longer keeps.
    pub(crate) earlier: Vec<Attempt>,
    /// True while a process manages it.
    pub(crate) managed: bool,
}

/// News of a run; dropped, nobody asks for them any more.
#[derive(Debug)]
pub(crate) struct Feed {
    news: Receiver<News>,
    _reader: Arc<()>,
}

impl Feed {
    /// The run as it is, and what happens from now on.
    ///
    /// # Errors
    /// When the run cannot be read.
    pub(crate) fn start(dir: &RunDir) -> anyhow::Result<(Loaded, Feed)> {
        let reader = Arc::new(());
        let (to, news) = mpsc::sync_channel(QUEUE);
        let mut follower =
            Follower { dir: dir.clone(), to, reader: Arc::downgrade(&reader), seen: None };
        let (loaded, watcher) = follower.load()?;
        std::thread::Builder::new()
            .name("gjob-feed".into())
            .spawn(move || follower.follow(watcher))?;
        Ok((loaded, Feed { news, _reader: reader }))
    }

    pub(crate) fn next(&self) -> Option<News> {
        self.news.try_recv().ok()
    }
}

struct Follower {
    dir: RunDir,
    to: SyncSender<News>,
    reader: Weak<()>,
    /// The store when it was last read.
    seen: Option<Stamp>,
}

/// Changes whenever a store does, or its manager comes or goes.
#[derive(Debug, PartialEq)]
struct Stamp {
    managed: bool,
    files: [Option<(u64, Option<SystemTime>)>; 2],
}

impl Follower {
    /// Reads the run, and connects to its manager if it has one.
    fn load(&mut self) -> anyhow::Result<(Loaded, Option<Watcher>)> {
        let watcher = Watcher::connect(&self.dir)?;
        self.seen = Some(self.stamp()?);
        let store = Store::read(&self.dir)?;
        let run = match &watcher {
            Some(watcher) => watcher.run().clone(),
            None => store.load()?,
        };
        // Later ones than the run knows come as events.
        let is_earlier = |attempt: &Attempt| {
            run.job(attempt.key.index).is_some_and(|job| {
                job.key() != Some(attempt.key) && attempt.key.attempt <= job.last_attempt
            })
        };
        let earlier = store.all_attempts()?.into_iter().filter(is_earlier).collect();
        let managed = watcher.is_some() || self.dir.is_managed()?;
        Ok((Loaded { run, earlier, managed }, watcher))
    }

    fn follow(mut self, mut watcher: Option<Watcher>) {
        while self.reader.strong_count() > 0 {
            if let Some(watched) = watcher.take() {
                self.pass_on(watched);
            } else {
                std::thread::sleep(LOOK_INTERVAL);
            }
            match self.look() {
                Ok(found) => watcher = found,
                Err(error) => self.put(News::Problem(format!("{error:#}"))),
            }
        }
    }

    /// Passes on what a manager tells, until it is gone.
    fn pass_on(&mut self, mut watcher: Watcher) {
        self.seen = None;
        while self.reader.strong_count() > 0 {
            match watcher.next(LOOK_INTERVAL) {
                Ok(Happened::Event(event)) => self.put(News::Event(event)),
                Ok(Happened::Nothing) => {}
                Ok(Happened::Over(_)) => return,
                Err(error) => return self.put(News::Problem(error.to_string())),
            }
        }
    }

    /// Reads the run again if it has changed since.
    fn look(&mut self) -> anyhow::Result<Option<Watcher>> {
        if self.reader.strong_count() == 0 || self.seen == Some(self.stamp()?) {
            return Ok(None);
        }
        let (loaded, watcher) = self.load()?;
        self.put(News::Run(Box::new(loaded)));
        Ok(watcher)
    }

    fn put(&self, news: News) {
        // Without a reader, the next look ends this.
        let _ = self.to.send(news);
    }

    fn stamp(&self) -> anyhow::Result<Stamp> {
        let database = self.dir.database();
        let mut wal = database.clone().into_os_string();
        wal.push("-wal");
        let of = |path: io::Result<std::fs::Metadata>| {
            path.ok().map(|file| (file.len(), file.modified().ok()))
        };
        let files = [of(std::fs::metadata(&database)), of(std::fs::metadata(&wal))];
        Ok(Stamp { managed: self.dir.is_managed()?, files })
    }
}
