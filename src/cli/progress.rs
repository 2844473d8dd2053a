//! A progress bar on stderr while something is fetched.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use super::output::Output;
use crate::source::Progress;

/// The bar of the fetch that runs, if bars are shown at all.
pub struct Bars {
    shown: bool,
    running: Option<Running>,
}

struct Running {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Bars {
    /// For a verb that speaks by `output`.
    pub fn new(output: &Output) -> Bars {
        Bars { shown: output.shows_progress(), running: None }
    }

    /// Ends the bar that is shown and starts one for `key`.
    pub fn next(&mut self, key: &str) -> Arc<Progress> {
        self.finish();
        let progress = Arc::new(Progress::default());
        if self.shown {
            let (stop, stopped) = mpsc::channel();
            let (watched, key) = (progress.clone(), super::output::clean(key));
            let thread = std::thread::spawn(move || draw(&key, &watched, &stopped));
            self.running = Some(Running { stop, thread });
        }
        progress
    }

    /// Takes the bar away.
    pub fn finish(&mut self) {
        if let Some(Running { stop, thread }) = self.running.take() {
            drop(stop);
            thread.join().ok();
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.finish();
    }
}

fn draw(key: &str, progress: &Progress, stopped: &mpsc::Receiver<()>) {
    let bar = ProgressBar::new_spinner();
    bar.set_prefix(key.to_owned());
    let style = |template: &str| ProgressStyle::with_template(template).ok();
    let waiting = style("{spinner} {prefix}  {elapsed}  {msg}");
    let counting = style("{spinner} {prefix}  [{bar:30}] {pos}/{len} objects  {msg}");
    if let Some(style) = waiting {
        bar.set_style(style);
    }
    let mut counts = false;
    while stopped.recv_timeout(Duration::from_millis(100)) == Err(RecvTimeoutError::Timeout) {
        let (objects, total) = progress.objects();
        if total > 0 && !counts {
            counts = true;
            if let Some(style) = &counting {
                bar.set_style(style.clone());
            }
        }
        if total > 0 {
            bar.set_length(total);
            bar.set_position(objects);
        }
        if progress.bytes() > 0 {
            bar.set_message(HumanBytes(progress.bytes()).to_string());
        }
        bar.tick();
    }
    bar.finish_and_clear();
}
