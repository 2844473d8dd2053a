//! Threads for what may wait. Two lanes, so that opening what is cached never queues behind a fetch.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::locked;
use crate::sync::{Condvar, Mutex, thread};

type Job = Box<dyn FnOnce() + Send>;

/// A queue of jobs and at most `most` threads that work on it. Threads start on demand and stay.
#[derive(Clone)]
pub(crate) struct Lane(Arc<Shared>);

struct Shared {
    name: &'static str,
    most: usize,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    closed: bool,
}

impl Lane {
    /// A lane of at most `most` threads (at least one), named `name`.
    pub(crate) fn new(name: &'static str, most: usize) -> Self {
        let shared = Shared { name, most: most.max(1), queue: Mutex::default(), changed: Condvar::new() };
        Lane(Arc::new(shared))
    }

    /// Runs `job` as soon as a thread is free. A panic in it ends the job, not the thread.
    ///
    /// Fails if there is no thread and none can be started; then `job` was dropped.
    pub(crate) fn run(&self, job: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        let mut queue = locked(&self.0.queue);
        if queue.closed {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        }
        queue.jobs.push_back(Box::new(job));
        if queue.idle < queue.jobs.len() && queue.threads < self.0.most {
            let shared = self.0.clone();
            let started = thread::Builder::new().name(self.0.name.to_owned()).spawn(move || shared.work());
            match started {
                Ok(_) => queue.threads += 1,
                Err(error) if queue.threads == 0 => {
                    queue.jobs.pop_back();
                    return Err(error);
                }
                Err(_) => {}
            }
        }
        self.0.changed.notify_one();
        Ok(())
    }

    /// Drops what is queued and lets the threads end.
    pub(crate) fn close(&self) {
        let dropped = {
            let mut queue = locked(&self.0.queue);
            queue.closed = true;
            std::mem::take(&mut queue.jobs)
        };
        self.0.changed.notify_all();
        drop(dropped);
    }
}

impl Shared {
    fn work(&self) {
        loop {
            let job = {
                let mut queue = locked(&self.queue);
                loop {
                    if let Some(job) = queue.jobs.pop_front() {
                        break job;
                    }
                    if queue.closed {
                        queue.threads -= 1;
                        return;
                    }
                    queue.idle += 1;
                    queue = self.changed.wait(queue).unwrap_or_else(std::sync::PoisonError::into_inner);
                    queue.idle -= 1;
                }
            };
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                log::error!("a job on the {} lane panicked", self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Lane;
    use std::sync::mpsc;

    #[test]
    fn a_panic_ends_the_job_and_not_the_lane() {
        let lane = Lane::new("test", 1);
        lane.run(|| panic!("on purpose")).unwrap();
        let (send, receive) = mpsc::channel();
        lane.run(move || send.send(1).unwrap()).unwrap();
        assert_eq!(receive.recv(), Ok(1));
    }

    #[test]
    fn jobs_run_beside_each_other_up_to_the_most() {
        let lane = Lane::new("test", 2);
        let (first, second) = (mpsc::channel(), mpsc::channel());
        lane.run(move || second.0.send(first.1.recv().unwrap()).unwrap()).unwrap();
        lane.run(move || first.0.send(7).unwrap()).unwrap();
        assert_eq!(second.1.recv(), Ok(7), "the first job waits for the second");
    }
}
