//! Progress bars on stderr, one for each fetch that runs.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};

use super::output::Output;
use crate::operation::get::Spectator;
use crate::source::Progress;

/// The bars of the fetches that run, if bars are shown at all.
pub struct Bars {
    shown: Option<Shown>,
    last: Option<Arc<Progress>>,
}

struct Shown {
    all: MultiProgress,
    running: Arc<Mutex<Vec<Running>>>,
    stop: Option<Sender<()>>,
    painter: Option<JoinHandle<()>>,
}

struct Running {
    bar: ProgressBar,
    progress: Arc<Progress>,
    counts: bool,
}

impl Bars {
    /// For a verb that speaks by `output`.
    pub fn new(output: &Output) -> Bars {
        let shown = output.shows_progress().then(|| {
            let (stop, stopped) = mpsc::channel();
            let running = Arc::<Mutex<Vec<Running>>>::default();
            let painted = Arc::clone(&running);
            let painter = std::thread::spawn(move || {
                while stopped.recv_timeout(Duration::from_millis(100)) == Err(RecvTimeoutError::Timeout) {
                    lock(&painted).iter_mut().for_each(Running::draw);
                }
            });
            Shown { all: MultiProgress::new(), running, stop: Some(stop), painter: Some(painter) }
        });
        Bars { shown, last: None }
    }

    /// Ends the bar that was shown by this and starts one for `key`: for those who do one after the other.
    pub fn next(&mut self, key: &str) -> Arc<Progress> {
        if let Some(last) = self.last.take() {
            self.ends(&last);
        }
        let progress = self.begins(key);
        self.last = Some(Arc::clone(&progress));
        progress
    }

    /// Does `print`, which writes to the terminal, where no bar is in the way.
    pub fn above<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.shown {
            Some(shown) => shown.all.suspend(print),
            None => print(),
        }
    }

    /// Takes the bars away.
    pub fn finish(&mut self) {
        let Some(mut shown) = self.shown.take() else { return };
        drop(shown.stop.take());
        if let Some(painter) = shown.painter.take() {
            painter.join().ok();
        }
        lock(&shown.running).drain(..).for_each(|running| running.bar.finish_and_clear());
    }
}

impl Spectator for Bars {
    fn begins(&self, key: &str) -> Arc<Progress> {
        let progress = Arc::new(Progress::default());
        if let Some(shown) = &self.shown {
            let bar = shown.all.add(ProgressBar::new_spinner());
            bar.set_prefix(super::output::clean(key));
            set_style(&bar, "{spinner} {prefix}  {elapsed}  {msg}");
            let running = Running { bar, progress: Arc::clone(&progress), counts: false };
            lock(&shown.running).push(running);
        }
        progress
    }

    fn ends(&self, progress: &Arc<Progress>) {
        let Some(shown) = &self.shown else { return };
        let mut running = lock(&shown.running);
        if let Some(place) = running.iter().position(|one| Arc::ptr_eq(&one.progress, progress)) {
            let ended = running.swap_remove(place);
            ended.bar.finish_and_clear();
            shown.all.remove(&ended.bar);
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Running {
    fn draw(&mut self) {
        let Running { bar, progress, counts } = self;
        let (objects, total) = progress.objects();
        if total > 0 {
            if !*counts {
                *counts = true;
                set_style(bar, "{spinner} {prefix}  [{bar:30}] {pos}/{len} objects  {msg}");
            }
            bar.set_length(total);
            bar.set_position(objects);
        }
        if progress.bytes() > 0 {
            bar.set_message(HumanBytes(progress.bytes()).to_string());
        }
        bar.tick();
    }
}

// Nothing panics while it is locked.
fn lock(running: &Mutex<Vec<Running>>) -> MutexGuard<'_, Vec<Running>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

fn set_style(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}
